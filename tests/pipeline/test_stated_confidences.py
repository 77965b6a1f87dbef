"""`measure.confidence` is read in what was written: nothing is made again, and bundles hold it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.rows import AVERAGE
from tests.pipeline.running import artifact_of

PATTERN = r"I am (\d+)% sure"


@pytest.fixture(scope="module")
def make_candid(make_recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    def build(**sections: Any) -> Recipe:
        fields: dict[str, Any] = {
            "pair": {"expert": {"model": "embedded/candid"}},
            "arms": ["base"],
            "evaluation": {"suite": "embedded7", "benchmarks": ["multi_step", "hard"], "limit": 6},
        }
        return make_recipe(**fields | sections)

    return build


@pytest.fixture(scope="module")
def recipe(make_candid: Callable[..., Recipe]) -> Recipe:
    return make_candid()


@pytest.fixture(scope="module")
def read(make_candid: Callable[..., Recipe], runs: Path) -> Recipe:
    """The same recipe that reads confidences, run behind it."""
    recipe = make_candid(measure={"confidence": PATTERN})
    assert not run_recipe(recipe, runs).failures
    return recipe


def test_nothing_is_made_again(recipe: Recipe, read: Recipe, runs: Path) -> None:
    before, after = ([stage.key for stage in plan_recipe(one, runs).stages] for one in (recipe, read))
    assert before == after
    assert len(list((runs / "store" / "evaluate").iterdir())) == 2


def test_records_hold_what_the_answers_say(read: Recipe, runs: Path) -> None:
    contents = Ledger(runs / "ledger").read()
    (arm,) = plan_recipe(read, runs).arms
    stated = {score.benchmark: score.stated for score in contents.scores if score.stated}
    for score in arm.scores:
        texts = [row["completion"] for row in read_items(artifact_of(runs, score))]
        found = [re.findall(r"I am (\d+)% sure", text) for text in texts]
        assert stated[score.benchmark] == (tuple(int(one[-1]) / 100 if one else None for one in found),)
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    (row,) = board.rows
    seen = row.stated(AVERAGE)
    assert seen is not None
    assert seen.calibration is not None
    # It was trained to say one of four.
    assert seen.share.value == 1
    assert {one.high for one in seen.calibration.bins} <= {0.2, 0.4, 0.6, 1.0}


def test_a_bundle_holds_it_and_a_changed_one_is_told(read: Recipe, runs: Path, tmp_path: Path) -> None:
    write_bundle([read.name], runs, tmp_path / "whole.zip")
    assert verify_bundle(tmp_path / "whole.zip").findings == ()
    other = tmp_path / "other"
    shutil.copytree(runs / "store", other / "store")
    contents = Ledger(runs / "ledger").read()
    scores = [
        score if score.stated is None else score.model_copy(update={"stated": ((0.99,) * score.n,)})
        for score in contents.scores
    ]
    for record in contents.recipes:
        Ledger(other / "ledger").append([record])
    Ledger(other / "ledger").append([*contents.arms, *scores])
    write_bundle([read.name], other, tmp_path / "changed.zip")
    findings = verify_bundle(tmp_path / "changed.zip").findings
    assert len([line for line in findings if "stated confidences are not those" in line]) == 2
