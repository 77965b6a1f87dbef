"""The slow, obvious way: one forward per (prefix, step), plain Python over whole distributions."""

from __future__ import annotations

import math
from typing import Any

import torch

from lrbench.sampling.rollouts import Rollout


def distribution(model: Any, prefix: tuple[int, ...], size: int, unused: tuple[int, ...] = ()) -> list[float]:
    """p(. | prefix) over the first `size` ids, without the unused ones, in float64."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prefix])).logits[0, -1, :size].double()
    logits[list(unused)] = -math.inf
    return torch.softmax(logits, dim=-1).tolist()


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def support(p: list[float], alpha: float) -> list[int]:
    return [token for token, value in enumerate(p) if value >= alpha * max(p)]


def contrast(p: list[float], q: list[float], alpha: float) -> dict[int, float]:
    advantage = {token: math.log(p[token]) - math.log(q[token]) for token in support(p, alpha)}
    total = sum(math.exp(value) for value in advantage.values())
    return {token: math.exp(value) / total for token, value in advantage.items()}


def prefixes(rollout: Rollout) -> list[tuple[int, ...]]:
    return [rollout.prompt_ids + rollout.completion_ids[:step] for step in range(rollout.steps)]
