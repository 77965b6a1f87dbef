"""DPO against its formula by autograd, against TRL, and against itself however it is cut or interrupted."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from lrbench.methods.presets import BY_NAME
from lrbench.models.pieces import Pieces
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.budget import first_samples
from lrbench.training.policy import seen_tokens
from lrbench.training.preferences import TOLD, PairLosses, Pairs
from tests.training.conftest import VOCABULARY, random_rollouts
from tests.training.test_loop import TRAINING, assert_identical, run
from tests.training.test_loss import adapted, loss_and_gradients

BETA = 0.3


@pytest.fixture(scope="module")
def paired() -> Samples:
    """Six pairs of random answers of uneven lengths; those of a pair have one prompt."""
    random = random_rollouts(12)
    rollouts = [
        Rollout(f"p{place // 2}", place % 2, random[place - place % 2].prompt_ids, each.completion_ids)
        for place, each in enumerate(random)
    ]
    dpo = BY_NAME["dpo"].ingredients
    assert dpo is not None
    return build_samples(rollouts, {}, dpo)


def reference_of(model: Any, samples: Samples) -> np.ndarray:
    log_p_N, _ = seen_tokens(model, VOCABULARY, samples.rollouts, 1.0)
    starts = np.cumsum([0, *(rollout.steps for rollout in samples.rollouts)])[:-1]
    return np.add.reduceat(log_p_N.astype(np.float64), starts)


def log_p(model: Any, rollout: Rollout) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([rollout.token_ids])).logits[0, len(rollout.prompt_ids) - 1 : -1]
    keep = [token for token in range(VOCABULARY.size) if token not in VOCABULARY.unused]
    own = torch.tensor([keep.index(token) for token in rollout.completion_ids])
    return logits[:, keep].log_softmax(-1).gather(1, own[:, None]).sum()


def by_definition(model: Any, samples: Samples, reference: np.ndarray) -> torch.Tensor:
    gained = [log_p(model, each) - r for each, r in zip(samples.rollouts, reference, strict=True)]
    margins = torch.stack([BETA * (a - b) for a, b in zip(gained[::2], gained[1::2], strict=True)])
    return -torch.nn.functional.logsigmoid(margins).mean()


def told(model: Any, samples: Samples, reference: np.ndarray, **options: Any) -> torch.Tensor:
    options = {"pieces": Pieces(10_000, 64)} | options
    batch = list(range(len(samples)))
    parts = PairLosses(BETA, reference)(model, VOCABULARY, samples, batch, **options)
    return sum(parts, torch.zeros(1 + len(TOLD)))


@pytest.mark.parametrize("cut", ["whole", "pieces", "packed", "shared"])
def test_loss_and_gradient_are_those_of_the_formula_however_it_is_cut(
    tiny_model: Callable[..., Any], paired: Samples, cut: str
) -> None:
    reference = reference_of(tiny_model(seed=1), paired)
    model = adapted(tiny_model)
    expected = loss_and_gradients(model, lambda: by_definition(model, paired, reference))

    def found() -> torch.Tensor:
        if cut == "shared":
            shares = (told(model, paired, reference, share=slice(rank, None, 2)) for rank in range(2))
            return sum(shares, torch.zeros(3))[0]
        options: dict[str, Any] = {
            "whole": {},
            "pieces": {"pieces": Pieces(20, 3)},
            "packed": {"pack": True},
        }[cut]
        return told(model, paired, reference, **options)[0]

    loss, gradient = loss_and_gradients(model, found)
    assert loss == pytest.approx(expected[0], abs=1e-5)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(gradient, expected[1], rtol=1e-3, atol=1e-5)


def test_identity_22_the_first_loss_of_every_pair_is_ln_2(
    tiny_model: Callable[..., Any], paired: Samples
) -> None:
    """Whether the training begins as the model itself, or as an adapter: that is the reference then."""
    for model in (tiny_model(seed=1), adapted(tiny_model)):
        reference = reference_of(model, paired)
        for pair in range(6):
            steps = np.flatnonzero(paired.rollout // 2 == pair).tolist()
            losses = PairLosses(BETA, reference)(model, VOCABULARY, paired, steps, pieces=Pieces(10_000, 64))
            with torch.no_grad():
                loss, margin, preferred = sum(losses, torch.zeros(3)).tolist()
            assert loss == pytest.approx(math.log(2), abs=1e-5)
            assert margin == pytest.approx(0, abs=1e-5)
            assert preferred in (0, 1)


def pairs_of(model: Any, samples: Samples) -> Pairs:
    return Pairs(samples, TRAINING, 0, BETA, reference_of(model, samples))


def test_training_prefers_the_chosen_answers_and_resumes_exactly_with_dropout(
    tiny_model: Callable[..., Any], paired: Samples
) -> None:
    learn = partial(run, samples=pairs_of(tiny_model(seed=1), paired))
    whole, trained, saved = learn(tiny_model(seed=1))
    for checkpoint in saved:
        resumed, again, _ = learn(tiny_model(seed=1), resume=checkpoint)
        assert_identical(whole, resumed)
        assert again.curves == trained.curves
    losses, margins = (
        [value for _, value in curve] for curve in (trained.curves.loss, trained.curves.margin)
    )
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert margins[0] == pytest.approx(0, abs=1e-5)
    assert losses[-1] < losses[0]
    assert margins[-1] > 0
    assert trained.curves.preferred[-1][1] > 0.5


def test_an_update_takes_whole_pairs_each_once_an_epoch(
    tiny_model: Callable[..., Any], paired: Samples
) -> None:
    batches = list(pairs_of(tiny_model(seed=1), paired).batches())
    rollouts = [set(paired.rollout[batch].tolist()) for batch in batches]
    assert {len(each) for each in rollouts} == {TRAINING.rollouts_per_update}
    assert set().union(*rollouts[:3]) == set(range(12))
    assert all({rollout ^ 1 for rollout in each} == each for each in rollouts)
    # A budget that ends within a pair leaves it out.
    within = int(np.flatnonzero(paired.rollout == 3)[0])
    cut = pairs_of(tiny_model(seed=1), first_samples(paired, tuned_tokens=within + 1, problems=None))
    assert {rollout for batch in cut.batches() for rollout in paired.rollout[batch].tolist()} == {0, 1}


def test_identity_22_trl_has_the_same_loss_and_gradient(
    tiny_model: Callable[..., Any], paired: Samples
) -> None:
    """Its trainer's own loss, given the log-probabilities of both models."""
    reason = "TRL is in none of our environments; `pip install --no-deps --target FOLDER trl==1.16.0`"
    trl = pytest.importorskip("trl.trainer.dpo_trainer", reason=reason)
    reference = reference_of(tiny_model(seed=1), paired)
    model = adapted(tiny_model)

    def sums(**_: Any) -> Any:
        """What its fused output layer gives, chosen answers first, as if each had a single token."""
        ordered = [*paired.rollouts[::2], *paired.rollouts[1::2]]
        log_probs = torch.stack([log_p(model, rollout) for rollout in ordered])[:, None]
        return SimpleNamespace(
            log_probs=log_probs,
            entropy=torch.zeros(12, 1),
            mean_logits=torch.zeros(12, 1),
            is_top1=torch.zeros(12, 1, dtype=torch.bool),
        )

    settings = {
        "aux_loss_enabled": False,
        "ld_alpha": None,
        "precompute_ref_logps": True,
        "f_divergence_type": "reverse_kl",
        "loss_types": ["sigmoid"],
        "loss_weights": [1.0],
        "beta": BETA,
        "use_weighting": False,
        "_total_train_tokens": 0,
        "_tp_size": 1,
    }
    trainer = MagicMock(**settings)
    trainer.accelerator.device = torch.device("cpu")
    trainer.accelerator.gather_for_metrics.side_effect = lambda value: value
    trainer.accelerator.gather.side_effect = lambda value: value
    inputs = {
        "input_ids": torch.zeros(12, 2, dtype=torch.int64),
        "attention_mask": torch.ones(12, 2, dtype=torch.int64),
        "completion_mask": torch.tensor([[0, 1]] * 12),
        "ref_chosen_logps": torch.tensor(reference[::2], dtype=torch.float32),
        "ref_rejected_logps": torch.tensor(reference[1::2], dtype=torch.float32),
    }
    writing = MagicMock(side_effect=sums, training=True)
    theirs = loss_and_gradients(
        model, lambda: trl.DPOTrainer._compute_loss(trainer, writing, inputs, return_outputs=False)
    )
    ours = loss_and_gradients(model, lambda: told(model, paired, reference)[0])
    assert ours[0] == pytest.approx(theirs[0], abs=1e-5)
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=1e-5)
