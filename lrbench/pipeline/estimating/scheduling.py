"""How long stages take when several workers make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

UNDIVIDED: Mapping[str, int] = MappingProxyType({})


def seconds_together(
    seconds: Mapping[str, float],
    inputs: Mapping[str, Collection[str]],
    workers: int,
    parts: Mapping[str, int] = UNDIVIDED,
) -> float:
    """Seconds until all stages are made, by list scheduling (Graham 1966), as `Runner` does it.

    Whoever is free takes the first stage, in the order of `seconds`, whose inputs are made; where there is
    none, it helps with the one that has longest to go and fewer workers than `parts`. That divides as if
    parts were as small as one likes. `inputs` names those of each stage by key; ones that are not in
    `seconds` are finished already.
    """
    if workers == 1:
        # A run asks whenever a stage begins or ends, and sweeps have thousands.
        return sum(seconds.values())
    waiting, made, now = list(seconds), set[str](), 0.0
    left: dict[str, float] = {}

    def next_ready() -> str | None:
        ready = (
            key for key in waiting if all(needed in made or needed not in seconds for needed in inputs[key])
        )
        return next(ready, None)

    while waiting or left:
        while len(left) < workers and (key := next_ready()) is not None:
            waiting.remove(key)
            left[key] = seconds[key]
        at = _divided(left, workers, parts)
        first = min(left, key=lambda key: left[key] / at[key])
        passed = left[first] / at[first]
        now += passed
        left = {key: rest - passed * at[key] for key, rest in left.items()}
        del left[first]
        made.add(first)
    return now


def _divided(left: Mapping[str, float], workers: int, parts: Mapping[str, int]) -> dict[str, int]:
    """How many workers are at each stage that has so many seconds left."""
    at = dict.fromkeys(left, 1)
    for _ in range(workers - len(left)):
        sharing = [key for key in left if at[key] < parts.get(key, 1)]
        if not sharing:
            break
        at[max(sharing, key=lambda key: left[key] / at[key])] += 1
    return at


def longest_chain(
    seconds: Mapping[str, float],
    inputs: Mapping[str, Collection[str]],
    parts: Mapping[str, int] = UNDIVIDED,
) -> float:
    """Seconds of the stages that have to be made one after the other: no number of workers takes less.

    Every stage comes after its inputs in `seconds`, and may be made in so many `parts` at once.
    """
    ends: dict[str, float] = {}
    for key, own in seconds.items():
        before = max((ends[needed] for needed in inputs[key] if needed in ends), default=0.0)
        ends[key] = before + own / parts.get(key, 1)
    return max(ends.values(), default=0.0)
