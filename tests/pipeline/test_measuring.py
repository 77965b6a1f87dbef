"""`measure`: every item is answered several times, by seeds of its own; all draws are kept and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.evaluation.graded_items import read_draws, read_items
from lrbench.evaluation.protocol import protocol
from lrbench.evaluation.statistics import average_at_k, majority_at_k, pass_at_k_of_items
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages import evaluation as stage
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from lrbench.results.records import ScoreRecord
from lrbench.store.draft import Draft
from lrbench.store.keys import stable_hash
from tests.pipeline.running import artifact_of

MEASURE = {"samples": 3, "temperature": 0.8, "top_p": 0.95}


@pytest.fixture(scope="module")
def make_measured(make_recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    def build(**sections: Any) -> Recipe:
        fields: dict[str, Any] = {
            "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            "arms": ["base", {"name": "given", "like": "base", "answer": {"prefill": ""}}, "cd"],
            "evaluation": {"suite": "embedded7", "benchmarks": ["one_step", "formula"], "limit": 5},
            "measure": MEASURE,
        }
        return make_recipe(**fields | sections)

    return build


@pytest.fixture(scope="module")
def recipe(make_measured: Callable[..., Recipe]) -> Recipe:
    return make_measured()


def rows_of(runs: Path, arm: ArmPlan, place: int = 0) -> list[dict[str, Any]]:
    return list(read_draws(artifact_of(runs, arm.scores[place])))


def completions(runs: Path, arm: ArmPlan) -> list[str]:
    return [row["completion"] for row in rows_of(runs, arm)]


@pytest.fixture(scope="module")
def scores(runs: Path) -> dict[tuple[str, str], ScoreRecord]:
    return {(score.arm, score.benchmark): score for score in Ledger(runs / "ledger").read().scores}


class TestProtocol:
    def test_without_it_is_greedy_as_it_always_was(
        self, make_measured: Callable[..., Recipe], runs: Path
    ) -> None:
        plain = make_measured(measure=None)
        (arm, *_) = plan_recipe(plain, runs).arms
        for score in arm.scores:
            before = protocol(score.measured, score.items, engine="hf", dtype="float32", batch_size=64)
            assert score.protocol == before
            assert before["decoding"] == "greedy"
            assert before.keys().isdisjoint(MEASURE)

    def test_says_how_answers_are_sampled(self, arms: dict[str, ArmPlan]) -> None:
        found = arms["base"].scores[0].protocol
        assert found | {"decoding": "sampled", "seed": 0} | MEASURE == found

    @pytest.mark.parametrize("change", [{"samples": 4}, {"temperature": 0.6}, {"top_p": 1.0}, {"seed": 1}])
    def test_every_setting_makes_another_one(
        self,
        make_measured: Callable[..., Recipe],
        runs: Path,
        arms: dict[str, ArmPlan],
        change: dict[str, Any],
    ) -> None:
        (other, *_) = plan_recipe(make_measured(measure=MEASURE | change), runs).arms
        assert stable_hash(other.scores[0].protocol) != stable_hash(arms["base"].scores[0].protocol)
        # How an arm is made has nothing to do with it.
        assert other.model == arms["base"].model


class TestDraws:
    def test_of_an_item_follow_one_another(self, runs: Path, arms: dict[str, ArmPlan]) -> None:
        rows = rows_of(runs, arms["base"])
        ids = [row["id"] for row in rows]
        assert ids == [item for item in dict.fromkeys(ids) for _ in range(3)]
        assert len(set(ids)) == 5
        assert [row["draw"] for row in rows] == [0, 1, 2] * 5

    def test_are_apart_and_the_first_stands_for_an_item(self, runs: Path, arms: dict[str, ArmPlan]) -> None:
        rows = rows_of(runs, arms["base"])
        assert len({row["completion"] for row in rows}) > 5
        assert list(read_items(artifact_of(runs, arms["base"].scores[0]))) == rows[::3]

    def test_are_those_of_the_model_whatever_answers_with_it(
        self, runs: Path, arms: dict[str, ArmPlan]
    ) -> None:
        """A word that is none is given, so that its engine is another one."""
        assert completions(runs, arms["given"]) == completions(runs, arms["base"])

    def test_of_several_models_are_sampled_from_what_they_say_together(
        self, runs: Path, arms: dict[str, ArmPlan]
    ) -> None:
        assert completions(runs, arms["cd"]) != completions(runs, arms["base"])
        assert artifact_of(runs, arms["cd"].scores[0]).statistics["passes"].keys() == {"amateur", "expert"}

    def test_do_not_depend_on_batches_shards_or_what_else_is_drawn(
        self,
        make_measured: Callable[..., Recipe],
        runs: Path,
        arms: dict[str, ArmPlan],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(stage, "ITEMS_PER_SHARD", 4)
        evaluation = {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 4}
        fewer = make_measured(
            arms=["base"], evaluation=evaluation, measure=MEASURE | {"samples": 2}, runtime={"batch_size": 1}
        )
        assert not run_recipe(fewer, tmp_path).failures
        (arm,) = plan_recipe(fewer, tmp_path).arms
        found = {(row["id"], row["draw"]): row["completion"] for row in rows_of(tmp_path, arm)}
        before = {(row["id"], row["draw"]): row["completion"] for row in rows_of(runs, arms["base"])}
        assert len(found) == 8
        assert found.items() <= before.items()

    def test_of_another_seed_are_others(
        self, make_measured: Callable[..., Recipe], runs: Path, arms: dict[str, ArmPlan], tmp_path: Path
    ) -> None:
        evaluation = {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 5}
        other = make_measured(arms=["base"], evaluation=evaluation, measure=MEASURE | {"seed": 1})
        assert not run_recipe(other, tmp_path).failures
        (arm,) = plan_recipe(other, tmp_path).arms
        assert completions(tmp_path, arm) != completions(runs, arms["base"])

    def test_are_the_same_when_a_run_was_cut_off_between_them(
        self, make_measured: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class CutOff(BaseException):
            pass

        monkeypatch.setattr(stage, "ITEMS_PER_SHARD", 6)
        evaluation = {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 5}
        recipe = make_measured(arms=["base"], evaluation=evaluation)
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        assert not run_recipe(recipe, whole).failures
        commit = Draft.commit

        def once(self: Draft, *args: Any, **options: Any) -> Path:
            path = commit(self, *args, **options)
            if self._origin.stage == "evaluate":
                raise CutOff
            return path

        # A shard at a time: nothing but what is committed outlives it.
        for _ in range(2):
            monkeypatch.setattr(Draft, "commit", once)
            with pytest.raises(CutOff):
                run_recipe(recipe, cut)
        monkeypatch.setattr(Draft, "commit", commit)
        assert not run_recipe(recipe, cut).failures
        for arm in plan_recipe(recipe, whole).arms:
            for score in arm.scores:
                assert artifact_of(cut, score).content_hash == artifact_of(whole, score).content_hash


class TestRecords:
    def test_hold_the_outcomes_of_every_draw_and_of_their_majority(
        self, runs: Path, arms: dict[str, ArmPlan], scores: dict[tuple[str, str], ScoreRecord]
    ) -> None:
        for place, benchmark in enumerate(("one_step", "formula")):
            rows = rows_of(runs, arms["base"], place)
            score = scores["base", benchmark]
            right = np.array([row["paper"] for row in rows]).reshape(5, 3)
            assert score.draws is not None
            assert [list(map(int, draw)) for draw in score.draws] == right.T.astype(int).tolist()
            assert score.paper == score.draws[0]
            votes = [[row["vote"] for row in rows[start : start + 3]] for start in range(0, 15, 3)]
            assert score.majority is not None
            assert score.agreeing == tuple(max(map(of_item.count, of_item)) for of_item in votes)
            assert majority_at_k(right, votes, 3).value == pytest.approx(score.majority.count("1") / 5)
            assert score.tokens == sum(row["tokens"] for row in rows)
            assert score.truncated == sum(row["truncated"] for row in rows)

    def test_make_boards_of_avg_pass_and_maj_at_k(
        self, runs: Path, scores: dict[tuple[str, str], ScoreRecord]
    ) -> None:
        contents = Ledger(runs / "ledger").read()
        (board,) = build_boards(contents.arms, contents.scores)
        (row,) = [row for row in board.rows if row.arm == "base"]
        right = np.array([list(map(int, draw)) for draw in scores["base", "formula"].draws or ()]).T
        assert row.on("formula") == average_at_k(right)
        found = row.of_draws("formula")
        assert found is not None
        assert found[0].value == pytest.approx(pass_at_k_of_items(right, 3).value)
        assert row.uses.tokens_per_answer == pytest.approx(
            sum(score.tokens or 0 for (arm, _), score in scores.items() if arm == "base") / 30
        )

    def test_a_changed_draw_is_no_record_of_them(self, scores: dict[tuple[str, str], ScoreRecord]) -> None:
        values = json.loads(scores["base", "formula"].model_dump_json())
        for change in ({"draws": ["11111", "0"]}, {"majority": None}, {"draws": None}, {"majority": "1"}):
            with pytest.raises(ValueError, match="draw"):
                ScoreRecord.model_validate_json(json.dumps(values | change))


def test_a_plan_says_how_often_items_are_answered(recipe: Recipe, runs: Path) -> None:
    labels = [score.label for arm in plan_recipe(recipe, runs).arms for score in arm.scores]
    assert "base on one_step (5 items, 3 samples at temperature 0.8 each)" in labels
