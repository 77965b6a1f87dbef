"""Which ranks the arms of an experiment may have: as many as tests of every two of them leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from lrbench.evaluation.statistics import (
    SIGNIFICANCE,
    SeedDifference,
    holm,
    largest_average_p,
    two_sided_p,
)
from lrbench.results.board import Board
from lrbench.results.contrasts import compare_arms, paired_cells, seed_test
from lrbench.results.races import share_a_model
from lrbench.results.rows import AVERAGE, Group

# A test of two single runs takes 20 ms, and there are as many as pairs.
MOST_RANKED = 24


@dataclass(frozen=True)
class Ranks:
    """The ranks that an arm may have among `of` arms, the first being 1."""

    first: int
    last: int
    of: int


def rank_ranges(board: Board, groups: Sequence[Group]) -> dict[str, Ranks]:
    """By the id of a group's first row, the ranks that are open to it on average among `groups`.

    An arm stands behind those separated above it and before those separated below, each pair tested as boards
    do, with Holm over all pairs: at 95% all ranges hold together. What stands at points of a sweep, measures
    another arm once more or lacks a benchmark has no rank; more than `MOST_RANKED` have none.
    """
    ranked = [
        group
        for group in groups
        if group.value(AVERAGE) is not None and not group.rows[0].point and not group.is_repeat
    ]
    if not 2 <= len(ranked) <= MOST_RANKED:
        return {}
    pairs = list(combinations(range(len(ranked)), 2))
    p_values = _p_values(board, [(ranked[one], ranked[other]) for one, other in pairs])
    above, below = [0] * len(ranked), [0] * len(ranked)
    for (one, other), p in zip(pairs, holm(p_values), strict=True):
        if p < SIGNIFICANCE:
            first, second = (ranked[place].value(AVERAGE) or 0.0 for place in (one, other))
            high, low = (one, other) if first > second else (other, one)
            above[low] += 1
            below[high] += 1
    return {
        group.rows[0].arm_id: Ranks(1 + above[place], len(ranked) - below[place], len(ranked))
        for place, group in enumerate(ranked)
    }


def _p_values(board: Board, pairs: Sequence[tuple[Group, Group]]) -> list[float]:
    """Two-sided p of the differences of averages; 1 for one model, and where no items are shared."""
    found = [1.0] * len(pairs)
    over_seeds: dict[int, SeedDifference] = {}
    for place, (group, other) in enumerate(pairs):
        if share_a_model(group, other):
            continue
        pool = board.pool(group.rows[0].expert_weights, AVERAGE)
        test = seed_test(group.rows, other.rows, board.benchmarks, pool)
        if test is not None:
            over_seeds[place] = test
        else:
            found[place] = _p_of_runs(board, group, other, len(pairs))
    for place, p in zip(over_seeds, two_sided_p(list(over_seeds.values())), strict=True):
        found[place] = p
    return found


def _p_of_runs(board: Board, group: Group, other: Group, pairs: int) -> float:
    """The same where one run of each is all there is."""
    if len(group.rows) == len(other.rows) == 1:
        shared = paired_cells(group.rows[0].cells, other.rows[0].cells)
        if shared.keys() >= set(board.benchmarks):
            # Ten thousand draws are not worth it where not even their bound would decide otherwise.
            bound = largest_average_p(tuple(shared[name] for name in board.benchmarks))
            if bound * pairs < SIGNIFICANCE:
                return bound
    found = compare_arms(group.rows, other.rows, board.benchmarks, None)
    return 1.0 if found is None else found.p
