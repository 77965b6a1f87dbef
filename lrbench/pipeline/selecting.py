"""Two phases of one run: every point measured on validation problems, then the chosen ones on the suite.

The second is known once the first is measured, and is read off the store: whoever plans finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lrbench.errors import StoreError
from lrbench.methods.presets import PLAIN
from lrbench.recipe.expanding import point_text
from lrbench.results.selection import Candidate, ChosenPoint, Selection, average, choose
from lrbench.store.artifact import Artifact, DamageError
from lrbench.store.canonical import canonical_json
from lrbench.store.keys import stable_hash
from lrbench.store.store import Store

if TYPE_CHECKING:
    from fractions import Fraction

    from lrbench.pipeline.plan import ArmPlan, Plan
    from lrbench.pipeline.stages.evaluation import BenchmarkScore


def selected(whole: Plan, store: Store, settled: bool) -> Plan:
    """The plan of what is measured on the suite, with the plan before it by which points are chosen.

    `whole` has every arm at every point. Once the first phase is `settled`, what it lacks is not waited for.
    """
    swept = _swept(whole.arms)
    first = [arm for arm in whole.arms if not (arm.arm.name in swept and arm.arm.answer.repeats)]
    selecting = replace(
        whole, arms=tuple(replace(arm, evaluations=(arm.validation,), second=((),)) for arm in first)
    )
    choices = {name: choose(name, list(_candidates(points, store))) for name, points in _chosen_of(swept)}
    choices |= {name: _followed(name, swept, choices) for name in swept if name not in choices}
    is_open = not settled and any(choice is None or choice.lacking for choice in choices.values())
    unplanned = _unplanned(whole)
    each = len(whole.variants) // max(1, len(whole.recipe.seeds or ()))
    arms = []
    for arm in whole.arms:
        points = swept.get(arm.arm.name)
        if points is not None:
            choice = choices[arm.arm.name]
            meant = points[0].point if is_open else None if choice is None else choice.point
            if meant != arm.point:
                continue
        # It stands for the recipe without its sweep: one variant for each seed.
        seeds = tuple(dict.fromkeys(place // each for place in arm.places))
        arms.append(replace(arm, point={}, places=seeds))
    score = whole.arms[0].validation
    selection = Selection(
        protocol=stable_hash({one.benchmark: stable_hash(one.protocol) for one in score}),
        problems=sum(one.size for one in score),
        overlapping=sum(found.exact + found.near for found in whole.overlaps.values()),
        chosen=()
        if is_open
        else tuple(
            choice.model_copy(update={"lacking": choice.lacking + unplanned.get(choice.arm, 0)})
            for choice in choices.values()
            if choice is not None
        ),
    )
    # What cannot be planned at some points is of the first phase.
    return replace(
        whole,
        variants=tuple(replace(variant, point={}) for variant in whole.variants[::each]),
        arms=tuple(arms),
        unplanned=(),
        selecting=replace(selecting, selection=selection),
        selection=selection,
        is_open=is_open,
    )


def together(plan: Plan) -> Plan:
    """All phases of a plan as one, for what is counted of all their work."""
    if plan.selecting is None:
        return plan
    return replace(plan, arms=(*plan.selecting.arms, *plan.arms))


def chosen_lines(plan: Plan) -> Iterator[str]:
    """A line for every arm whose point was chosen: which it is, and among how many."""
    for chosen in () if plan.selection is None else plan.selection.chosen:
        yield f"chosen  {chosen.arm} {point_text(chosen.point)}: {chosen.reason}"


@dataclass(frozen=True)
class _Point:
    """An arm at one point, with a plan for each seed."""

    point: Mapping[str, Any]
    arms: tuple[ArmPlan, ...]


def _swept(arms: Sequence[ArmPlan]) -> dict[str, list[_Point]]:
    """The points of every arm that stands at several, in the order declared."""
    found: dict[str, dict[str, list[ArmPlan]]] = {}
    for arm in sorted(arms, key=lambda arm: arm.places[0]):
        found.setdefault(arm.arm.name, {}).setdefault(canonical_json(arm.point), []).append(arm)
    return {
        name: [_Point(own[0].point, tuple(own)) for own in points.values()]
        for name, points in found.items()
        if len(points) > 1 or any(own[0].point for own in points.values())
    }


def _unplanned(whole: Plan) -> dict[str, int]:
    """At how many points an arm cannot be planned."""
    found: dict[str, set[str]] = {}
    for lost in whole.unplanned:
        point = whole.variants[lost.place].point
        found.setdefault(lost.arm, set()).add(canonical_json(point))
    return {name: len(points) for name, points in found.items()}


def _chosen_of(swept: Mapping[str, list[_Point]]) -> Iterator[tuple[str, list[_Point]]]:
    """The arms that are chosen themselves: a further measurement follows the arm that it is of."""
    return ((name, points) for name, points in swept.items() if not points[0].arms[0].arm.answer.repeats)


def _followed(
    name: str, swept: Mapping[str, list[_Point]], choices: Mapping[str, ChosenPoint | None]
) -> ChosenPoint | None:
    """The choice of the arm that the one called `name` measures once more."""
    again = replace(swept[name][0].arms[0].arm, name="", answer=PLAIN)
    for other, choice in choices.items():
        if choice is not None and replace(swept[other][0].arms[0].arm, name="", answer=PLAIN) == again:
            return choice.model_copy(update={"arm": name})
    return None


def _candidates(points: Sequence[_Point], store: Store) -> Iterator[Candidate]:
    for point in points:
        accuracies = [_accuracy(arm.validation, store) for arm in point.arms]
        known = tuple(accuracy for accuracy in accuracies if accuracy is not None)
        yield Candidate(point.point, known if len(known) == len(accuracies) else None)


def _accuracy(scores: Sequence[BenchmarkScore], store: Store) -> Fraction | None:
    """The average that was measured; None where some of it is not there."""
    found = [_whole(store, score) for score in scores]
    if any(artifact is None for artifact in found):
        return None
    return average([_right(artifact.statistics) for artifact in found if artifact is not None])


def _right(statistics: Mapping[str, Any]) -> tuple[int, int]:
    """Answers that are right, of all."""
    return statistics["paper"], statistics["n"] * statistics.get("samples", 1)


def _whole(store: Store, score: BenchmarkScore) -> Artifact | None:
    """What was measured, where it is there and not damaged; nothing is moved."""
    with suppress(StoreError, DamageError):
        return store.look(score.name, score.key)
    return None
