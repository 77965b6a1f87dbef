"""Which row every row is set against: of each baseline of its recipe, the one that was made most like it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from lrbench.recipe.comparing import Comparisons, board_place
from lrbench.results.contrasts import paired_cells
from lrbench.results.records import ArmRecord
from lrbench.results.rows import Delta, Repeat, Row
from lrbench.results.variations import PLAIN, Variation, made_of


def set_against(
    rows: list[Row],
    width: int,
    arm_records: Mapping[str, ArmRecord],
    varied: Mapping[str, Variation],
    comparisons: Mapping[str, Comparisons],
    meant: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Iterable[Row]:
    """The rows with their deltas to the baselines of their recipes, as far as there are results of those.

    `meant` has by recipe the arms that it means here, of those that have points chosen: an arm is set against
    baselines as they were chosen, however they were made.
    """
    named: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        named[row.expert_weights, row.arm].append(row)
    rows = [_with_noise(row, rows, width) for row in rows]
    repeats: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.repeats is not None and row.noise is not None:
            repeats[row.repeats].append(row)
    order = {(weights, name): at for at, (weights, name) in enumerate(named)}
    for row in rows:
        near = _Likeness(arm_records.get(row.arm_id), varied)
        found = {}
        own = meant.get(row.recipe, ())
        for baseline in _baselines_for(row, comparisons[row.recipe], named, order):
            there = named[row.expert_weights, baseline]
            chosen = [other for other in there if other.arm_id in own] if row.arm_id in own else []
            delta = _delta(row, chosen or there, width, near)
            if delta is not None:
                further = (again for again in repeats[delta.baseline] if again.arm_id != row.arm_id)
                found[baseline] = replace(delta, repeats=tuple(_repeats(row, further, width)))
        yield replace(row, against=found)


def _with_noise(row: Row, rows: Iterable[Row], width: int) -> Row:
    """The row, set against the one that it measures once more, where it does."""
    if row.repeats is None:
        return row
    return replace(row, noise=nearest(row, [other for other in rows if other.arm_id == row.repeats], width))


def _repeats(row: Row, measured: Iterable[Row], width: int) -> Iterator[Repeat]:
    """A baseline's further measurements, as `row` is set against them."""
    for again in measured:
        delta = nearest(row, [again], width)
        if delta is not None and again.noise is not None:
            yield Repeat(again.noise, delta)


def _baselines_for(
    row: Row,
    compared: Comparisons,
    named: Mapping[tuple[str, str], list[Row]],
    order: Mapping[tuple[str, str], int],
) -> Iterable[str]:
    """Every baseline of the recipe, in the order of the rows.

    To a baseline and the untrained expert, those that stand before it among presets.
    """
    places = {
        name: board_place(name, named[row.expert_weights, name][0].preset)
        for name in compared.against
        if name != row.arm and (row.expert_weights, name) in named
    }
    own = board_place(row.arm, row.preset)
    measured_from = row.arm != compared.subject and (row.untrained or row.arm in compared.against)
    return sorted(
        (name for name in places if not measured_from or places[name] < own),
        key=lambda name: order[row.expert_weights, name],
    )


class _Likeness:
    """How alike baselines were made to one arm, in what sets them apart from each other."""

    def __init__(self, arm: ArmRecord | None, varied: Mapping[str, Variation]) -> None:
        self._arm = arm
        self._varied = varied

    @cached_property
    def _made(self) -> Mapping[str, Any]:
        return {} if self._arm is None else made_of(self._arm)

    def agreeing(self, baseline: Row) -> int:
        """In how many of the fields that set the baseline apart the arm was made like it."""
        return sum(self._agrees(baseline))

    def apart(self, baseline: Row) -> bool:
        """Whether the arm was made otherwise than the baseline in one of those fields."""
        return not all(self._agrees(baseline))

    def _agrees(self, baseline: Row) -> list[bool]:
        fields = self._varied.get(baseline.arm_id, PLAIN).fields
        return [self._made[name] == value for name, value in fields.items() if name in self._made]


def nearest(row: Row, baselines: list[Row], width: int) -> Delta | None:
    """`row` against the nearest of `baselines`, on a board of `width` benchmarks."""
    return _delta(row, baselines, width, _Likeness(None, {}))


def _delta(row: Row, baselines: list[Row], width: int, near: _Likeness) -> Delta | None:
    """`row` against the baseline nearest to it: of its recipe, point, making, seed, and the latest."""
    if not baselines:
        return None
    baseline = max(
        [other for other in baselines if other.recipe == row.recipe] or baselines,
        key=lambda other: (
            *_nearness(row.point, other.point),
            near.agreeing(other),
            other.seed == row.seed,
            other.recorded_at,
            other.arm_id,
        ),
    )
    pairs = paired_cells(row.cells, baseline.cells)
    if not pairs:
        return None
    return Delta(
        baseline=baseline.arm_id,
        baseline_recipe=baseline.recipe,
        baseline_seed=baseline.seed,
        baseline_point=baseline.point,
        baseline_variant=baseline.variant if near.apart(baseline) else "",
        pairs=pairs,
        complete=len(pairs) == width,
    )


def _nearness(point: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether two points contradict each other nowhere, and in how many fields they agree."""
    shared = point.keys() & other.keys()
    agreeing = sum(point[field] == other[field] for field in shared)
    return agreeing == len(shared), agreeing
