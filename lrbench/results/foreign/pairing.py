"""Two systems' outcomes on one benchmark brought together: which items both answered, and what is left.

Items are paired by their ids. Where both files say what was asked and it is not the same, an id names two
different items, and they are not paired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrbench.errors import DataError
from lrbench.evaluation.statistics import PairedDraws
from lrbench.results.foreign.outcomes import Measured, Outcome, naturally, shown

# An answer that is partly right counts as so many, of which some are right.
PARTS = 100
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Pairing:
    """The items that both answered, and those that were left out, by their ids in natural order.

    `draws` are the paired outcomes, the second system's first, so that its wins count as won; `parts` says
    how many stand for one answer. `only_first` and `only_second` are in one file alone; `other_text` have one
    id and different texts; `no_outcome` lack a verdict, or as many answers as others have, in one file.
    `texts_known` says whether both files tell what was asked.
    """

    paired: tuple[str, ...]
    draws: PairedDraws | None
    parts: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    other_text: tuple[str, ...]
    no_outcome: tuple[str, ...]
    texts_known: bool

    @property
    def flipped(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The items of which the second system had more right than the first, and those of which less."""
        if self.draws is None:
            return (), ()
        gap_N = self.draws.first.mean(axis=1) - self.draws.second.mean(axis=1)
        won, lost = (
            tuple(item for item, better in zip(self.paired, better_N, strict=True) if better)
            for better_N in (gap_N > 0, gap_N < 0)
        )
        return won, lost

    def reasons(self, first: str, second: str) -> Iterator[str]:
        """Why items were not paired, a line each; `first` and `second` are what the systems are called."""
        for items, what in (
            (self.only_first, f"in {shown(first)} alone"),
            (self.only_second, f"in {shown(second)} alone"),
            (self.other_text, "under one id with different texts, so they are different items"),
            (self.no_outcome, "without a verdict in one of the two"),
        ):
            if items:
                yield f"{len(items):,} {what}: {_some(items)}"


def pair(first: Measured, second: Measured) -> Pairing:
    """The outcomes of two systems on one benchmark, paired."""
    ours, theirs = draws_of(first), draws_of(second)
    shared = [item for item in naturally(ours) if item in theirs]
    other_text = [item for item in shared if _differ(ours[item][0], theirs[item][0])]
    complete = _complete(ours) & _complete(theirs)
    refused = set(other_text)
    paired = tuple(item for item in shared if item in complete and item not in refused)
    return Pairing(
        paired=paired,
        draws=_paired_draws([theirs[item] for item in paired], [ours[item] for item in paired]),
        parts=_parts([*ours.values(), *theirs.values()]),
        only_first=tuple(item for item in naturally(ours) if item not in theirs),
        only_second=tuple(item for item in naturally(theirs) if item not in ours),
        other_text=tuple(other_text),
        no_outcome=tuple(item for item in shared if item not in complete and item not in refused),
        texts_known=all(_comparable(ours[item][0].text, theirs[item][0].text) for item in paired),
    )


def draws_of(measured: Measured) -> dict[str, list[Outcome]]:
    """Item -> its outcomes, in the order of its draws."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in sorted(measured.outcomes, key=lambda outcome: outcome.draw):
        found[outcome.item].append(outcome)
    return found


def whole_draws(measured: Measured) -> dict[str, list[Outcome]]:
    """Item -> its outcomes, right or wrong, of the items that have as many as any: what the ledger holds.

    Raises `DataError` for an answer that is partly right.
    """
    draws = draws_of(measured)
    for outcome in measured.outcomes:
        if outcome.value not in (0, 1, None):
            where = f"{measured.origin.path}: item {shown(outcome.item)} of {shown(measured.benchmark)}"
            raise DataError(
                f"{where} is partly right ({outcome.value:g}), and the ledger holds right and wrong; name a "
                "metric that is either with --metric, or use `lrbench compare`"
            )
    complete = _complete(draws)
    return {item: draws[item] for item in naturally(draws) if item in complete}


def _complete(draws: Mapping[str, Sequence[Outcome]]) -> set[str]:
    """The items with a verdict on as many answers as any other has."""
    most = max(map(len, draws.values()), default=0)
    return {
        item
        for item, outcomes in draws.items()
        if len(outcomes) == most and all(outcome.value is not None for outcome in outcomes)
    }


def _paired_draws(first: list[list[Outcome]], second: list[list[Outcome]]) -> PairedDraws | None:
    if not first:
        return None
    parts = _parts([*first, *second])
    groups = [one[0].group or other[0].group for one, other in zip(first, second, strict=True)]
    named = [group for group in groups if group is not None]
    return PairedDraws(
        _array(first, parts), _array(second, parts), named if len(named) == len(groups) else None
    )


def _parts(answers: Sequence[Sequence[Outcome]]) -> int:
    whole = all(outcome.value in (0, 1, None) for outcomes in answers for outcome in outcomes)
    return 1 if whole else PARTS


def _array(answers: list[list[Outcome]], parts: int) -> np.ndarray:
    """Whether every draw of every item is right, [N, M]; with `parts`, so many of them for each draw."""
    value_NM: np.ndarray = np.array([[outcome.value or 0.0 for outcome in outcomes] for outcomes in answers])
    if parts == 1:
        return np.asarray(value_NM == 1)
    right_NMP = np.arange(parts) < np.rint(value_NM * parts)[:, :, None]
    return np.asarray(right_NMP.reshape(len(answers), -1))


def _differ(first: Outcome, second: Outcome) -> bool:
    return _comparable(first.text, second.text) and first.text != second.text


def _comparable(first: str | None, second: str | None) -> bool:
    """Whether two hashes are of one kind: hashes of other things say nothing of each other."""
    return first is not None and second is not None and first.rpartition(" ")[0] == second.rpartition(" ")[0]


def _some(items: tuple[str, ...]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(map(shown, items[:_MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
