"""How long stages take when several workers make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush


def seconds_together(
    seconds: Mapping[str, float], inputs: Mapping[str, Collection[str]], workers: int
) -> float:
    """Seconds until all stages are made, by list scheduling (Graham 1966), as `Runner` does it.

    Whoever is free takes the first stage, in the order of `seconds`, whose inputs are made. `inputs` names
    those of each stage by key; ones that are not in `seconds` are finished already.
    """
    if workers == 1:
        # A run asks whenever a stage begins or ends, and sweeps have thousands.
        return sum(seconds.values())
    left, made, busy, now = list(seconds), set[str](), list[tuple[float, str]](), 0.0

    def next_ready() -> str | None:
        ready = (
            key for key in left if all(needed in made or needed not in seconds for needed in inputs[key])
        )
        return next(ready, None)

    while left or busy:
        while len(busy) < workers and (key := next_ready()) is not None:
            left.remove(key)
            heappush(busy, (now + seconds[key], key))
        now, key = heappop(busy)
        made.add(key)
    return now


def longest_chain(seconds: Mapping[str, float], inputs: Mapping[str, Collection[str]]) -> float:
    """Seconds of the stages that have to be made one after the other: no number of workers takes less.

    Every stage comes after its inputs in `seconds`.
    """
    ends: dict[str, float] = {}
    for key, own in seconds.items():
        ends[key] = own + max((ends[needed] for needed in inputs[key] if needed in ends), default=0.0)
    return max(ends.values(), default=0.0)
