"""A run goes on with what can be done, says once what could not, and tries that alone again."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.errors import DiskFullError, IncompleteRunError, ModelError, NonFiniteLossError, RunError
from lrbench.pipeline.failures import Cause, Failure, gathered, incomplete
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import RunReport, run_recipe
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.rollouts import GreedyRollouts
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_recipe
from lrbench.results.ledger import Ledger

SMALL: dict[str, Any] = {
    "data": {"train": "embedded/multi_step", "problems": 4},
    "sampling": {"max_new_tokens": 6, "solutions": {"samples_per_problem": 1, "max_new_tokens": 4}},
    "training": {"updates": 1, "rollouts_per_update": 2},
    "evaluation": {"suite": "embedded7", "benchmarks": ["one_step", "choice"], "limit": 2},
    "arms": ["base", "lightr"],
}
INFEASIBLE = {"grid": {"divergence.beta": [0.1, 500.0]}}


@pytest.fixture
def small(make_recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    return lambda **sections: make_recipe(**SMALL | sections)


def reasons(report: RunReport) -> dict[tuple[str, ...], str]:
    """The reason of every failure by the arms that it concerns."""
    return {failure.arms: failure.reason for failure in report.failures}


def recorded(runs: Path) -> set[tuple[str, int | None]]:
    return {(record.arm, record.seed) for record in Ledger(runs / "ledger").read().arms}


def fail(monkeypatch: pytest.MonkeyPatch, stage: type, when: Callable[[Any], bool], error: Exception) -> None:
    """Have the work of those stages of a kind fail of which `when` holds."""
    work = stage.work  # type: ignore[attr-defined]

    def failing(self: Any, *arguments: Any) -> Any:
        if when(self):
            raise error
        return work(self, *arguments)

    monkeypatch.setattr(stage, "work", failing)


def test_an_infeasible_point_is_told_with_the_numbers_that_mend_it_and_the_others_are_made(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    report = run_recipe(small(sweep=INFEASIBLE, seeds=[0, 1]), tmp_path)
    assert len(report.arm_ids) == 3
    [failure] = report.failures
    assert failure.arms == ("lightr beta=500.0 seed 0", "lightr beta=500.0 seed 1")
    assert failure.stages == ("train",)
    told = failure.reason
    assert "no step was kept" in told
    assert "divergence.beta is 500, and the largest KL of the 24 steps scored is " in told
    # The betas that it names keep what it says they keep.
    beta, kept = told.split("beta ")[-1].rstrip(")").split(" would keep ")
    again = run_recipe(small(divergence={"beta": float(beta)}), tmp_path)
    assert again.failures == ()
    [lightr] = [
        arm
        for arm in Ledger(tmp_path / "ledger").read().arms
        if arm.settings and arm.settings["divergence"]["beta"] == float(beta)
    ]
    assert lightr.statistics["kept_steps"] == int(kept)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        ValueError("Error while loading: Too many open files (os error 24)"),
    ],
)
def test_a_limit_of_the_process_is_no_fault_of_an_arm_and_ends_the_run_with_its_name(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail(monkeypatch, GreedyRollouts, lambda _: True, error)
    with pytest.raises(RunError, match=r"too many open files: this process may have [\d,]+ .*`ulimit -n"):
        run_recipe(small(), tmp_path)


def test_running_again_tries_only_what_failed(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(seeds=[0, 1])
    with monkeypatch.context() as patch:
        loss = NonFiniteLossError("the loss of update 1 is nan")
        fail(patch, TrainedAdapter, lambda stage: stage.seed == 1, loss)
        first = run_recipe(recipe, tmp_path)
    assert reasons(first) == {("lightr seed 1",): "the loss of update 1 is nan"}
    assert recorded(tmp_path) == {("base", None), ("lightr", 0)}
    second = run_recipe(recipe, tmp_path)
    assert (second.worked, second.failures) == (1 + 2, ())
    assert recorded(tmp_path) == {("base", None), ("lightr", 0), ("lightr", 1)}


def test_a_shared_stage_that_fails_is_told_once_with_every_arm_that_needs_it(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    too_long = RunError("the rollout is too long")
    fail(monkeypatch, GreedyRollouts, lambda stage: tried.append(stage) or True, too_long)
    report = run_recipe(small(arms=["base", "lightr", "no_selection", "ground_truth"]), tmp_path)
    assert reasons(report) == {("lightr", "no_selection"): "the rollout is too long"}
    assert report.failures[0].stages == ("rollouts",)
    assert len(tried) == 1
    assert recorded(tmp_path) == {("base", None), ("ground_truth", 0)}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA: can't allocate memory"), "out of memory on cpu. Lower runtime.batch_size"),
        (MemoryError(), "out of memory on cpu"),
        (KeyError("weights"), "unexpected: KeyError('weights')"),
    ],
)
def test_a_benchmark_that_fails_costs_no_other(
    small: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    fail(monkeypatch, BenchmarkScore, lambda stage: stage.benchmark == "choice", error)
    report = run_recipe(small(arms=["base"]), tmp_path)
    [failure] = report.failures
    assert failure.stages == ("evaluate on choice",)
    assert failure.reason.startswith(said)
    assert ("KeyError" in failure.details) is isinstance(error, KeyError)
    [board] = build_boards((), Ledger(tmp_path / "ledger").read().scores)
    assert board.rows[0].missing == ("choice",)


@pytest.mark.parametrize(
    "error", [DiskFullError(Path("here"), "0 bytes free"), OSError(errno.ENOSPC, "no space")]
)
def test_a_full_disk_ends_the_run(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail(monkeypatch, GreedyRollouts, lambda _: True, error)
    with pytest.raises(DiskFullError):
        run_recipe(small(), tmp_path)


def test_solutions_of_which_none_is_right_are_counted(
    small: Callable[..., Recipe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = run_recipe(small(arms=["base", "sft"]), tmp_path)
    [failure] = report.failures
    assert failure.stages == ("train",)
    assert "of 4 solutions sampled for 4 problems, none was finished with the right answer" in failure.reason
    assert ": 4 had not ended after 4 tokens; raise sampling.solutions.max_new_tokens, or" in failure.reason
    assert "100% of the sampled solutions were cut at 4 tokens, so nothing is learnt from them" in caplog.text


def test_models_that_are_missing_at_one_point_cost_that_point(
    small: Callable[..., Recipe], local_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    broken = shutil.copytree(local_pair[1], tmp_path / "broken")
    (broken / "model.safetensors").unlink()
    words = shutil.copytree(local_pair[1], tmp_path / "words")
    tokenizer = json.loads((words / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (words / "tokenizer.json").write_text(json.dumps(tokenizer))
    places = [str(local_pair[1]), str(broken), str(words)]
    report = run_recipe(small(sweep={"grid": {"pair.amateur.model": places}}), tmp_path / "runs")
    found = reasons(report)
    assert "holds no .safetensors file" in found[(f"lightr amateur.model={broken}",)]
    assert "vocabular" in found[(f"lightr amateur.model={words}",)]
    assert recorded(tmp_path / "runs") == {("base", None), ("lightr", 0)}
    with pytest.raises(ModelError, match=r"holds no \.safetensors file"):
        plan_recipe(small(sweep={"grid": {"pair.amateur.model": [str(broken)]}}), tmp_path / "runs")


def test_claims_about_an_arm_that_failed_are_not_measured(
    small: Callable[..., Recipe], tmp_path: Path
) -> None:
    run_recipe(small(divergence={"beta": 500.0}, claims=["lightr > base on average"]), tmp_path)
    contents = Ledger(tmp_path / "ledger").read()
    [board] = build_boards(contents.arms, contents.scores)
    [(_, [judgement])] = judge_recipe(contents.recipes[-1], board)
    assert (judgement.verdict, judgement.missing) == ("unmeasured", ("lightr has no result",))


def test_failures_are_listed_by_their_reasons() -> None:
    both = Cause("train", "the loss is nan")
    failures = gathered([("a", both), ("b", both), ("b", Cause("evaluate on hard", "out of memory"))])
    assert failures == (
        Failure(("a", "b"), ("train",), "the loss is nan"),
        Failure(("b",), ("evaluate on hard",), "out of memory"),
    )
    listed = str(incomplete(failures, "lrbench run r.yaml")).splitlines()
    assert listed[0].startswith("2 arms are not made or not wholly measured; all else is done.")
    assert listed[0].endswith("lrbench run r.yaml")
    assert listed[1:] == ["  a, b (train): the loss is nan", "  b (evaluate on hard): out of memory"]


class TestCommands:
    """What a user sees of it."""

    @pytest.fixture
    def file(self, small: Callable[..., Recipe], tmp_path: Path) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(resolved_yaml(small(sweep=INFEASIBLE)))
        return path

    def test_a_run_shows_its_board_then_lists_what_failed_and_exits_1(
        self, file: Path, tmp_path: Path
    ) -> None:
        runs = ["--runs", str(tmp_path / "runs")]
        found = CliRunner().invoke(app, ["run", str(file), *runs])
        assert isinstance(found.exception, IncompleteRunError)
        assert found.exception.exit_code == 1
        first, second = str(found.exception).splitlines()
        assert first.endswith(f"lrbench run {file} --runs {tmp_path / 'runs'}")
        assert second.startswith("  lightr beta=500.0 (train): no step was kept")
        assert "failed  lightr beta=500.0 (train): no step was kept" in found.stdout
        assert "1 of the 3 arms that tiny means has no result on this board" in found.stdout
        # What is known now is said before the next run.
        planned = CliRunner().invoke(app, ["plan", str(file), *runs])
        assert planned.exit_code == 1
        assert "cannot  lightr beta=500.0 (train): no step was kept" in planned.stdout

    def test_a_run_shows_its_own_board_alone(self, small: Callable[..., Recipe], tmp_path: Path) -> None:
        file = tmp_path / "base.yaml"
        file.write_text(resolved_yaml(small(arms=["base"])))
        shown = []
        for limit in (2, 1, 2):
            command = ["run", str(file), f"evaluation.limit={limit}", "--runs", str(tmp_path / "runs")]
            found = CliRunner().invoke(app, command)
            assert found.exit_code == 0, found.exception
            [_, after] = found.stdout.split("  protocol ")
            shown.append(after[:8])
        assert shown[0] == shown[2] != shown[1]

    def test_a_study_goes_on_with_its_other_recipes(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lrbench.pipeline.studying.make_tables", lambda *_: ([], []))
        other = tmp_path / "other.yaml"
        other.write_text(file.read_text().replace("name: tiny", "name: other"))
        problems = tmp_path / "problems.jsonl"
        problems.write_text("{}\n")
        edition = f"{{recipes: [{{recipe: other.yaml, overrides: ['data.train={problems}']}}, tiny.yaml]}}"
        study = tmp_path / "study.yaml"
        study.write_text(
            f"title: t\ntable: main_results\neditions:\n  paper: {edition}\n  embedded: {edition}\n"
        )
        found = CliRunner().invoke(app, ["study", str(study), "--runs", str(tmp_path / "runs")])
        assert isinstance(found.exception, IncompleteRunError), found.exception
        _, first, second = str(found.exception).splitlines()
        assert first.startswith(
            f"  other: every arm (before work): {problems}:1: each line must be an object"
        )
        assert second.startswith("  tiny: lightr beta=500.0 (train): no step was kept")
