"""Rollouts of several sources in proportion: which of each are taken, decided by counts alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction


def mixing_order(seed: int, problem_ids: Sequence[str]) -> list[str]:
    """The problems in an order that depends on the seed and on each problem's id alone."""
    return sorted(problem_ids, key=lambda problem: hashlib.sha256(f"{seed}/{problem}".encode()).digest())


def taken(
    order: Sequence[str], counts: Sequence[Mapping[str, int]], shares: Sequence[Fraction]
) -> list[dict[str, int]]:
    """How many rollouts of each problem every part gives, `counts` being how many it has.

    A problem is of one part: of those that have rollouts of it, the one that lacks most. Then rollouts are
    left out, from the end of the order, so that the counts of all parts are within one of their shares. Of a
    single part all are taken.
    """
    whole = sum(shares)
    wanted = [share / whole for share in shares]
    given: list[dict[str, int]] = [{} for _ in counts]
    totals = [0] * len(counts)
    for problem in order:
        having = [part for part, has in enumerate(counts) if has.get(problem)]
        if not having:
            continue
        part = max(having, key=lambda part: (wanted[part] * sum(totals) - totals[part], wanted[part], -part))
        given[part][problem] = counts[part][problem]
        totals[part] += counts[part][problem]
    together = min(total // share for total, share in zip(totals, wanted, strict=True))
    exact = [together * share for share in wanted]
    kept = [int(each) for each in exact]
    most = sorted(range(len(kept)), key=lambda part: (kept[part] - exact[part], part))
    for part in most[: int(together) - sum(kept)]:
        kept[part] += 1
    return [_first(found, count) for found, count in zip(given, kept, strict=True)]


def _first(given: Mapping[str, int], count: int) -> dict[str, int]:
    found = {}
    for problem, has in given.items():
        if count <= 0:
            break
        found[problem] = min(has, count)
        count -= has
    return found
