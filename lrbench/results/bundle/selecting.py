"""Whether the points that a recipe's record says were chosen are those that its validation results choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from lrbench.errors import LrbenchError
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.declared import Declared, is_of
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.regrading import Regraded
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.results.selection import Candidate, Selection, average, choose
from lrbench.sampling.problems import load_validation
from lrbench.store.canonical import canonical_json, stable_hash


def check_selection(
    record: RecipeRecord,
    declared: Declared,
    arms: Mapping[str, ArmRecord],
    scores: Sequence[ScoreRecord],
    measured: Mapping[str, Regraded],
    findings: Findings,
) -> None:
    """Whether the choice of the recipe's `record` follows from the scores on its validation problems."""
    where = f"recipe {record.recipe} of {record.recorded_at}"
    selection, asked = record.selection, declared.recipe.evaluation.select_on
    findings.compare(where, "whether points are chosen", selection is not None, asked is not None)
    if selection is None or asked is None:
        return
    findings.compare(where, "the number of validation problems", selection.problems, asked.validation)
    on_board = [score for score in scores if stable_hash(score.suite_protocol) == selection.protocol]
    of_arm: dict[str, list[ScoreRecord]] = {}
    for score in on_board:
        of_arm.setdefault(score.arm_id, []).append(score)
    for arm_id in selection.measured:
        if arm_id not in of_arm:
            findings.add(where, f"its arm {arm_id} has no score on the validation problems")
            continue
        n = sum(score.n for score in of_arm[arm_id])
        findings.compare(where, f"the problems that {arm_id} answered", n, selection.problems)
    _check_problems(where, declared, of_arm.values(), measured, findings)
    for name, points in _points(selection, declared, arms).items():
        chosen = choose(name, [_candidate(point, of_arm) for point in points])
        recorded = selection.of(name)
        found = None if recorded is None else recorded.model_copy(update={"lacking": 0})
        apart: dict[str, Any] = {"lacking": 0}
        if recorded is not None and not recorded.edges:
            # Records of before a choice knew its edges have none.
            apart["edges"] = {}
        expected = None if chosen is None else chosen.model_copy(update=apart)
        findings.compare(where, f"the point chosen of {name}", found, expected)
    for arm_id in selection.on_suite:
        arm = arms.get(arm_id)
        taken = None if arm is None else selection.of(arm.arm)
        if arm is None or taken is None:
            continue
        made = [
            other
            for other in arms.values()
            if (other.recipe, other.arm, other.seed, other.point)
            == (arm.recipe, arm.arm, arm.seed, taken.point)
        ]
        if made and all((other.stages, other.settings) != (arm.stages, arm.settings) for other in made):
            findings.add(where, f"its arm {arm_id} on the suite is not {arm.arm} at the point chosen")


def _points(
    selection: Selection, declared: Declared, arms: Mapping[str, ArmRecord]
) -> dict[str, list[list[ArmRecord]]]:
    """The measured arms by name, then by point in the order declared."""
    own = [arms[arm_id] for arm_id in selection.measured if arm_id in arms and arms[arm_id].point]
    found: dict[str, dict[str, list[ArmRecord]]] = {}
    for name, variants in declared.arms.items():
        for variant, arm in variants:
            for made in own:
                if made.arm == name and is_of(made, variant, arm):
                    of_point = found.setdefault(name, {}).setdefault(canonical_json(made.point), [])
                    if made not in of_point:
                        of_point.append(made)
    return {name: list(points.values()) for name, points in found.items()}


def _candidate(made: Sequence[ArmRecord], of_arm: Mapping[str, list[ScoreRecord]]) -> Candidate:
    accuracies = [
        average(
            [
                (sum(each.count("1") for each in score.outcomes), score.n * len(score.outcomes))
                for score in own
            ]
        )
        for arm in made
        if (own := of_arm.get(arm.arm_id))
    ]
    return Candidate(made[0].point, tuple(accuracies) if len(accuracies) == len(made) else None)


def _check_problems(
    where: str,
    declared: Declared,
    measured_on: Iterable[list[ScoreRecord]],
    measured: Mapping[str, Regraded],
    findings: Findings,
) -> None:
    """Whether what was answered are the problems that the recipe's data leave over, where those are here."""
    wanted = _wanted(declared)
    if wanted is None:
        return
    for score in chain.from_iterable(measured_on):
        items = measured[score.evaluation_key]
        rows = {row["id"]: (row["problem"], row["answer"]) for row in items.rows}
        if any(wanted.get(item) != said for item, said in rows.items()):
            findings.add(where, f"{score.benchmark} has problems that its data do not leave for validation")
            return


def _wanted(declared: Declared) -> dict[str, tuple[str, str | None]] | None:
    recipe: Recipe = declared.recipe
    asked = recipe.evaluation.select_on
    used = tuple(
        dict.fromkeys(variant.recipe.data for variants in declared.arms.values() for variant, _ in variants)
    )
    assert asked is not None
    # Of data that are not here nothing can be said.
    with suppress(LrbenchError):
        found = load_validation(recipe.data, asked.validation, used, None, fetch=False)
        return {
            problem: (text, answer)
            for problem, text, answer in zip(found.ids, found.texts, found.answers, strict=True)
        }
    return None
