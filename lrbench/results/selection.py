"""The choice of points by validation problems: the rule, and what a recipe's record says of it.

An arm's point is the one with the highest mean over its seeds of the average over benchmarks, in exact
fractions; of equal ones the first that is declared. Results on the tests have no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lrbench.recipe.expanding import short_field

Edge = Literal["lowest", "highest"]
Count = Annotated[int, Field(ge=0)]


class ChosenPoint(BaseModel):
    """The point of an arm that was chosen among so many `points`.

    `tied` others were as good, and are declared later; `lacking` could not be measured. `edges` says of
    fields that are numbers where the chosen one is the lowest or the highest that was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    point: dict[str, Any]
    points: Count
    tied: Count = 0
    lacking: Count = 0
    edges: dict[str, Edge] = Field(default={}, exclude_if=lambda value: not value)

    @property
    def reason(self) -> str:
        """`best of 3 points`, and what a reader has to know of it."""
        parts = [f"best of {self.points} point{'s' * (self.points != 1)}"]
        if self.tied:
            others = "another one is" if self.tied == 1 else f"{self.tied} others are"
            parts.append(f"{others} as good, and the first declared is taken")
        if self.lacking:
            parts.append(f"{self.lacking} more could not be measured")
        if self.edges:
            parts.append(edges_text(self.edges))
        return "; ".join(parts)


class Selection(BaseModel):
    """What points are chosen on: the `protocol` of the board of so many validation `problems`.

    `measured` are the arms on that board, and `on_suite` those that were measured on the suite then: neither
    is known by its id before it is recorded. `chosen` and `on_suite` are empty before all points were
    measured. `overlapping` problems repeat an item of the suite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str
    problems: Count
    chosen: tuple[ChosenPoint, ...] = ()
    measured: tuple[str, ...] = ()
    on_suite: tuple[str, ...] = ()
    overlapping: Count = 0

    @property
    def label(self) -> str:
        """`60 validation problems`."""
        return f"{self.problems:,} validation problem{'s' * (self.problems != 1)}"

    def of(self, arm: str) -> ChosenPoint | None:
        """The choice of an arm; None where it stands at no points, or none is chosen yet."""
        return next((chosen for chosen in self.chosen if chosen.arm == arm), None)


@dataclass(frozen=True)
class Candidate:
    """A point with the accuracy of each of the arm's seeds; `accuracies` are None where one lacks some."""

    point: Mapping[str, Any]
    accuracies: tuple[Fraction, ...] | None

    @property
    def mean(self) -> Fraction:
        """Over the seeds."""
        assert self.accuracies
        return sum(self.accuracies, Fraction(0)) / len(self.accuracies)


def choose(arm: str, candidates: Sequence[Candidate]) -> ChosenPoint | None:
    """The best of the `candidates`, which come in the order declared; None where none is measured."""
    measured = [candidate for candidate in candidates if candidate.accuracies]
    if not measured:
        return None
    best = max(candidate.mean for candidate in measured)
    first, *others = [candidate for candidate in measured if candidate.mean == best]
    lacking = len(candidates) - len(measured)
    return ChosenPoint(
        arm=arm,
        point=dict(first.point),
        points=len(measured),
        tied=len(others),
        lacking=lacking,
        edges=edges_of(first.point, [candidate.point for candidate in measured]),
    )


def edges_of(point: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> dict[str, Edge]:
    """The fields of `point` with the lowest or the highest number that any of the `points` has there."""
    found: dict[str, Edge] = {}
    for field, value in point.items():
        numbers = {other[field] for other in points if _is_number(other.get(field))}
        if _is_number(value) and len(numbers) > 1 and value in (min(numbers), max(numbers)):
            found[field] = "lowest" if value == min(numbers) else "highest"
    return found


def edges_text(edges: Mapping[str, Edge]) -> str:
    """`learning_rate is the highest that was tried: a better one may lie beyond`."""
    said = [f"{short_field(field, edges)} is the {edge}" for field, edge in edges.items()]
    return f"{' and '.join(said)} that was tried: a better one may lie beyond"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def average(benchmarks: Sequence[tuple[int, int]]) -> Fraction:
    """The average over benchmarks, each as right answers of all."""
    shares = [Fraction(right, answers) for right, answers in benchmarks]
    return sum(shares, Fraction(0)) / len(shares)
