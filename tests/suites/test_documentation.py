"""docs/suites.md says what is so: its example, its folder, its grader and its tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from lrbench.evaluation.programs.running import LIMITS
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.suites.declaration import BenchmarkDeclaration, FieldNames, SuiteDeclaration
from lrbench.suites.grader import Answered
from lrbench.suites.graders import GRADER, GRADERS
from lrbench.suites.suite import DEFAULT_LENGTH, suite_of
from tests.methods.packages import installed, put

TEXT = (Path(__file__).parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
MINUTE, FOLDER, NAMED, PROGRAMS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
(ITEMS,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
(MODULE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_first_minute_plans_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("test.jsonl").write_text(ITEMS)
    Path("recipe.yaml").write_text(MINUTE)
    plan = plan_recipe(load_recipe("recipe.yaml"), Path("runs"))
    (score,) = plan.arms[0].scores
    assert (score.benchmark, score.size, score.measured.max_new_tokens) == ("mine", 3, 64)
    assert score.repeats is None


def test_the_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite = tmp_path / "suites" / "mine"
    suite.mkdir(parents=True)
    (suite / "suite.yaml").write_text(FOLDER)
    (suite / "sums.csv").write_text("uid,template,question,target\na,t,1+1?,2\n")
    shots = [{"problem": f"{number}+1?", "solution": f"It is {number + 1}."} for number in range(2)]
    (suite / "shots.jsonl").write_text("".join(json.dumps(shot) + "\n" for shot in shots))
    rows = [{"problem": "1+1?", "options": ["1", "2", "3"], "answer": "B"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), suite / "quiz.parquet")
    Path("test.jsonl").write_text(ITEMS)
    Path("recipe.yaml").write_text(MINUTE)
    recipe = load_recipe("recipe.yaml", ["evaluation.suite=suites/mine"])
    scores = plan_recipe(recipe, Path("runs")).arms[0].scores
    assert [(score.benchmark, score.size) for score in scores] == [("sums", 1), ("quiz", 1)]
    assert [suite_of(recipe.evaluation)[name].max_new_tokens for name in ("sums", "quiz")] == [256, 256]


def test_named_tasks_are_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(MINUTE.partition("evaluation:")[0] + NAMED)
    evaluation = load_recipe("recipe.yaml").evaluation
    assert suite_of(evaluation).names == ("arc_easy", "hellaswag", "gsm8k")
    assert evaluation.lm_eval is not None
    named = set(re.findall(r"`([a-z_]+)`", TEXT.partition("## Tasks of lm-eval")[2]))
    assert {*type(evaluation.lm_eval).model_fields} <= named
    Path("recipe.yaml").write_text(MINUTE.partition("evaluation:")[0] + PROGRAMS)
    run = load_recipe("recipe.yaml").evaluation.lm_eval
    assert run is not None
    assert (run.tasks, run.allow_code) == (("humaneval", "mbpp"), True)


def test_limits_of_programs_are_those_of_the_sandbox() -> None:
    told = TEXT.partition("### Programs that a model writes")[2]
    for words in (
        f"a disk of {LIMITS.disk_bytes >> 20} MiB",
        f"{LIMITS.seconds} s of processor time, and {LIMITS.sleeping_seconds} s on the clock",
        f"{LIMITS.memory_bytes >> 30} GiB of memory; {LIMITS.file_bytes >> 20} MiB in one file",
        f"{LIMITS.processes} processes",
    ):
        assert words in " ".join(told.split())


def test_the_grader_of_a_package_is_used(tmp_path: Path) -> None:
    with installed(
        put(tmp_path, "lrbench-suffix", "1.0", {"suffixes": MODULE}, {"suffix": "suffixes:Suffix"})
    ):
        grader = GRADER.read("suffix")
        assert grader.grade(Answered("It is red", "red", "?")).correct
        assert not grader.grade(Answered("It is red.", "red", "?")).correct
        assert grader.read("It is red") == "red"


def test_every_grader_and_every_field_is_in_the_tables() -> None:
    graders = TEXT.partition("| grader |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", graders, re.MULTILINE) == [grader.word for grader in GRADERS]
    named = set(re.findall(r"`([a-z_.A-Z]+)`", TEXT.partition("| field |")[2].partition("**Files**")[0]))
    assert {*SuiteDeclaration.model_fields} <= named
    assert {*BenchmarkDeclaration.model_fields} <= {name.rpartition(".")[2] for name in named}
    assert {*FieldNames.model_fields} <= named
    assert f"`{DEFAULT_LENGTH}`" in TEXT
