"""Samples of selectors by signal and rule: what must be the same is, and controls have as many steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.methods.selector import Selector
from lrbench.methods.selectors import All, Kl, Rule
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples, keeper, kept_steps
from lrbench.sampling.scores import Scores, keep_covered, taken
from lrbench.sampling.scoring import LoadedPair, score_rollouts

LEAST = 0.8


@pytest.fixture(scope="module")
def scores(pair: LoadedPair, rollouts: list[Rollout]) -> Scores:
    return score_rollouts(pair, rollouts, alpha_min=0.05)


@pytest.fixture(scope="module")
def kl(scores: Scores) -> Kl:
    return Kl(beta=float(np.median(scores.kl)))


@pytest.fixture(scope="module")
def aligned(scores: Scores) -> Scores:
    """As of a pair that shares too little at a third of the steps."""
    covered = np.where(np.random.default_rng(0).random(len(scores)) < 1 / 3, 0.5, 1)
    return replace(scores, covered=covered.astype(np.float32))


def contrasted(selector: Selector) -> Ingredients:
    found = BY_NAME["lightr"].ingredients
    assert found is not None
    return found.model_copy(update={"selector": selector, "target": found.target.completed(0.2)})


def matched(to: Selector, seed: int = 0, signal: str = "random") -> Rule:
    written = Rule.model_validate({"signal": signal, "match": "lightr"})
    return written.matching(lambda _: to).seeded(seed)


def counts(kept: NDArray[np.bool_], scores: Scores) -> list[int]:
    """How many steps of each rollout are kept."""
    return np.bincount(scores.rollout[kept], minlength=scores.rollout[-1] + 1).tolist()


def assert_same(left: Samples, right: Samples) -> None:
    for name in ("rollout", "step", "kl"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in ("offsets", "ids", "weights"):
        np.testing.assert_array_equal(getattr(left.targets, name), getattr(right.targets, name))


def test_the_whole_top_of_a_signal_is_no_selection(rollouts: list[Rollout], scores: Scores) -> None:
    whole = build_samples(rollouts, {PAIR: scores}, contrasted(All()))
    top = build_samples(rollouts, {PAIR: scores}, contrasted(Rule(signal="entropy", top=1.0)))
    assert_same(whole, top)
    assert len(whole) == len(scores)


def test_the_divergence_above_beta_is_the_paper_s_selector(
    rollouts: list[Rollout], scores: Scores, kl: Kl
) -> None:
    rule = Rule(signal="kl", above=kl.beta)
    assert_same(
        build_samples(rollouts, {PAIR: scores}, contrasted(kl)),
        build_samples(rollouts, {PAIR: scores}, contrasted(rule)),
    )


def test_random_steps_are_as_many_in_every_rollout_and_others_by_another_seed(scores: Scores, kl: Kl) -> None:
    views = {PAIR: scores}
    first, other = (kept_steps(views, matched(kl, seed)) for seed in (0, 1))
    assert counts(first, scores) == counts(other, scores) == counts(kept_steps(views, kl), scores)
    assert first.tolist() != other.tolist()


@pytest.mark.parametrize("selector", ["random", "entropy"])
def test_samples_in_parts_are_those_of_the_whole(
    rollouts: list[Rollout], scores: Scores, kl: Kl, selector: str
) -> None:
    chosen = matched(kl) if selector == "random" else Rule(signal="entropy", top=0.4)
    whole = build_samples(rollouts, {PAIR: scores}, contrasted(chosen))
    parts = [{PAIR: score_part(scores, start, start + 2)} for start in range(0, len(rollouts), 2)]
    keep = keeper(chosen, lambda: parts, None)
    built = [
        build_samples(
            rollouts[2 * place : 2 * place + 2], part, contrasted(chosen), None, keep(part), 2 * place
        )
        for place, part in enumerate(parts)
    ]
    found = [
        (2 * place + r, t)
        for place, part in enumerate(built)
        for r, t in zip(part.rollout, part.step, strict=True)
    ]
    assert found == list(zip(whole.rollout, whole.step, strict=True))


def score_part(scores: Scores, first: int, last: int) -> Scores:
    """The scores of some rollouts, under the numbers that they have in the source."""
    start, stop = np.searchsorted(scores.rollout, [first, last])
    offsets = scores.offsets[start : stop + 1]
    return taken(scores, slice(start, stop), slice(offsets[0], offsets[-1]), offsets - offsets[0])


class TestAligned:
    """Of a pair that is aligned by tokens no selector sees what is not covered."""

    def test_random_steps_are_as_many_as_are_kept_of_those_that_can_be_compared(
        self, aligned: Scores, kl: Kl
    ) -> None:
        views = {PAIR: aligned}
        like = kept_steps(views, kl, LEAST)
        assert like.sum() < kept_steps(views, kl).sum()
        for signal in ("random", "entropy"):
            kept = kept_steps(views, matched(kl, signal=signal), LEAST)
            assert counts(kept, aligned) == counts(like, aligned)
            assert not (kept & ~keep_covered(aligned, LEAST)).any()

    def test_a_share_is_one_of_the_steps_that_can_be_compared(self, aligned: Scores) -> None:
        covered = keep_covered(aligned, LEAST)
        kept = kept_steps({PAIR: aligned}, Rule(signal="entropy", top=0.5), LEAST)
        assert kept.sum() == round(0.5 * covered.sum())
        assert aligned.entropy_expert[kept].min() >= np.median(aligned.entropy_expert[covered])

    def test_a_threshold_is_the_same_with_and_without_the_others(self, aligned: Scores, kl: Kl) -> None:
        expected = kl.keep({PAIR: aligned}) & keep_covered(aligned, LEAST)
        assert kept_steps({PAIR: aligned}, kl, LEAST).tolist() == expected.tolist()
