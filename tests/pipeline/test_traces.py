"""`measure.traces` keeps what the tokens of answers say; without it nothing is as much as named otherwise."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from lrbench.embedded.assets import model_folder
from lrbench.evaluation.graded_items import read_draws
from lrbench.models.prompt import render_prompt
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import Board, build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.records import ScoreRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rendering.latex import boards_to_latex
from lrbench.results.rows import AVERAGE
from tests.pipeline.running import artifact_of

MEASURE = {"traces": True, "samples": 2, "temperature": 0.7}


@pytest.fixture(scope="module")
def make_verbose(make_recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    def build(**sections: Any) -> Recipe:
        fields: dict[str, Any] = {
            "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            "arms": ["base", "cd", {"name": "begun", "like": "base", "answer": {"prefill": "So"}}],
            "evaluation": {"suite": "embedded7", "benchmarks": ["multi_step", "hard"], "limit": 8},
        }
        return make_recipe(**fields | sections)

    return build


@pytest.fixture(scope="module")
def recipe(make_verbose: Callable[..., Recipe]) -> Recipe:
    return make_verbose(measure=MEASURE)


@pytest.fixture(scope="module")
def board(runs: Path) -> Board:
    contents = Ledger(runs / "ledger").read()
    (found,) = build_boards(contents.arms, contents.scores, contents.recipes)
    return found


def test_answers_on_both_suites_stand_on_one_board_with_those_without(
    make_verbose: Callable[..., Recipe], runs: Path
) -> None:
    asked = (MEASURE | {"forgetting": "embedded_talk", "traces": traces} for traces in (True, False))
    plans = (plan_recipe(make_verbose(measure=measure), runs) for measure in asked)
    traced, without = ([arm.scores for arm in plan.arms] for plan in plans)
    assert {score.measured.suite for score in sum(traced, ())} == {"embedded7", "embedded_talk"}
    for one, other in zip(sum(traced, ()), sum(without, ()), strict=True):
        assert one.protocol == other.protocol
        assert one.identity == {**other.identity, "traces": 1}
        assert one.key != other.key


def test_rows_hold_the_likelihood_of_every_draw(recipe: Recipe, runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    for arm in plan_recipe(recipe, runs).arms:
        for score in arm.scores:
            rows = list(read_draws(artifact_of(runs, score)))
            assert len(rows) == 16
            given = sum(row.get("origins", {}).get("given", 0) for row in rows)
            assert sum(row["tokens"] for row in rows) == sum(row["trace"]["scored"] for row in rows) + given
            (record,) = (one for one in contents.scores if one.evaluation_key == score.key)
            assert record.traces is not None
            assert record.traces.nll[1] == tuple(row["trace"]["nll"] for row in rows[1::2])
            for row in rows:
                assert 0 < row["trace"]["nll"] < math.inf
                assert row["trace"]["first_right"] is not None or not row["paper"]


def test_boards_have_what_they_say(board: Board) -> None:
    rows = {row.arm: row.traced(AVERAGE) for row in board.rows}
    base, both = rows["base"], rows["cd"]
    assert base is not None
    assert both is not None
    assert base.n == 32
    assert base.nats_per_token is not None
    assert both.nats_per_token is not None
    # What two models write together is less likely to one of them than what it writes itself.
    assert base.nats_per_token.value < both.nats_per_token.value
    assert base.right_once.value >= next(row for row in board.rows if row.arm == "base").average.value  # type: ignore[union-attr]
    lines = list(csv.DictReader(io.StringIO(boards_to_csv([board]))))
    (line,) = (one for one in lines if (one["arm"], one["benchmark"]) == ("base", AVERAGE))
    assert float(line["trace_nats_per_token"]) == pytest.approx(base.nats_per_token.value, rel=1e-4)
    assert float(line["likelihood_n"]) == 32
    for text in (boards_to_markdown([board]), boards_to_latex([board])):
        assert "nats per token" in text
        assert "geometric" in text


def test_a_bundle_holds_them_and_changed_ones_are_told(recipe: Recipe, runs: Path, tmp_path: Path) -> None:
    write_bundle([recipe.name], runs, tmp_path / "whole.zip")
    assert verify_bundle(tmp_path / "whole.zip").findings == ()
    shutil.copytree(runs / "store", tmp_path / "other" / "store")
    contents = Ledger(runs / "ledger").read()
    ledger = Ledger(tmp_path / "other" / "ledger")
    ledger.append(contents.recipes)
    ledger.append([*contents.arms, *map(_likelier, contents.scores)])
    write_bundle([recipe.name], tmp_path / "other", tmp_path / "changed.zip")
    findings = verify_bundle(tmp_path / "changed.zip").findings
    assert len([line for line in findings if "its traces are not those of its answers" in line]) == 6


def _likelier(score: ScoreRecord) -> ScoreRecord:
    assert score.traces is not None
    nll = tuple((0.0,) * score.n for _ in score.outcomes)
    return score.model_copy(update={"traces": score.traces.model_copy(update={"nll": nll})})


def test_a_record_of_other_answers_is_none(runs: Path) -> None:
    score = Ledger(runs / "ledger").read().scores[0]
    values = score.model_dump(mode="json")
    for name, wrong in (("nll", [[1.0]]), ("scored", [[10**6] * score.n] * 2), ("truncated", ["0"])):
        with pytest.raises(ValidationError, match="the traces"):
            ScoreRecord.model_validate_json(json.dumps(values | {"traces": values["traces"] | {name: wrong}}))


def test_a_finished_recipe_does_nothing_again(recipe: Recipe, runs: Path) -> None:
    assert run_recipe(recipe, runs).worked == 0


WEIGHED = {"traces": True, "weighed_by": "teacher"}
TEACHER = {"teacher": {"model": "embedded/careful"}}


def test_tokens_are_weighed_by_a_model_of_the_recipe(
    make_verbose: Callable[..., Recipe], tmp_path: Path
) -> None:
    evaluation = {"suite": "embedded7", "benchmarks": ["multi_step"], "limit": 3}
    asked = make_verbose(measure=WEIGHED, models=TEACHER, arms=["base"], evaluation=evaluation)
    without = make_verbose(measure={"traces": True}, arms=["base"], evaluation=evaluation)
    assert not run_recipe(asked, tmp_path).failures
    (score,) = plan_recipe(asked, tmp_path).arms[0].scores
    (plain,) = plan_recipe(without, tmp_path).arms[0].scores
    assert score.protocol == plain.protocol
    assert {**score.identity, "weighed_by": None} == {**plain.identity, "weighed_by": None}
    assert score.key != plain.key
    tokenizer, own, other = map(
        loaded, (AutoTokenizer, *[AutoModelForCausalLM] * 2), ("expert", "expert", "careful")
    )
    for row in read_draws(artifact_of(tmp_path, score)):
        prompt = render_prompt(tokenizer, row["problem"], None)
        completion = [*tokenizer.encode(row["completion"]), tokenizer.eos_token_id]
        assert len(completion) == row["tokens"]
        nats, likely = (-log_p(own, prompt, completion), log_p(other, prompt, completion).exp())
        weights = (likely - likely.min()) / (likely.max() - likely.min())
        assert row["trace"]["weighed_nll"] == pytest.approx(float(nats @ weights), abs=2e-3)
        assert row["trace"]["weight"] == pytest.approx(float(weights.sum()), abs=2e-3)
    contents = Ledger(tmp_path / "ledger").read()
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    assert "weighed nats per token" in boards_to_markdown(boards)
    assert "trace_weighed_nats_per_token_low" in boards_to_csv(boards)
    write_bundle([asked.name], tmp_path, tmp_path / "bundle.zip")
    assert verify_bundle(tmp_path / "bundle.zip").findings == ()


def loaded(kind: Any, name: str) -> Any:
    return kind.from_pretrained(
        model_folder(name), **({} if kind is AutoTokenizer else {"dtype": torch.float32})
    )


def log_p(model: Any, prompt: list[int], completion: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]
