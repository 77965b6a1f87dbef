"""Answers of several models the slow way: every prefix read anew, plain Python over distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from tests.oracles.scoring import distribution, support

Ids = tuple[int, ...]
# The distributions of all models at a step, by name, and how many tokens the answer has so far.
Rule = Callable[[Mapping[str, list[float]], int], bool]
# Many answers begin alike, and a forward for each of their prefixes takes nearly all of the time.
read = lru_cache(maxsize=20_000)(distribution)


def mixed(
    models: Mapping[str, Any],
    weights: Mapping[str, float],
    prompt: Ids,
    length: int,
    stops: Ids,
    *,
    size: int = 64,
    unused: Ids = (),
    alpha: float | None = None,
    rule: Rule = lambda _p, _step: True,
) -> Ids:
    """Greedy: the plausible token with the largest weighted sum of log p, of equals the first."""
    ids = list(prompt)
    first = next(iter(weights))
    while len(ids) < len(prompt) + length and (len(ids) == len(prompt) or ids[-1] not in stops):
        p = {name: read(model, tuple(ids), size, unused) for name, model in models.items()}
        allowed = [token for token in range(size) if token not in unused]
        scores = {token: p[first][token] for token in allowed}
        if rule(p, len(ids) - len(prompt)):
            plausible = allowed if alpha is None else support(p[first], alpha)
            scores = {
                token: sum(weight * math.log(p[name][token]) for name, weight in weights.items())
                for token in plausible
            }
        ids.append(max(scores, key=lambda token: scores[token]))
    return tuple(ids[len(prompt) :])
