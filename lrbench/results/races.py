"""Who leads a column of a board, and whether anything separates that arm from every other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lrbench.evaluation.statistics import SIGNIFICANCE, Pool, holm, largest_average_p
from lrbench.recipe.claims import AVERAGE
from lrbench.results.contrasts import compare_arms, paired_cells

if TYPE_CHECKING:
    from lrbench.results.rows import Group, Row


@dataclass(frozen=True)
class Race:
    """The arm that leads a column and the rival that it is least separated from.

    `difference` is between these two in points. `p` is two-sided and the largest over all rivals (an
    intersection-union test: the leader is best when it is better than each, so nothing is corrected for their
    number); where it shows that nothing is separated, rivals after `rival` were not looked at. `of_runs` says
    that one run of the leader and one of a rival was all there was: then the race is one of these runs, and
    says nothing of training like this.
    """

    leader: Group
    rival: Group
    difference: float
    p: float
    of_runs: bool


def find_race(
    groups: Sequence[Group], column: str, benchmarks: Sequence[str], pool: Pool | None
) -> Race | None:
    """The race among `groups` in `column`, which is made of `benchmarks`; `pool` says how far runs lie apart.

    A model does not compete with itself under another name. What measures an arm once more is a rival of all
    others where it is separated from the first measurement, and leads nowhere. None where the leader has no
    rival, or one that answered other items: what cannot be tested separates nothing.
    """
    ranked = sorted(
        (
            (value, group)
            for group in groups
            if (value := group.value(column)) is not None and (not group.is_repeat or group.leans(column))
        ),
        key=lambda ranked_group: -ranked_group[0],
    )
    leader = next((group for _, group in ranked if not group.is_repeat), None)
    if leader is None:
        return None
    race = None
    for _, rival in ranked:
        if rival is leader or share_a_model(leader, rival):
            continue
        found = _tested(leader, rival, benchmarks, pool, 0.0 if race is None else race.p)
        if found is None:
            return None
        difference, p, over_seeds = found
        of_runs = not over_seeds or (race is not None and race.of_runs)
        if race is None or p > race.p:
            race = Race(leader, rival, difference, p, of_runs)
        elif of_runs != race.of_runs:
            race = replace(race, of_runs=of_runs)
        if race.difference <= 0 or race.p >= SIGNIFICANCE:
            break
    return race


def separates(
    races: Mapping[str, Race], column: str, group: Group, benchmarks: Sequence[str], pool: Pool | None
) -> bool | None:
    """Whether `column` tells its leader from the arm `group`, tested in the rival's place.

    None where they share no items.
    """
    tested = _tested(races[column].leader, group, benchmarks, pool)
    if tested is None:
        return None
    p_values = {name: race.p for name, race in races.items()} | {column: tested[1]}
    return _adjusted(p_values)[column] < SIGNIFICANCE


def won(races: Mapping[str, Race]) -> frozenset[str]:
    """The columns whose leader is separated from all rivals: Holm over the benchmarks, the average alone."""
    p_values = _adjusted({column: race.p for column, race in races.items()})
    return frozenset(
        column for column, race in races.items() if race.difference > 0 and p_values[column] < SIGNIFICANCE
    )


def share_a_model(group: Group, other: Group) -> bool:
    """Whether any of their rows are one measurement, maybe under two names."""
    if group.measured.isdisjoint(other.measured) and not (group.is_repeat or other.is_repeat):
        # No two rows can be: a board asks this of every two arms.
        return group is other
    return any(_is_same_model(row, rival) for row in group.rows for rival in other.rows)


def _is_same_model(row: Row, other: Row) -> bool:
    shared = row.cells.keys() & other.cells.keys()
    return (
        row is other
        or row.repeats == other.arm_id
        or other.repeats == row.arm_id
        or (
            bool(shared)
            and all(
                row.cells[name].score.evaluation_key == other.cells[name].score.evaluation_key
                for name in shared
            )
        )
    )


def _adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's p by column, over all benchmarks among them; that of the average stays as it is."""
    benchmarks = [column for column in p_values if column != AVERAGE]
    corrected = holm([p_values[column] for column in benchmarks])
    return dict(p_values) | dict(zip(benchmarks, corrected, strict=True))


def _tested(
    leader: Group, rival: Group, benchmarks: Sequence[str], pool: Pool | None, least: float = 0.0
) -> tuple[float, float, bool] | None:
    """The difference of two arms' means in points, its two-sided p, and whether seeds beyond one are in it.

    None where no items are shared. A p that cannot exceed `least` may come out as another that does not.
    """
    single = len(leader.rows) == len(rival.rows) == 1
    if least and single and len(benchmarks) > 1:
        # Ten thousand draws are not worth it where not even their bound would decide.
        pairs = paired_cells(leader.rows[0].cells, rival.rows[0].cells)
        if pairs.keys() >= set(benchmarks):
            bound = largest_average_p(tuple(pairs[name] for name in benchmarks))
            if bound <= least:
                return 0.0, bound, False
    found = compare_arms(leader.rows, rival.rows, benchmarks, pool)
    return None if found is None else (found.difference, found.p, found.runs is not None)
