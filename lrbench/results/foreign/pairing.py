"""Two systems' outcomes on one benchmark brought together: which items both answered, and what is left.

Items are paired by their ids. Where both files say what was asked and it is not the same, an id names two
different items, and they are not paired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lrbench.errors import DataError
from lrbench.evaluation.statistics import Flips
from lrbench.results.foreign.outcomes import Measured, Outcome, naturally, shown

_MOST_NAMED = 3


@dataclass(frozen=True)
class Pairing:
    """The items that both answered, and those that were left out, by their ids in natural order.

    `only_first` and `only_second` are in one file alone; `other_text` have one id and different texts;
    `no_outcome` have no verdict in one file at least. `flips` counts how the paired outcomes meet, the second
    system's wins as won.
    """

    paired: tuple[str, ...]
    flips: Flips
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    other_text: tuple[str, ...]
    no_outcome: tuple[str, ...]
    texts_known: bool

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
    """The outcomes of two systems on one benchmark, paired.

    Raises `DataError` for items with several draws or a partly right answer.
    """
    ours, theirs = by_item(first), by_item(second)
    shared = [item for item in naturally(ours) if item in theirs]
    other_text = [item for item in shared if _differ(ours[item], theirs[item])]
    refused = set(other_text)
    alike = [item for item in shared if item not in refused]
    no_outcome = [item for item in alike if None in (ours[item].value, theirs[item].value)]
    silent = set(no_outcome)
    paired = tuple(item for item in alike if item not in silent)
    cells: dict[tuple[float | None, float | None], int] = defaultdict(int)
    for item in paired:
        cells[ours[item].value, theirs[item].value] += 1
    return Pairing(
        paired=paired,
        flips=Flips(won=cells[0, 1], lost=cells[1, 0], both=cells[1, 1], neither=cells[0, 0]),
        only_first=tuple(item for item in naturally(ours) if item not in theirs),
        only_second=tuple(item for item in naturally(theirs) if item not in ours),
        other_text=tuple(other_text),
        no_outcome=tuple(no_outcome),
        texts_known=all(_comparable(ours[item].text, theirs[item].text) for item in paired),
    )


def flipped(first: Measured, second: Measured, pairing: Pairing) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paired items that the second system won, and those that it lost."""
    ours, theirs = by_item(first), by_item(second)
    won = tuple(item for item in pairing.paired if (ours[item].value, theirs[item].value) == (0, 1))
    lost = tuple(item for item in pairing.paired if (ours[item].value, theirs[item].value) == (1, 0))
    return won, lost


def by_item(measured: Measured) -> Mapping[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in measured.outcomes:
        where = f"{measured.origin.path}: item {shown(outcome.item)} of {shown(measured.benchmark)}"
        if outcome.item in found:
            raise DataError(
                f"{where} was answered several times; files with one answer an item are compared so far"
            )
        if outcome.value not in (0, 1, None):
            raise DataError(
                f"{where} is partly right ({outcome.value:g}); files of right and wrong answers are compared "
                "so far, so name a metric that is either with --metric"
            )
        found[outcome.item] = outcome
    return found


def _differ(first: Outcome, second: Outcome) -> bool:
    return _comparable(first.text, second.text) and first.text != second.text


def _comparable(first: str | None, second: str | None) -> bool:
    """Whether two hashes are of one kind: hashes of other things say nothing of each other."""
    return first is not None and second is not None and first.rpartition(" ")[0] == second.rpartition(" ")[0]


def _some(items: tuple[str, ...]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(map(shown, items[:_MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
