"""Loading as a whole: what is logged, what it costs, and that rubbish gives a clear message."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lrbench.errors import RecipeError
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe

REPOSITORY = Path(__file__).parents[2]
QUICKSTART = REPOSITORY / "recipes" / "quickstart.yaml"


def test_the_quickstart_is_a_valid_recipe_without_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lrbench"):
        recipe = load_recipe(QUICKSTART)
    assert (recipe.name, recipe.data.problems, recipe.evaluation.limit) == ("quickstart", 256, 40)
    assert [arm.name for arm in recipe.arms] == ["base", "sft", "lightr", "random", "cd"]
    assert caplog.messages == []


def test_settings_without_effect_are_logged_as_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lrbench"):
        load_recipe(QUICKSTART, ["arms=[base, no_contrast]"])
    (message,) = caplog.messages
    assert message.endswith(
        ": divergence.alpha: ignored, because no arm has a target that takes it, such as `contrast`"
    )


def test_a_recipe_cannot_be_changed_after_loading() -> None:
    recipe = load_recipe(QUICKSTART)
    with pytest.raises(ValueError, match="frozen"):
        recipe.training.updates = 5  # type: ignore[misc]


def test_loading_a_recipe_imports_no_framework() -> None:
    code = f"""
import sys
from lrbench.recipe.loading import load_recipe
load_recipe({str(QUICKSTART)!r})
print([name for name in ("torch", "transformers", "mlflow", "pandas", "omegaconf") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def outcome(content: bytes, *overrides: str) -> Recipe | str:
    """What loading gives: a recipe or a message. Anything else that is raised fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.yaml"
        file.write_bytes(content)
        try:
            return load_recipe(file, overrides)
        except RecipeError as error:
            return str(error)


def is_clear(result: Recipe | str) -> bool:
    return isinstance(result, Recipe) or (
        result.endswith("; nothing was run.") and all(line.isprintable() for line in result.split("\n"))
    )


@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
@example(b"%YAML 3.0\n---\na: 1")
@example(b'a: "\\ud800"')
@example(b"&a &b c")
def test_random_bytes_give_a_message(content: bytes) -> None:
    assert is_clear(outcome(content))


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#~<= \n\t.$\\019eE_\u2028\u00e9", max_size=60))
def test_random_yaml_gives_a_message(text: str) -> None:
    assert is_clear(outcome(text.encode()))


LINES = QUICKSTART.read_text().splitlines(keepends=True)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.integers(0, 40),
            st.text("ab:-[]{}&*!|>'\"#~ \n\t.$\\019e_", min_size=0, max_size=6),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_recipe_damaged_anywhere_gives_a_message_or_a_recipe(damage: list[tuple[int, int, str]]) -> None:
    lines = list(LINES)
    for line, column, text in damage:
        lines[line] = lines[line][:column] + text + lines[line][column + 1 :]
    assert is_clear(outcome("".join(lines).encode()))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["${seed}", "${arms}", "a${name}", "${", "embedded/expert", "kl", "lightr"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "name", "description", "extends", "seed", "pair", "pair.expert", "pair.expert.model",
    "pair.amateur.dtype",
    "data", "data.train", "divergence", "divergence.alpha", "sampling.solutions", "training", "training.lora",
    "training.lora.target_modules", "arms", "arms.0", "arms.1.divergence", "arms.2.training.lora",
    "evaluation",
    "evaluation.limit", "runtime", "runtime.device", "other",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(FIELDS), values), min_size=1, max_size=4))
@settings(deadline=None)
def test_any_value_in_any_field_gives_a_message_or_a_recipe(given_values: list[tuple[str, Any]]) -> None:
    overrides = [
        f"{field}={yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix('...' + chr(10))}"
        for field, value in given_values
    ]
    assert is_clear(outcome(QUICKSTART.read_bytes(), *overrides))


@given(st.text(max_size=30))
def test_any_override_gives_a_message_or_a_recipe(override: str) -> None:
    assert is_clear(outcome(QUICKSTART.read_bytes(), override))
