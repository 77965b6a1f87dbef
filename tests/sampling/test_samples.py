"""Samples survive the disk, and are exported in the reference implementation's fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.methods.selectors import Kl
from lrbench.recipe.schema import Divergence
from lrbench.sampling.divergence import divergence_statistics
from lrbench.sampling.rollouts import Rollout, write_rollouts
from lrbench.sampling.samples import (
    Samples,
    build_samples,
    export_rows,
    kept_steps,
    read_samples,
    write_steps,
)
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import LoadedPair, score_rollouts


@pytest.fixture(scope="module")
def scores(pair: LoadedPair, rollouts: list[Rollout]) -> Scores:
    return score_rollouts(pair, rollouts, alpha_min=0.05)


def ingredients(arm: str) -> Ingredients:
    found = BY_NAME[arm].ingredients
    assert found is not None
    return found


def median(scores: Scores) -> Divergence:
    return Divergence(beta=float(np.median(scores.kl)))


@pytest.fixture(scope="module")
def lightr(rollouts: list[Rollout], scores: Scores) -> Samples:
    return build_samples(rollouts, {PAIR: scores}, ingredients("lightr").completed(median(scores)))


class Words:
    """A tokenizer of one letter per id."""

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join(chr(0x4E00 + token) for token in ids)


def test_lightr_keeps_the_steps_above_beta(lightr: Samples, scores: Scores) -> None:
    kept = scores.kl > np.median(scores.kl)
    assert list(zip(lightr.rollout, lightr.step, strict=True)) == list(
        zip(scores.rollout[kept], scores.step[kept], strict=True)
    )
    assert (lightr.kl > np.median(scores.kl)).all()


def test_no_contrast_learns_the_rollouts_own_token_at_the_same_steps(
    rollouts: list[Rollout], scores: Scores, lightr: Samples
) -> None:
    found = build_samples(rollouts, {PAIR: scores}, ingredients("no_contrast").completed(median(scores)))
    assert found.step.tolist() == lightr.step.tolist()
    assert found.targets.ids.tolist() == [
        rollouts[r].completion_ids[t] for r, t in zip(found.rollout, found.step, strict=True)
    ]


@pytest.mark.parametrize("arm", ["sft", "ground_truth", "neither"])
def test_arms_without_selection_keep_every_step_and_need_no_scores(rollouts: list[Rollout], arm: str) -> None:
    found = build_samples(rollouts, {}, ingredients(arm))
    assert len(found) == sum(rollout.steps for rollout in rollouts)
    assert np.isnan(found.kl).all()


def test_samples_survive_the_disk(lightr: Samples, tmp_path: Path) -> None:
    write_rollouts(tmp_path / "rollouts.parquet", lightr.rollouts)
    assert write_steps(tmp_path / "steps.parquet", [lightr]) == len(lightr)
    found = read_samples([tmp_path / "rollouts.parquet"], tmp_path / "steps.parquet")
    assert list(found.rollouts) == lightr.rollouts
    for name in ("rollout", "step", "kl"):
        np.testing.assert_array_equal(getattr(found, name), getattr(lightr, name))
    for name in ("offsets", "ids", "weights"):
        np.testing.assert_array_equal(getattr(found.targets, name), getattr(lightr.targets, name))


def test_the_export_has_the_references_fields_and_exact_prefixes(lightr: Samples) -> None:
    rows = list(export_rows(lightr, Words()))
    assert len(rows) == len(lightr)
    for index, row in enumerate(rows):
        assert list(row) == [
            "prompt_id", "step", "prefix", "tokens", "token_ids", "weights", "kl_divergence",
        ]  # fmt: skip
        rollout = lightr.rollouts[lightr.rollout[index]]
        assert row["prompt_id"] == rollout.problem_id
        assert row["prefix"] == Words().decode(rollout.prompt_ids + rollout.completion_ids[: row["step"]])
        assert len(row["tokens"]) == len(row["token_ids"]) == len(row["weights"])
        assert sum(row["weights"]) == pytest.approx(1, abs=1e-5)


def test_statistics_count_every_step_once(scores: Scores) -> None:
    found = divergence_statistics(scores, Kl(beta=0.4).keep({PAIR: scores}))
    agrees = scores.top1_expert == scores.top1_amateur
    assert sum(found["kl_histogram"]["counts"]) == found["steps"] == len(scores)
    assert found["share_kept"] == pytest.approx((scores.kl > 0.4).mean())
    assert found["top1_agreement"] == pytest.approx(agrees.mean())
    assert found["mean_kl_where_top1_differs"] == pytest.approx(scores.kl[~agrees].mean())


def test_a_model_besides_an_aligned_pair_covers_every_step(scores: Scores) -> None:
    half_N = np.arange(len(scores)) % 2 == 0
    views = {PAIR: replace(scores, covered=half_N.astype(np.float32)), ("expert", "other"): scores}
    everything = BY_NAME["no_selection"].ingredients
    assert everything is not None
    np.testing.assert_array_equal(kept_steps(views, everything.selector, 0.5), half_N)
    alone = {("expert", "other"): scores}
    assert kept_steps(alone, everything.selector, 0.5).all()
