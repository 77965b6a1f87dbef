"""Signals of a step while it is written: what rules of answers look at, from the models' own distributions.

They are called as in stored scores, and are the same numbers but for what is drawn.
Shapes: B rows, V shared vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.methods.answer import lot


@dataclass(frozen=True)
class Views:
    """What is known of each row's next step: float32 log-probabilities (B, V) of a first and a second model.

    `steps` (B) are the numbers of tokens that the answers have so far, and `prompts` (B) what they answer.
    """

    first: Tensor
    second: Tensor
    steps: Sequence[int]
    prompts: Sequence[Sequence[int]]


Signal = Callable[[Views], Tensor]


def kl(views: Views) -> Tensor:
    """(B,) KL(first || second) in nats."""
    return _divergence(views.first, views.second)


def kl_reverse(views: Views) -> Tensor:
    """(B,) KL(second || first) in nats."""
    return _divergence(views.second, views.first)


def entropy(views: Views) -> Tensor:
    """(B,) the first model's entropy in nats."""
    return _entropy(views.first)


def entropy_amateur(views: Views) -> Tensor:
    """(B,) the second model's entropy in nats."""
    return _entropy(views.second)


def disagree(views: Views) -> Tensor:
    """(B,) 1 where the models' first choices differ, of equals the lowest id, and else 0."""
    return (views.first.argmax(-1) != views.second.argmax(-1)).float()


def step(views: Views) -> Tensor:
    """(B,) how many tokens the answer has so far."""
    return torch.tensor(views.steps, dtype=torch.float32, device=views.first.device)


def random(views: Views) -> Tensor:
    """(B,) a number from 0 up to 1 that prompt and step draw once and for all: a control of all others."""
    draws = [lot(f"step {step}", prompt) for step, prompt in zip(views.steps, views.prompts, strict=True)]
    return torch.tensor(draws, dtype=torch.float32, device=views.first.device)


SIGNALS: Mapping[str, Signal] = {
    signal.__name__: signal for signal in (kl, kl_reverse, entropy, entropy_amateur, disagree, step, random)
}


def _divergence(one_BV: Tensor, other_BV: Tensor) -> Tensor:
    return (one_BV.exp() * (one_BV - other_BV)).sum(-1)


def _entropy(log_p_BV: Tensor) -> Tensor:
    return -(log_p_BV.exp() * log_p_BV).sum(-1)
