"""Soft targets against their definition: a model that is taught what it thinks already has nothing to learn.

Identities 16 (a student taught by a mentor) and 19 (self-distillation) of docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.methods.component import EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.targets import mixed
from lrbench.models.forward import hidden_states
from lrbench.recipe.schema import Lora
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from lrbench.training.adapters import attach_adapter
from lrbench.training.loss import batch_losses
from tests.training.conftest import VOCABULARY, random_rollouts

MENTOR = "mentor"
# So far down that every token is stored.
EVERYTHING = 1e-30


@pytest.fixture(scope="module")
def rollouts() -> list[Rollout]:
    return random_rollouts(6)


def taught(
    rollouts: list[Rollout], teacher: Any, other: Any, target: Any, reading: Reading = (MENTOR, EXPERT)
) -> Samples:
    """Samples of every step, with `teacher` as the first model of the reading."""
    scores = score_rollouts(LoadedPair(teacher, other, VOCABULARY), rollouts, alpha_min=EVERYTHING)
    ingredients = Ingredients.model_validate({"source": "greedy", "selector": "all", "target": target})
    return build_samples(rollouts, {reading: scores}, ingredients)


def soft(of: str, temperature: float = 1.0) -> dict[str, Any]:
    return {"use": "soft", "of": of, "temperature": temperature}


def loss_of(model: Any, samples: Samples) -> torch.Tensor:
    return sum(batch_losses(model, VOCABULARY, samples, range(len(samples))), torch.zeros(()))


def first_gradient(model: Any, samples: Samples) -> float:
    """The largest entry of the gradient of a fresh adapter, which is no change yet."""
    adapted = attach_adapter(model, Lora(r=4, dropout=0.0), seed=0)
    loss_of(adapted.get_base_model(), samples).backward()
    found = [weight.grad.abs().max() for weight in adapted.parameters() if weight.grad is not None]
    adapted.unload()
    return float(max(found))


def test_identity_19_one_s_own_distribution_at_temperature_1_gives_no_gradient_at_first(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    other = tiny_model(seed=2)
    own = {
        temperature: taught(rollouts, tiny_model(seed=1), other, soft(EXPERT, temperature), PAIR)
        for temperature in (1.0, 0.5)
    }
    assert loss_of(tiny_model(seed=1), own[1.0]).item() == pytest.approx(0.0, abs=1e-6)
    assert first_gradient(tiny_model(seed=1), own[1.0]) < 1e-6
    assert first_gradient(tiny_model(seed=1), own[0.5]) > 1e-3


def test_identity_16_a_mentor_that_is_the_student_gives_no_gradient_at_first(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    student = tiny_model(seed=1)
    same = taught(rollouts, tiny_model(seed=1), student, soft(MENTOR))
    another = taught(rollouts, tiny_model(seed=2), student, soft(MENTOR))
    assert first_gradient(tiny_model(seed=1), same) < 1e-6
    assert first_gradient(tiny_model(seed=1), another) > 1e-3


def test_identity_16_the_gradient_of_a_logit_is_what_student_and_mentor_differ_by(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    """d loss / d logits = p_S - p_T: read off the output layer, whose gradient is its product with h."""
    student, mentor = tiny_model(seed=1), tiny_model(seed=2)
    samples = taught(rollouts, mentor, student, soft(MENTOR))
    student.lm_head.weight = torch.nn.Parameter(student.lm_head.weight.detach().clone())
    loss_of(student, samples).backward()

    expected_RD = torch.zeros_like(student.lm_head.weight)
    allowed = torch.tensor([token for token in range(VOCABULARY.size) if token not in VOCABULARY.unused])
    with torch.no_grad():
        for rollout in rollouts:
            ids_1T = torch.tensor([rollout.token_ids])
            places = slice(len(rollout.prompt_ids) - 1, -1)
            hidden_SD = hidden_states(student, ids_1T)[0, places]
            p_student, p_mentor = (
                model(input_ids=ids_1T).logits[0, places][:, allowed].softmax(-1)
                for model in (student, mentor)
            )
            expected_RD[allowed] += (p_student - p_mentor).T @ hidden_SD / len(samples)
    torch.testing.assert_close(student.lm_head.weight.grad, expected_RD, rtol=1e-4, atol=1e-6)


def test_identity_16_a_mentor_without_weight_leaves_the_loss_of_the_own_tokens(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    """As the objective has it: a recipe leaves such a part out."""
    student = tiny_model(seed=1)
    alone = taught(rollouts, tiny_model(seed=2), student, "own_token")
    mentored = taught(rollouts, tiny_model(seed=2), student, soft(MENTOR))
    targets = mixed([(alone.targets, 1.0), (mentored.targets, 0.0)])
    assert len(targets.ids) > len(alone.targets.ids)
    found = Samples(rollouts, alone.rollout, alone.step, alone.kl, targets)
    assert loss_of(student, found).item() == pytest.approx(loss_of(student, alone).item(), abs=1e-7)
    assert np.all(alone.targets.weights == 1)
