"""`evaluation.select_on` chooses points on training problems, and the suite sees the chosen ones alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError, TooFewProblemsError
from lrbench.pipeline.gating import gate_recipe
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Progress, Silent
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.showing import show_plan
from lrbench.pipeline.workers import work_from_anywhere
from lrbench.recipe.schema import Recipe
from lrbench.recipe.selecting import VALIDATION
from lrbench.recipe.study import LoadedEdition, LoadedRecipe
from lrbench.results.board import Board, build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import standing
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.background import BackgroundMirror
from lrbench.results.records import RecipeRecord, ScoreRecord
from lrbench.results.run_status import RunStatus, statuses
from lrbench.results.selection import ChosenPoint
from lrbench.results.status_words import standing as said_of
from lrbench.results.studies.report import build_report
from lrbench.results.telling import words_on
from lrbench.results.wording import chosen_texts, labels_text, notes_on, sections
from lrbench.sampling.problems import load_held_out, load_problems, load_validation

Made = Callable[..., Recipe]
PREFILL, RATE = "arms.other.answer", "training.learning_rate"
OTHER = {"name": "other", "like": "base"}
# With the first an answer begins wrongly, with the second as most do.
GRID: dict[str, Any] = {PREFILL: [{"prefill": "7"}, {"prefill": "First"}], RATE: [1e-4, 2e-3]}
SIX = {"validation": 6}


def selecting(make_recipe: Made, **sections: Any) -> Recipe:
    """A recipe of the embedded pair whose points are chosen."""
    fields: dict[str, Any] = {
        "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
        "data": {"train": "embedded/multi_step", "problems": 8, "held_out": 2},
        "training": {"updates": 2, "rollouts_per_update": 4},
        "arms": ["base", OTHER, "lightr"],
        "seeds": [0, 1],
        "sweep": {"grid": GRID},
        "evaluation": {
            "suite": "embedded7",
            "benchmarks": ["hard", "multi_step"],
            "limit": 3,
            "select_on": SIX,
        },
        "claims": ["lightr > base on average", "lightr > other on average"],
    }
    return make_recipe(**fields | sections)


@pytest.fixture(scope="module")
def recipe(make_recipe: Made) -> Recipe:
    return selecting(make_recipe)


@pytest.fixture(scope="module")
def plan(recipe: Recipe, runs: Path) -> Plan:
    return plan_recipe(recipe, runs)


@pytest.fixture(scope="module")
def record(recipe: Recipe, runs: Path) -> RecipeRecord:
    return standing(Ledger(runs / "ledger").read().recipes)[recipe.name]


@pytest.fixture(scope="module")
def boards(runs: Path) -> tuple[Board, Board]:
    """The suite's board, and that of the validation problems."""
    contents = Ledger(runs / "ledger").read()
    suite, validation = sorted(
        build_boards(contents.arms, contents.scores, contents.recipes), key=lambda board: board.suite
    )
    assert (suite.suite, validation.suite) == ("embedded7", VALIDATION)
    return suite, validation


def best_by_hand(
    scores: Sequence[ScoreRecord], arm: str, declared: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The obvious rule: the point with most right answers over its seeds; of equal ones the first."""
    right = [
        sum(score.correct for score in scores if (score.arm, score.point) == (arm, point))
        for point in declared
    ]
    seeds = [
        len({score.seed for score in scores if (score.arm, score.point) == (arm, point)})
        for point in declared
    ]
    shares = [Fraction(count, of) for count, of in zip(right, seeds, strict=True)]
    return declared[shares.index(max(shares))]


def test_the_chosen_point_is_the_best_on_the_validation_problems(runs: Path, record: RecipeRecord) -> None:
    scores = [score for score in Ledger(runs / "ledger").read().scores if score.suite == VALIDATION]
    assert record.selection is not None
    chosen = {choice.arm: choice.point for choice in record.selection.chosen}
    assert chosen == {
        "other": best_by_hand(scores, "other", [{PREFILL: value} for value in GRID[PREFILL]]),
        "lightr": best_by_hand(scores, "lightr", [{RATE: value} for value in GRID[RATE]]),
    }
    # Of what begins wrongly less is right.
    assert chosen["other"] == {PREFILL: {"prefill": "First"}}
    assert {score.benchmark for score in scores} == {"train_multi_step"}


def test_only_chosen_points_are_measured_on_the_suite(
    runs: Path, plan: Plan, record: RecipeRecord, boards: tuple[Board, Board]
) -> None:
    suite, validation = boards
    assert plan.selecting is not None
    assert record.selection is not None
    # Two points of each arm; of `lightr` with two seeds.
    assert len(validation.rows) == len(plan.selecting.arms) == 1 + 2 + 2 * 2
    assert [(row.arm, dict(row.point)) for row in suite.rows] == [
        ("base", {}),
        ("other", {}),
        ("lightr", {}),
        ("lightr", {}),
    ]
    assert {row.arm_id for row in suite.rows} == set(record.selection.on_suite)
    # The answers to the validation problems are labels too, of what is chosen by them, and where it was.
    assert {row.arm: labels_text(row.uses) for row in suite.rows} == {
        "base": "no",
        "other": "no, 6 to choose",
        "lightr": "no, 6 to choose",
    }
    assert {labels_text(row.uses) for row in validation.rows} == {"no"}
    assert {row.arm_id for row in validation.rows} == set(record.selection.measured)
    rates = {
        arm.settings["training"]["learning_rate"]
        for arm in Ledger(runs / "ledger").read().arms
        if arm.arm_id in record.selection.on_suite and arm.arm == "lightr"
    }
    lightr = record.selection.of("lightr")
    assert lightr is not None
    assert rates == {lightr.point[RATE]}


def test_results_on_the_suite_have_no_part_in_the_choice(
    recipe: Recipe, runs: Path, plan: Plan, tmp_path: Path
) -> None:
    poisoned = tmp_path / "runs"
    shutil.copytree(runs / "store", poisoned / "store")
    for stage in plan.stages:
        if stage.name == "evaluate":
            shutil.rmtree(poisoned / "store" / stage.name / stage.key)
    contents = Ledger(runs / "ledger").read()
    flipped = [
        score.model_copy(
            update={
                name: "".join("10"[int(each)] for each in getattr(score, name)) for name in ("paper", "exact")
            }
        )
        if score.suite != VALIDATION
        else score
        for score in contents.scores
    ]
    Ledger(poisoned / "ledger").append([*contents.recipes, *contents.arms, *flipped])
    again = plan_recipe(recipe, poisoned)
    assert again.selection == plan.selection
    assert not again.is_open


def test_validation_problems_are_none_that_anything_is_learnt_from(recipe: Recipe) -> None:
    larger = recipe.data.model_copy(update={"problems": 20})
    for selection in ("first", "sample"):
        used = [data.model_copy(update={"selection": selection}) for data in (recipe.data, larger)]
        found = load_validation(used[0], 40, used)
        assert len(set(found.ids)) == 40
        for data in used:
            assert not set(found.ids) & {*load_problems(data).ids, *load_held_out(data).ids}


def test_running_again_finds_all_finished(recipe: Recipe, runs: Path, plan: Plan) -> None:
    assert plan.selecting is not None
    report = run_recipe(recipe, runs)
    stages = {stage.key for phase in plan.phases for stage in phase.stages}
    assert (report.worked, report.new_records, report.cached) == (0, 0, len(stages))


def test_the_suite_s_board_says_what_was_chosen_and_the_other_how_lucky_it_was(
    record: RecipeRecord, boards: tuple[Board, Board]
) -> None:
    suite, validation = boards
    (own,), (there,) = sections(suite), sections(validation)
    other, lightr = chosen_texts(suite, own)
    chosen = (
        'other: answer={"prefill": "First"}, chosen on 6 validation problems (best of 2 points); no optimism.'
    )
    assert other == chosen
    assert lightr.startswith("lightr: learning_rate=")
    assert words_on(validation, there, record) is None
    words = words_on(suite, own, record)
    assert words is not None
    assert f"lightr is at {lightr.removeprefix('lightr: ')}" in words.shown
    text = next(line for line in chosen_texts(validation, there) if line.startswith("other"))
    assert "best of 2 points, measured on the items that chose it" in text
    assert text.endswith("It was then measured on the suite, which had no part in that.")
    assert any("chooses points here" in note for note in notes_on(validation))


def test_claims_are_about_chosen_points_and_are_one_family(
    recipe: Recipe, runs: Path, record: RecipeRecord, boards: tuple[Board, Board]
) -> None:
    suite, validation = boards
    assert judge_recipe(record, validation) == []
    ((point, judgements),) = judge_recipe(record, suite)
    assert (point, [judgement.family for judgement in judgements]) == ({}, [2, 2])
    assert all(judgement.evidence is not None for judgement in judgements)
    gate = gate_recipe(recipe, runs, "lrbench run tiny.yaml")
    assert [judgement.verdict for _, judgement in gate.judgements] == [one.verdict for one in judgements]


def test_a_study_shows_the_chosen_points_and_what_is_missing_of_them(
    recipe: Recipe, runs: Path, record: RecipeRecord
) -> None:
    arms = tuple(arm.name for arm in recipe.arms)
    loaded = LoadedRecipe("tiny.yaml", (), recipe, arms)
    columns = ("hard", "multi_step")
    edition = LoadedEdition("near", "embedded", "Near", "", "neighbours", (loaded,), columns, arms, ())
    contents = Ledger(runs / "ledger").read()
    report = build_report(edition, contents, runs)
    accuracies, chosen = report.tables[0], report.tables[-1]
    assert [line[0] for line in accuracies.lines] == ["base", "other", "lightr"]
    assert report.missing == ()
    assert record.selection is not None
    assert [line[0] for line in chosen.lines] == [choice.arm for choice in record.selection.chosen]
    assert chosen.lines[0][1:] == ('answer={"prefill": "First"}', "best of 2 points")
    (judged,) = report.claims
    assert len(judged.claims) == len(recipe.claims)
    # Before anything is chosen, nothing is shown, however much was measured on validation problems.
    opened = record.model_copy(update={"selection": record.selection.model_copy(update={"on_suite": ()})})
    assert [
        missing.command
        for missing in build_report(edition, replace(contents, recipes=(opened,)), runs).missing
    ] == [f"lrbench run tiny.yaml --runs {runs}"]


def test_points_that_were_measured_on_the_suite_before_have_no_part_in_claims(
    recipe: Recipe, runs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "runs"
    shutil.copytree(runs, other)
    swept = recipe.model_copy(
        update={"evaluation": recipe.evaluation.model_copy(update={"select_on": None}), "name": recipe.name}
    )
    run_recipe(swept, other, command="lrbench run tiny.yaml evaluation.select_on=null")
    run_recipe(recipe, other, command="lrbench run tiny.yaml")
    contents = Ledger(other / "ledger").read()
    (suite,) = (
        board
        for board in build_boards(contents.arms, contents.scores, contents.recipes)
        if board.suite != VALIDATION
    )
    assert any(row.point for row in suite.rows)
    ((_, judgements),) = judge_recipe(standing(contents.recipes)[recipe.name], suite)
    assert [judgement.family for judgement in judgements] == [2, 2]


def test_a_point_that_is_added_opens_the_choice(make_recipe: Made, runs: Path, plan: Plan) -> None:
    wider = selecting(make_recipe, sweep={"grid": GRID | {RATE: [*GRID[RATE], 5e-3]}})
    opened = plan_recipe(wider, runs)
    assert opened.is_open
    assert opened.selection is not None
    assert opened.selection.chosen == ()
    gate = gate_recipe(wider, runs, "lrbench run tiny.yaml")
    assert {judgement.verdict for _, judgement in gate.judgements} == {"unmeasured"}
    # Once nothing is waited for any more, the point that cannot be had is left out.
    settled = plan_recipe(wider, runs, settled=True)
    assert settled.selection is not None
    assert plan.selection is not None
    left_out = [
        choice.model_copy(update={"lacking": 1}) if choice.arm == "lightr" else choice
        for choice in plan.selection.chosen
    ]
    assert list(settled.selection.chosen) == left_out


def test_a_bundle_holds_both_phases_and_a_forged_choice_is_found(
    recipe: Recipe, runs: Path, record: RecipeRecord, tmp_path: Path
) -> None:
    write_bundle([recipe.name], runs, tmp_path / "whole.zip")
    verified = verify_bundle(tmp_path / "whole.zip")
    assert verified.findings == ()
    assert (
        "train_multi_step (problems on which points are chosen, held against their hash)" in verified.absent
    )
    other = tmp_path / "other"
    shutil.copytree(runs / "store", other / "store")
    contents = Ledger(runs / "ledger").read()
    assert record.selection is not None
    forged = [
        choice.model_copy(update={"point": {PREFILL: GRID[PREFILL][0]}}) if choice.arm == "other" else choice
        for choice in record.selection.chosen
    ]
    changed = record.model_copy(
        update={"selection": record.selection.model_copy(update={"chosen": tuple(forged)})}
    )
    Ledger(other / "ledger").append([changed, *contents.arms, *contents.scores])
    write_bundle([recipe.name], other, tmp_path / "forged.zip")
    findings = "\n".join(verify_bundle(tmp_path / "forged.zip").findings)
    assert "the point chosen of other" in findings
    assert "on the suite is not other at the point chosen" in findings


PREFILLS = [{"prefill": "7"}, {"prefill": "8"}]


def smallest(make_recipe: Made) -> Recipe:
    """Three stages by which one of two points is chosen, and two on the suite."""
    return selecting(
        make_recipe,
        arms=["base", OTHER],
        seeds=None,
        sweep={"points": [{PREFILL: value} for value in PREFILLS]},
        evaluation={"suite": "embedded7", "benchmarks": ["hard"], "limit": 2, "select_on": {"validation": 2}},
        claims=[],
    )


def test_workers_make_both_phases(make_recipe: Made, tmp_path: Path) -> None:
    # Equal points: the first that is declared is taken.
    recipe = smallest(make_recipe)
    report = work_from_anywhere(recipe, tmp_path, Silent())
    assert report.worked == report.stages == 3 + 2
    assert run_recipe(recipe, tmp_path).worked == 0
    selection = standing(Ledger(tmp_path / "ledger").read().recipes)[recipe.name].selection
    assert selection is not None
    assert selection.chosen == (ChosenPoint(arm="other", point={PREFILL: PREFILLS[0]}, points=2, tied=1),)
    assert selection.chosen[0].reason == (
        "best of 2 points; another one is as good, and the first declared is taken"
    )


class Looking(Silent):
    """Keeps where a run stands as each stage begins."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.seen: list[RunStatus] = []

    def begin(self, label: str, units: int) -> Progress:
        self.seen += statuses(self.runs)
        return self


def test_a_run_of_two_phases_has_one_clock_and_waits_once_for_its_mirror(
    make_recipe: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, waits = Looking(tmp_path), []
    monkeypatch.setattr(BackgroundMirror, "finish", lambda _: waits.extend(statuses(tmp_path)))
    report = run_recipe(smallest(make_recipe), tmp_path, told)
    assert report.worked == 5
    assert [(one.phase, one.finished, one.stages) for one in told.seen] == [
        (1, 0, 5), (1, 1, 5), (1, 2, 5), (2, 3, 5), (2, 4, 5),
    ]  # fmt: skip
    assert said_of(told.seen[0]).startswith("0 of 5 stages, phase 1 of 2, ")
    assert said_of(told.seen[-1]).startswith("4 of 5 stages, phase 2 of 2, ")
    # Nothing waits between the phases, and the end is the whole run's.
    assert [(one.state, one.finished) for one in waits] == [("running", 5)]
    (last,) = statuses(tmp_path)
    assert (last.state, said_of(last)) == ("finished", "5 of 5 stages")
    assert {one.began_at for one in (*told.seen, last)} == {last.began_at}
    run_recipe(smallest(make_recipe), tmp_path, told)
    (again,) = statuses(tmp_path)
    assert (again.state, said_of(again)) == ("finished", "5 of 5 stages")


def test_plan_shows_both_phases(
    recipe: Recipe, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(plan_recipe(recipe, tmp_path), tmp_path)
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "Phase 1 of 2: every point of other, lightr (6 models), and 1 other, on 6 validation problems" in told
    )
    assert (
        "Phase 2 of 2: the point chosen then of other, lightr (3 models), and 1 other, on the suite" in told
    )
    show_plan(plan_recipe(recipe, runs), runs)
    told = " ".join(capsys.readouterr().out.split())
    assert 'Phase 2 of 2: other answer={"prefill": "First"}, lightr learning_rate=' in told
    assert told.count(": finished") == 2


def test_too_few_problems_are_told(make_recipe: Made, tmp_path: Path) -> None:
    recipe = selecting(make_recipe, evaluation={"suite": "embedded7", "select_on": {"validation": 2000}})
    with pytest.raises(TooFewProblemsError, match=r"has 1014 problems with an answer left .* set it to 1014"):
        plan_recipe(recipe, tmp_path)


def own_problems(path: Path, texts: Sequence[str], answer: str = "4") -> Path:
    path.write_text(
        "".join(f'{{"problem": "{text}", "answer": "{answer}", "id": "{text[:20]}"}}\n' for text in texts)
    )
    return path


def test_problems_that_are_learnt_from_or_measured_too_are_told(make_recipe: Made, tmp_path: Path) -> None:
    texts = [f"{name} has two apples and gets two more. How many?" for name in ("Ann", "Ben", "Cas", "Dot")]
    train = own_problems(tmp_path / "train.jsonl", [*texts, texts[0].upper()])
    tests = own_problems(tmp_path / "tests.jsonl", [texts[3], "What is two and two?"])
    suite = {"name": "mine", "benchmarks": {"sums": {"file": str(tests), "grader": "integer"}}}
    recipe = selecting(
        make_recipe,
        data={"train": str(train), "problems": 3},
        evaluation={"suite": suite, "select_on": {"validation": 2}},
        claims=[],
    )
    plan = plan_recipe(recipe, tmp_path / "runs")
    assert plan.remarks == [
        "2 of the 2 validation problems repeat items of sums (1 word for word, 1 nearly): points are chosen "
        "on what is measured there."
    ]
    assert plan.selecting is not None
    (score, *_) = (arm.scores[0] for arm in plan.selecting.arms if arm.adapter is not None)
    assert score.repeats is not None
    assert (score.repeats.exact, score.repeats.near) == (1, 1)
    # Answers are those of the suite, and its grader reads them.
    wrong = own_problems(tmp_path / "wrong.jsonl", texts, answer="four")
    fewer = recipe.data.model_copy(update={"train": str(wrong), "problems": 2})
    message = "the answer is no whole number; the grader `integer`, by which points are chosen"
    with pytest.raises(DataError, match=message):
        plan_recipe(recipe.model_copy(update={"data": fewer}), tmp_path / "runs")
