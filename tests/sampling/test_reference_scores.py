"""Scores with the hazards of the public scripts, held against the definitions one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.errors import RunError
from lrbench.methods.fidelity import Fidelity, kept_as_scripted
from lrbench.methods.readings import PAIR
from lrbench.sampling.reference_scores import EPSILON, processed, score_as_scripted
from lrbench.sampling.retokenising import respelt
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import LoadedPair, score_rollouts

ALPHA_MIN = 0.05


def scored(pair: LoadedPair, rollouts: list[Rollout], *hazards: str, **options: Any) -> Scores:
    return score_as_scripted(pair, rollouts, Fidelity.of(hazards), alpha_min=ALPHA_MIN, **options)


def last_logits(model: Any, ids: tuple[int, ...]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1]


def prefixes(rollouts: list[Rollout]) -> list[tuple[int, ...]]:
    return [
        rollout.token_ids[: len(rollout.prompt_ids) + step]
        for rollout in rollouts
        for step in range(rollout.steps)
    ]


def test_without_a_hazard_they_are_our_own_scores(pair: LoadedPair, rollouts: list[Rollout]) -> None:
    ours, theirs = score_rollouts(pair, rollouts, alpha_min=ALPHA_MIN), scored(pair, rollouts)
    for field in fields(Scores):
        own, found = getattr(ours, field.name), getattr(theirs, field.name)
        if own is None or found is None:
            assert own is found
        else:
            np.testing.assert_allclose(found, own, rtol=1e-4, atol=2e-5, err_msg=field.name)


def test_a_cut_vocabulary_is_whole_softmaxes_cut_to_the_shorter_one(
    pair: LoadedPair, rollouts: list[Rollout], tiny_model: Callable[..., Any]
) -> None:
    amateur = tiny_model(seed=2, layers=1)
    amateur.resize_token_embeddings(50)
    cut = LoadedPair(pair.expert, amateur, pair.vocabulary)
    with pytest.raises(RunError, match="and the amateur has rows for 50 alone; leave `vocabulary_cut` out"):
        scored(cut, rollouts, "vocabulary_cut")
    rollouts = [
        replace(
            rollout,
            prompt_ids=tuple(id_ % 50 for id_ in rollout.prompt_ids),
            completion_ids=tuple(id_ % 50 for id_ in rollout.completion_ids),
        )
        for rollout in rollouts
    ]
    scores = scored(cut, rollouts, "vocabulary_cut")
    for kl, prefix in zip(scores.kl, prefixes(rollouts), strict=True):
        expert = torch.softmax(last_logits(pair.expert, prefix), -1)[:50]
        amateurs = torch.softmax(last_logits(amateur, prefix), -1)[:50]
        assert kl == pytest.approx((expert * (expert / amateurs).log()).sum().item(), abs=1e-4)
    # Ids that stand for no token of the expert are compared, and never learnt.
    assert not set(scores.support_ids.tolist()) & {*pair.vocabulary.unused, *range(50, 64)}


def test_processed_distributions_have_the_epsilon_and_the_processors(
    pair: LoadedPair, rollouts: list[Rollout]
) -> None:
    scores = scored(
        pair,
        rollouts,
        "distributions_processed",
        "vocabulary_cut",
        processors={"temperature": 0.5, "top_k": 9},
    )
    for kl, prefix in zip(scores.kl, prefixes(rollouts), strict=True):
        logits = last_logits(pair.expert, prefix) / 0.5
        logits[logits < logits.topk(9).values[-1]] = -torch.inf
        expert = torch.softmax(logits, -1) + EPSILON
        amateur = torch.softmax(last_logits(pair.amateur, prefix), -1) + EPSILON
        assert kl == pytest.approx((expert * (expert.log() - amateur.log())).sum().item(), abs=1e-4)


def test_a_repeated_token_is_penalised_by_what_is_before_its_own_step() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]])
    found = processed(logits, [(0,), (1, 2)], {"repetition_penalty": 2.0})
    assert found.tolist() == [[1.0, -2.0, 1.0], [2.0, -4.0, 0.5]]
    assert processed(logits, [(0,), (1,)], {}).tolist() == logits.tolist()


def test_the_amateurs_softmax_is_taken_in_its_own_dtype(
    pair: LoadedPair, rollouts: list[Rollout], tiny_model: Callable[..., Any]
) -> None:
    coarse = LoadedPair(pair.expert, tiny_model(seed=2, layers=1).bfloat16(), pair.vocabulary)
    kept, rounded = (scored(coarse, rollouts, *hazards) for hazards in ((), ("distributions_processed",)))
    support = np.exp(rounded.support_log_p_amateur)
    assert not np.array_equal(kept.kl, rounded.kl)
    # A logarithm in bfloat16 has at most eight bits.
    bits = torch.from_numpy(rounded.support_log_p_amateur)
    assert torch.equal(bits, bits.bfloat16().float())
    assert support.max() <= 1.01


class Respelling:
    """A tokenizer that reads what it has written with every pair of 9s as one 10."""

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(id_) for id_ in ids)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [ord(letter) for letter in text.replace("\t\t", "\n")]


def test_the_amateur_reads_prefixes_tokenised_again_and_the_expert_its_own(pair: LoadedPair) -> None:
    rollouts = [Rollout("a", 0, (12, 13), (9, 9, 20)), Rollout("b", 0, (14,), (30, 31))]
    tokenizer: Any = Respelling()
    steps = [(rollout, step) for rollout in rollouts for step in range(rollout.steps)]
    assert dict(respelt(tokenizer, steps)) == {2: (12, 13, 10)}
    ours = scored(pair, rollouts)
    theirs = scored(pair, rollouts, "amateur_retokenised", tokenizer=tokenizer)
    np.testing.assert_allclose(theirs.entropy_expert, ours.entropy_expert, atol=2e-5)
    changed = np.abs(theirs.entropy_amateur - ours.entropy_amateur) > 1e-4
    assert changed.tolist() == [False, False, True, False, False]
    read = last_logits(pair.amateur, (12, 13, 10))
    keep = [token for token in range(pair.vocabulary.size) if token not in pair.vocabulary.unused]
    log_p = torch.log_softmax(read[keep], -1)
    assert theirs.entropy_amateur[2] == pytest.approx(-(log_p.exp() * log_p).sum().item(), abs=1e-4)


def test_the_first_step_is_skipped_and_exactly_beta_is_kept(
    pair: LoadedPair, rollouts: list[Rollout]
) -> None:
    scores = scored(pair, rollouts)
    beta = float(scores.kl[scores.step > 0][0])
    above = scores.kl > np.float32(beta)

    def kept(*hazards: str, threshold: float | None = beta) -> list[bool]:
        return kept_as_scripted(Fidelity.of(hazards), above, {PAIR: scores}, threshold).tolist()

    assert kept() == above.tolist()
    assert kept("beta_included") == (scores.kl >= np.float32(beta)).tolist() != above.tolist()
    assert kept("beta_included", threshold=None) == above.tolist()
    assert kept("first_step_skipped") == (above & (scores.step > 0)).tolist() != above.tolist()
