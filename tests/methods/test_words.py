"""Nothing outside a component's module knows its name: adding one, or calling one otherwise, is one file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lrbench.methods.answers import ANSWERS
from lrbench.methods.changes import CHANGES
from lrbench.methods.fidelity import HAZARDS
from lrbench.methods.objectives import OBJECTIVES
from lrbench.methods.presets import BY_NAME
from lrbench.methods.selectors import SELECTORS
from lrbench.methods.sources import SOURCES
from lrbench.methods.targets import TARGETS

ROOT = Path(__file__).parents[2]
FAMILIES = (ANSWERS, CHANGES, OBJECTIVES, SELECTORS, SOURCES, TARGETS)
# These are names of other things too: columns of scores, stages, fields and words of other choices.
ELSEWHERE = {
    "greedy": "how the protocol says that a score was decoded",
    "kl": "a column of scores",
    "solutions": "a stage, and a field of problems and recipes",
    "all": "a word for every benchmark or item",
    "budget": "a field of training",
    "divergent": "an order of rollouts",
    "mentor": "an embedded model",
    "neither": "neither of two answers is right",
    "lora": "a field of training",
    "prefill": "a field of `controls`",
    "rule": "a line of a chart",
    "vote": "a field of items that are answered several times",
}


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string that the code holds, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_name_of_a_component_or_a_preset_stands_outside_methods() -> None:
    words = {component.word for family in FAMILIES for component in family} | BY_NAME.keys() | HAZARDS.keys()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for package in ("lrbench", "dashboard/lrbench_dashboard")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "methods" not in path.parts
        for line, text in strings(path)
        if text in words and text not in ELSEWHERE
    ]
    assert found == []


def test_every_word_is_of_one_component_of_its_family() -> None:
    for family in FAMILIES:
        words = [component.word for component in family]
        assert len(words) == len(set(words))
