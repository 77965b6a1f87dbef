"""Learning from rewards: the published formulas, by autograd, and by TRL."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.selectors import All
from lrbench.methods.sources import Solutions
from lrbench.methods.targets import OwnToken
from lrbench.models.forward import shared_logits
from lrbench.models.pieces import Pieces
from lrbench.recipe.schema import Lora
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.adapters import attach_adapter
from lrbench.training.policy import PolicyLosses, advantages, most_uncertain, seen_tokens
from tests.training.conftest import VOCABULARY, random_rollouts

OWN = Ingredients(source=Solutions(), selector=All(), target=OwnToken())
REWARDS = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])


def adapted_model(model: Any) -> PeftModel:
    """With an adapter that changes it already."""
    adapted = attach_adapter(model, Lora(r=4, dropout=0.0), seed=0)
    torch.manual_seed(5)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return adapted


def gradient(adapted: PeftModel, losses: list[torch.Tensor]) -> tuple[float, torch.Tensor]:
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    for weight in weights:
        weight.grad = None
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    found = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    return sum(loss.item() for loss in losses), found


def seen(adapted: PeftModel, rollouts: list[Rollout], temperature: float) -> dict[str, np.ndarray]:
    model = adapted.get_base_model()
    log_p, entropy = seen_tokens(model, VOCABULARY, rollouts, temperature)
    with adapted.disable_adapter():
        expert, _ = seen_tokens(model, VOCABULARY, rollouts, temperature)
    return {"log_p": log_p, "entropy": entropy, "expert": expert}


def ours(
    adapted: PeftModel, rollouts: list[Rollout], *, kl: float, temperature: float, share: float
) -> tuple[float, torch.Tensor]:
    samples: Samples = build_samples(rollouts, {}, OWN)
    known = seen(adapted, rollouts, temperature)
    each = np.repeat(advantages(REWARDS).flatten(), [rollout.steps for rollout in rollouts])
    kept = most_uncertain(known["entropy"], share)
    losses = PolicyLosses(
        (each * kept).astype(np.float32),
        known["expert"] if kl else None,
        kl,
        temperature,
        len(samples),
    )
    parts = losses(
        adapted.get_base_model(), VOCABULARY, samples, range(len(samples)), pieces=Pieces(40, positions=9)
    )
    return gradient(adapted, list(parts))


def test_the_advantages_of_a_group_are_its_standardised_rewards_and_nought_where_all_are_equal() -> None:
    found = advantages(REWARDS)
    assert found[0] == pytest.approx(np.array([0.5, -0.5, -0.5, 0.5]) / (3**-0.5 + 1e-4))
    assert not found[1].any()
    # A mean that rounds must not make an advantage of nothing.
    assert not advantages(np.full((1, 3), 0.1)).any()


def test_the_most_uncertain_tokens_are_the_share_with_the_highest_entropy() -> None:
    entropy = np.array([0.1, 2.0, 0.3, 1.0, 0.2], dtype=np.float32)
    assert most_uncertain(entropy, 1.0).all()
    assert most_uncertain(entropy, 0.4).tolist() == [False, True, False, True, False]
    assert most_uncertain(np.zeros(0, dtype=np.float32), 0.2).shape == (0,)


@pytest.mark.parametrize(("kl", "temperature", "share"), [(0.0, 1.0, 1.0), (0.1, 0.7, 1.0), (0.05, 1.3, 0.2)])
def test_loss_and_gradient_are_those_of_the_formula(
    tiny_model: Callable[..., Any], kl: float, temperature: float, share: float
) -> None:
    adapted, rollouts = adapted_model(tiny_model(seed=1)), random_rollouts(12)
    found = ours(adapted, rollouts, kl=kl, temperature=temperature, share=share)
    known = seen(adapted, rollouts, temperature)
    kept = torch.from_numpy(most_uncertain(known["entropy"], share))
    model, log_p = adapted.get_base_model(), []
    for rollout in rollouts:
        logits = shared_logits(model(torch.tensor([rollout.token_ids])).logits[0].clone(), VOCABULARY)
        chosen = torch.log_softmax(logits[len(rollout.prompt_ids) - 1 : -1] / temperature, dim=-1)
        log_p.append(chosen.gather(1, torch.tensor(rollout.completion_ids)[:, None])[:, 0])
    log_p_N = torch.cat(log_p)
    assert log_p_N.detach().numpy() == pytest.approx(known["log_p"], abs=1e-5)
    ratio = (log_p_N - log_p_N.detach()).exp()
    each = torch.from_numpy(np.repeat(advantages(REWARDS).flatten(), [r.steps for r in rollouts])).float()
    further = torch.from_numpy(known["expert"]) - log_p_N
    loss = (-ratio * each * kept + kl * (further.exp() - further - 1)).mean()
    expected = gradient(adapted, [loss])
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("kl", "temperature", "share"), [(0.0, 1.0, 1.0), (0.1, 0.7, 1.0), (0.05, 1.3, 0.2)])
def test_loss_and_gradient_are_those_of_trl(
    tiny_model: Callable[..., Any],
    kl: float,
    temperature: float,
    share: float,
) -> None:
    reason = "TRL is in none of our environments; `pip install --no-deps --target FOLDER trl==1.16.0`"
    trl = pytest.importorskip("trl.trainer.grpo_trainer", reason=reason)
    GRPOTrainer, nanstd = trl.GRPOTrainer, trl.nanstd
    adapted, rollouts = adapted_model(tiny_model(seed=1)), random_rollouts(12)
    found = ours(adapted, rollouts, kl=kl, temperature=temperature, share=share)
    rewards = torch.from_numpy(REWARDS).float()
    deviation = nanstd(rewards, dim=1)[:, None]
    trl_advantages = ((rewards - rewards.mean(1, keepdim=True)) / (deviation + 1e-4)).flatten()
    inputs = padded(rollouts) | {"advantages": trl_advantages}
    trainer = GRPOTrainer.__new__(GRPOTrainer)
    vars(trainer).update(settings(kl, share), model=adapted)

    def scored(model: Any, temperature: float = temperature) -> tuple[torch.Tensor, torch.Tensor]:
        """What TRL has its patched model give: log p of the tokens written, and entropies."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(ids, attention_mask=mask, position_ids=positions).logits
        count = inputs["completion_ids"].shape[1]
        logits = shared_logits(logits[:, -count - 1 : -1].flatten(0, 1).clone(), VOCABULARY) / temperature
        log_p = torch.log_softmax(logits, dim=-1).view(len(ids), count, -1)
        entropy = torch.special.entr(log_p.exp()).sum(-1)
        return log_p.gather(2, inputs["completion_ids"][:, :, None])[:, :, 0], entropy

    with adapted.disable_adapter(), torch.no_grad():
        inputs["ref_per_token_logps"] = scored(adapted.get_base_model())[0]

    def log_p_and_entropies(*_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor, None]:
        return (*scored(adapted.get_base_model()), None)

    trainer._get_per_token_logps_and_entropies = log_p_and_entropies
    adapted.eval()
    expected = gradient(adapted, [trainer._compute_loss(adapted, inputs)])
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-5)


def padded(rollouts: list[Rollout]) -> dict[str, Any]:
    """Prompts padded on the left and completions on the right, as TRL has them."""
    prompts = max(len(rollout.prompt_ids) for rollout in rollouts)
    longest = max(rollout.steps for rollout in rollouts)
    before = [prompts - len(rollout.prompt_ids) for rollout in rollouts]
    after = [longest - rollout.steps for rollout in rollouts]
    return {
        "prompt_ids": torch.tensor(
            [[0] * b + [*r.prompt_ids] for b, r in zip(before, rollouts, strict=True)]
        ),
        "prompt_mask": torch.tensor([[0] * b + [1] * (prompts - b) for b in before]),
        "completion_ids": torch.tensor(
            [[*r.completion_ids] + [0] * a for a, r in zip(after, rollouts, strict=True)]
        ),
        "completion_mask": torch.tensor([[1] * (longest - a) + [0] * a for a in after]),
        "num_items_in_batch": torch.tensor(sum(rollout.steps for rollout in rollouts)),
    }


def settings(kl: float, share: float) -> dict[str, Any]:
    """Of a trainer: those of TRL 1.16 by default, but for what is tried."""
    from collections import defaultdict

    one_process = SimpleNamespace(
        num_processes=1,
        pad_across_processes=lambda tensor, **_: tensor,
        gather=lambda tensor: tensor,
        gather_for_metrics=lambda tensor: tensor,
        reduce=lambda tensor, **_: tensor,
        sync_gradients=True,
    )
    return {
        "accelerator": one_process,
        "args": SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        "top_entropy_quantile": share,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "token",
        "beta": kl,
        "loss_type": "dapo",
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "use_vllm": False,
        "vllm_importance_sampling_correction": False,
        "current_gradient_accumulation_steps": 1,
        "aux_loss_enabled": False,
        "_entropy_bonus_enabled": False,
        "_metrics": {"train": defaultdict(list), "eval": defaultdict(list)},
    }
