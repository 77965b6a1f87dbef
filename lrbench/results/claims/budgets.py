"""Whether two arms learnt under equal budgets: updates, tokens, problems and seconds, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrbench.results.rows import Row
from lrbench.results.uses import TRAIN_STAGE

# Tokens and seconds are never equal to the last one: an update is not cut in two.
TOLERANCE = 0.05
_EXACT = ("updates", "sampled problems", "problem draws")


@dataclass(frozen=True)
class Spent:
    """One unit of budget and what either arm spent of it, averaged over seeds."""

    unit: str
    first: float
    second: float

    @property
    def matched(self) -> bool:
        """Whether both spent the same; tokens, problems learnt from and seconds within 5%."""
        allowed = 0.0 if self.unit in _EXACT else TOLERANCE * max(self.first, self.second)
        return abs(self.first - self.second) <= allowed


@dataclass(frozen=True)
class BudgetMatch:
    """Two arms' budgets, unit by unit; `note` says why there are none to set side by side, if so."""

    spent: tuple[Spent, ...]
    note: str = ""

    @property
    def differing(self) -> tuple[Spent, ...]:
        """The units of which one arm spent more than the other."""
        return tuple(spent for spent in self.spent if not spent.matched)

    @property
    def matched(self) -> bool:
        """Whether all units are known and equal."""
        return not self.note and not self.differing


def match_budgets(first: Sequence[Row], second: Sequence[Row]) -> BudgetMatch:
    """The budgets of two arms, each given by its rows over seeds, at least one."""
    untrained = [rows[0].arm for rows in (first, second) if _is_not_trained(rows[0])]
    if untrained:
        return BudgetMatch((), f"{untrained[0]} is not trained")
    unrecorded = [rows[0].arm for rows in (first, second) if any(row.costs is None for row in rows)]
    if unrecorded:
        return BudgetMatch((), f"costs of {' and '.join(unrecorded)} are not recorded")
    ours, theirs = _spent(first), _spent(second)
    if not any(row.costs is not None and row.costs.drawn_problems for row in (*first, *second)):
        # Where nothing is drawn again, these are the sampled problems.
        del ours["problem draws"], theirs["problem draws"]
    unknown = [unit for unit in ours if not ours[unit] or not theirs[unit]]
    known = tuple(Spent(unit, ours[unit], theirs[unit]) for unit in ours if unit not in unknown)
    return BudgetMatch(known, f"{', '.join(unknown)} not recorded" if unknown else "")


def _is_not_trained(row: Row) -> bool:
    """Whether an arm is the expert as it is, or one that only answers otherwise."""
    costs = row.costs
    return row.untrained or (costs is not None and not costs.updates and TRAIN_STAGE not in costs.seconds)


def _spent(rows: Sequence[Row]) -> dict[str, float]:
    """What an arm spent of every unit, averaged over its rows; nought where its record does not say."""
    costs = [row.costs for row in rows if row.costs is not None]
    totals = {
        "updates": sum(cost.updates for cost in costs),
        "tuned tokens": sum(cost.tuned_tokens for cost in costs),
        "problems learnt from": sum(cost.learnt_problems for cost in costs),
        "sampled problems": sum(cost.sampled_problems for cost in costs),
        "problem draws": sum(cost.draws for cost in costs),
        "training seconds": sum(cost.seconds.get(TRAIN_STAGE, 0.0) for cost in costs),
        "seconds in all": sum(sum(cost.seconds.values()) for cost in costs),
    }
    return {unit: total / len(costs) for unit, total in totals.items()}
