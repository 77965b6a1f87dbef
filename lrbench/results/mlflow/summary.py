"""What the run of a recipe says in numbers: every arm's mean over its seeds, and how far a baseline is.

Shares, as accuracies are. Tests and intervals are in the recipe's `board.md`, and on the board itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lrbench.results.board import Board
from lrbench.results.rows import AVERAGE, Group


@dataclass(frozen=True)
class Summary:
    """The numbers by their names, and in words whom they are about: the subject and its baseline.

    The subject's own accuracies stand under the names that those of a single arm have, so that a table of
    runs has them in one column.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    subject: str = ""
    baseline: str = ""


def summary_of(boards: Sequence[Board], recipe: str) -> Summary:
    """Of the board that the recipe measures first; nothing where there is none."""
    board = next((board for board in boards if not board.answers_nothing(recipe)), None)
    if board is None or recipe not in board.comparisons:
        return Summary()
    compared = board.comparisons[recipe]
    groups = [group for group in board.groups if group.rows[0].recipe == recipe and not group.is_repeat]
    numbers: dict[str, float] = {}
    for group in groups:
        mean, difference = group.value(AVERAGE), _difference(group, compared.against)
        if mean is not None:
            numbers[f"mean/{_called(group)}"] = mean
        if mean is not None and difference is not None:
            numbers[f"difference/{_called(group)}"] = difference[1]
    of_subject = [group for group in groups if group.rows[0].arm == compared.subject]
    # At several points of a sweep none of them stands for the recipe.
    if len(of_subject) != 1:
        return Summary(numbers)
    (subject,) = of_subject
    means = {column: subject.value(column) for column in board.columns}
    numbers |= {f"accuracy/{column}": value for column, value in means.items() if value is not None}
    found = _difference(subject, compared.against)
    if found is None or means[AVERAGE] is None:
        return Summary(numbers, _called(subject))
    return Summary(numbers | {"difference_to_baseline": found[1]}, _called(subject), found[0])


def _difference(group: Group, against: Sequence[str]) -> tuple[str, float] | None:
    """The first baseline that the arm is set against, and the mean difference from it over the seeds."""
    for baseline in against:
        deltas = [row.against[baseline] for row in group.rows if baseline in row.against]
        if deltas and all(delta.complete for delta in deltas):
            return baseline, sum(delta.value for delta in deltas) / len(deltas)
    return None


def _called(group: Group) -> str:
    row = group.rows[0]
    point = " ".join(f"{name}={value}" for name, value in row.point.items())
    return " ".join(filter(None, [row.arm, point, row.variant]))
