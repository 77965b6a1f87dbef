"""`check` and `plan` agree on what cannot be run, wherever it is wrong: in the recipe, its data, a model."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.errors import LrbenchError

RECIPE = """\
name: written
pair: {expert: {model: embedded/expert}, amateur: {model: embedded/amateur}}
data: {train: problems.jsonl, problems: 2}
training: {updates: 2, rollouts_per_update: 2}
arms: [base, lightr]
evaluation: {suite: embedded7, benchmarks: [one_step], limit: 2}
runtime: {device: cpu}
"""
GOOD = [{"id": number, "problem": f"What is {number}+3?", "answer": str(number + 3)} for number in range(4)]


def rows(*changed: object) -> bytes:
    """Two good lines after those given."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in (*changed, *GOOD[:2])]
    return "\n".join(lines).encode()


Fault = tuple[list[str], bytes, str]
FAULTS: dict[str, Fault] = {
    "a missing field": ([], rows({"question": "a"}), "problems.jsonl:1: each line must be an object with a"),
    "an answer that is a list": (
        [],
        rows({"problem": "a", "answer": [3]}),
        "1: `answer` has to be text or a",
    ),
    "a solution that is a list": (
        [],
        rows({"problem": "a", "solution": []}),
        '1: "solution" must be a string',
    ),
    "an empty problem": ([], rows({"problem": " "}), "problems.jsonl:1: each line must be an object with a"),
    "an id that is a list": ([], rows({"problem": "a", "id": []}), '"id" must be a string or a whole number'),
    "an id that is there twice": (
        [],
        rows({"problem": "a", "id": "1"}),
        "jsonl:3: the id 1 is that of line 1",
    ),
    "half a character": ([], rows('{"problem": "\\ud83d"}'), "problems.jsonl:1:14: holds half a character"),
    "what is not JSON": ([], rows("{"), "problems.jsonl:1:2: is not valid JSON"),
    "NaN": ([], rows('{"problem": "a", "x": NaN}'), "problems.jsonl:1: holds NaN"),
    "another encoding": ([], rows().decode().encode("utf-16"), "problems.jsonl:1:1: is UTF-16 text"),
    "a gzip file": ([], gzip.compress(rows()), "problems.jsonl: is a gzip file"),
    "nothing": ([], b"", "problems.jsonl: has no problems"),
    "several lines": (
        [],
        rows({"problem": "a", "answer": [3]}, "{", {"question": "a"}),
        """problems.jsonl:1: `answer` has to be text or a number, found a list
problems.jsonl:2:2: is not valid JSON (Expecting property name enclosed in double quotes)
problems.jsonl:3: each line must be an object with a non-empty string "problem\"""",
    ),
    "no answers for sft": (
        ["arms=[base, lightr, sft]"],
        rows()[:0] + b'{"problem":"a"}\n{"problem":"b"}',
        'has an "answer"',
    ),
    "no solutions to learn": (["arms=[base, lightr, ground_truth]"], rows(), "has a"),
    "too few problems": (
        ["data.problems=9"],
        rows(),
        ":15: data.problems: problems.jsonl has 2 problems",
    ),
    "too few to hold out": (["data.held_out=3"], rows(), "and 3 more are asked for; set it to"),
    "no solution to hold out": (["data.problems=1", "data.held_out=1"], rows(), 'has no "solution"'),
    "a device": (["data.train=/dev/zero"], rows(), "/dev/zero: is a device, allowed is a JSONL file"),
    "a named pipe": (["data.train=pipe"], rows(), "pipe: is a named pipe, allowed is a JSONL file"),
    "a folder": (["data.train=folder"], rows(), "`folder` is a directory, allowed is a JSONL file"),
    "no such file": (["data.train=none.jsonl"], rows(), "but there is no such file"),
    "no such item": (["evaluation.limit=null", "evaluation.items=[nothing]"], rows(), "nothing"),
    "too many layers": (
        ["pair.amateur.model=null", "pair.amateur={derive: {from: expert, layers: 99, distill_updates: 1}}"],
        rows(),
        "pair.amateur.derive.layers: found 99, allowed is less than",
    ),
    "a broken model": (["pair.expert.model=./folder"], rows(), "folder"),
    "an unknown field": (["data.problms=3"], rows(), "data.problms: unknown field"),
    "an address with a key": (
        ["sampling.engine={name: server, url: 'http://h/?key=sesame'}"],
        rows(),
        "sampling.engine.url: an address with a password, key or query in it",
    ),
}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("folder/config.json").write_text("[]")
    Path("recipe.yaml").write_text(RECIPE)
    return Path("recipe.yaml")


def check(*words: str) -> tuple[int, str]:
    """Exit code and what `check` says of what is wrong."""
    found = CliRunner().invoke(app, ["check", *words])
    return found.exit_code, found.stderr.rstrip("\n")


def planned(*words: str) -> str:
    """The message with which `plan` refuses."""
    found = CliRunner().invoke(app, ["plan", *words])
    assert isinstance(found.exception, LrbenchError), (found.exception, found.output)
    return str(found.exception)


@pytest.mark.parametrize(("overrides", "content", "message"), FAULTS.values(), ids=FAULTS)
def test_check_refuses_what_plan_refuses_in_the_same_words(
    recipe: Path, overrides: list[str], content: bytes, message: str
) -> None:
    Path("problems.jsonl").write_bytes(content)
    code, said = check(str(recipe), *overrides)
    assert message in said
    assert "sesame" not in said
    assert code == 2
    assert said == planned(str(recipe), *overrides)


def test_check_takes_overrides_for_all_its_recipes_and_passes_what_plan_passes(recipe: Path) -> None:
    Path("problems.jsonl").write_bytes(rows())
    Path("key=value.yaml").write_text(RECIPE.replace("written", "other"))
    words = [str(recipe), "key=value.yaml", "data.problems=1", "seed=3"]
    found = CliRunner().invoke(app, ["check", *words])
    assert (found.exit_code, found.stdout) == (0, "recipe.yaml: valid\nkey=value.yaml: valid\n")
    code, said = check(*words, "data.problems=5")
    assert (code, said.count("has 2 problems, and 5 are asked for")) == (2, 2)


def test_check_needs_a_recipe() -> None:
    found = CliRunner().invoke(app, ["check", "seed=3"])
    assert str(found.exception) == "`check` takes one or more recipes; name them before the fields to set"
