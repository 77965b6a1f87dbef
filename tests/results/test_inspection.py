"""What a result was made from is read back whole, and what is gone is said, not guessed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lrbench.errors import StoreError
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger, LedgerContents

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
SMALL = [
    "data.problems=4",
    "runtime.workers=1",
    "training.updates=1",
    "evaluation.limit=2",
    "evaluation.benchmarks=[multi_step, choice]",
    "arms=[base, lightr, ground_truth]",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        run_recipe(load_recipe(QUICKSTART, SMALL), runs)
    return runs


@pytest.fixture(scope="module")
def contents(finished: Path) -> LedgerContents:
    return Ledger(finished / "ledger").read()


def test_a_scores_items_are_those_of_its_outcomes_with_what_was_asked(
    finished: Path, contents: LedgerContents
) -> None:
    for score in contents.scores:
        items = Inspector(finished).items(score)
        assert "".join("01"[item["paper"]] for item in items) == score.paper
        assert all(item["problem"] and isinstance(item["completion"], str) for item in items)


def test_every_token_of_scored_rollouts_reads_as_something(finished: Path, contents: LedgerContents) -> None:
    lightr = next(arm for arm in contents.arms if arm.arm == "lightr")
    found = Inspector(finished).scored_rollouts(lightr)
    assert found is not None
    assert len(found.rollouts) == 4
    assert len(found.scores) == sum(rollout.steps for rollout in found.rollouts)
    for ids in (found.scores.support_ids, found.scores.top1_amateur, found.scores.top1_expert):
        assert set(np.unique(ids).tolist()) <= set(found.texts)
    for rollout in found.rollouts:
        written = "".join(found.texts[token] for token in rollout.token_ids)
        assert written.startswith("<|im_start|>user\n")
        assert written.count("<|im_start|>assistant") == 1


def test_an_arm_without_an_amateur_has_no_scored_rollouts(finished: Path, contents: LedgerContents) -> None:
    arms = {arm.arm: arm for arm in contents.arms}
    assert Inspector(finished).scored_rollouts(arms["base"]) is None
    assert Inspector(finished).scored_rollouts(arms["ground_truth"]) is None


def test_what_was_removed_or_damaged_is_said_and_the_rest_still_read(
    finished: Path, contents: LedgerContents, tmp_path: Path
) -> None:
    runs = shutil.copytree(finished, tmp_path / "runs")
    lightr = next(arm for arm in contents.arms if arm.arm == "lightr")
    shutil.rmtree(runs / "store" / "scores")
    (curves,) = (runs / "store" / "train" / lightr.stages["train"]).glob("curves.json")
    curves.write_text(curves.read_text().replace("0", "1"))
    before = sorted(runs.rglob("*"))
    inspector = Inspector(runs)
    with pytest.raises(StoreError, match=r"scores/.* is not in .*Running the recipe again makes it anew"):
        inspector.scored_rollouts(lightr)
    stages = dict(inspector.stages(lightr))
    assert [name for name, found in stages.items() if isinstance(found, StoreError)] == ["scores", "train"]
    assert "is damaged" in str(stages["train"])
    assert sorted(runs.rglob("*")) == before
