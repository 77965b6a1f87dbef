"""Whole updates of SFT on the same rollouts, same tokens: ours against a bare loop of PyTorch and PEFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from experiments.bench.comparisons import wait
from experiments.bench.measuring import Comparison, in_turn
from experiments.bench.subjects import Subject
from lrbench.methods.presets import BY_NAME
from lrbench.models.forward import pad_right
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import build_samples
from lrbench.training.adapters import attach_adapter
from lrbench.training.dropout import TokenDropout
from lrbench.training.gradients import Gradients
from lrbench.training.portions import Portion
from lrbench.training.team import Team

SETTINGS = Training()
Update = Callable[[], float]


def against_bare(name: str, subject: Subject, rollouts: Sequence[Rollout], runs: int) -> Comparison:
    """P9: one update over all completion tokens of the rollouts."""
    steps = sum(rollout.steps for rollout in rollouts)
    return in_turn(
        f"SFT, {name}, {len(rollouts)} rollouts, {steps} steps: ours, against a bare loop",
        our_update(subject, rollouts),
        bare_update(subject, rollouts),
        "at least 1",
        runs,
    )


def our_update(subject: Subject, rollouts: Sequence[Rollout]) -> Update:
    """An update as training makes it, dropout by token included; gives its loss."""
    ingredients = BY_NAME["sft"].ingredients
    assert ingredients is not None
    samples = build_samples(rollouts, {}, ingredients)
    adapted = attach_adapter(deepcopy(subject.pair.expert), subject.lora, seed=0).train()
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    gradients = Gradients(
        adapted.get_base_model(),
        subject.pair.vocabulary,
        weights,
        TokenDropout(adapted, seed=0),
        Runtime(),
        Team(),
    )
    optimizer = _optimizer(weights)

    def update() -> float:
        loss = gradients.of(0, Portion(samples, range(len(samples)))).item()
        _step(optimizer, weights)
        return loss

    return update


def bare_update(subject: Subject, rollouts: Sequence[Rollout]) -> Update:
    """An update as anyone would write it: padded rows, logits of all completion positions at once."""
    lora = subject.lora
    torch.manual_seed(0)
    adapted = get_peft_model(
        deepcopy(subject.pair.expert),
        LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.target_modules),
            task_type="CAUSAL_LM",
        ),
    ).train()
    model: Any = adapted.get_base_model()
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = _optimizer(weights)

    def update() -> float:
        ids_BT = pad_right([rollout.token_ids for rollout in rollouts], model.device)
        rows, columns, labels = (
            torch.tensor(values, device=model.device)
            for values in zip(
                *(
                    (row, len(rollout.prompt_ids) - 1 + step, token)
                    for row, rollout in enumerate(rollouts)
                    for step, token in enumerate(rollout.completion_ids)
                ),
                strict=True,
            )
        )
        hidden_ND = model.model(input_ids=ids_BT, use_cache=False).last_hidden_state[rows, columns]
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden_ND).float(), labels)
        loss.backward()
        _step(optimizer, weights)
        return loss.item()

    return update


def _optimizer(weights: Sequence[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(weights, lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay)


def _step(optimizer: torch.optim.Optimizer, weights: Sequence[torch.Tensor]) -> None:
    torch.nn.utils.clip_grad_norm_(weights, SETTINGS.max_gradient_norm)
    optimizer.step()
    optimizer.zero_grad()
    wait()
