"""From a recipe to the stages it needs: one plan for all seeds and points, which share what is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrbench.models.source import LocatedModel
from lrbench.pipeline.failures import Cause
from lrbench.pipeline.materials import Materials
from lrbench.pipeline.plan import ArmPlan, Plan, Unplanned
from lrbench.pipeline.selecting import selected
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.recipe.expanding import Variant, expand, point_text
from lrbench.recipe.schema import Recipe
from lrbench.store.keys import FileHashes
from lrbench.store.store import Store

HASH_CACHE = "file-hashes.json"
STORE = "store"


def plan_recipe(recipe: Recipe, runs: Path, fetch: bool = True, settled: bool = False) -> Plan:
    """The work `recipe` asks for. Hashes model files (once, cached under `runs`); loads no weights.

    Models of the hub and public data that are not here are fetched; without `fetch` they are planned with as
    far as they are known, and what depends on them has keys that are not final. Raises `ModelError` or
    `DataError` when a model or data cannot be found; where that is so at some points of a sweep alone, the
    plan goes without them and says so. Where points are chosen, the store under `runs` has what by; once that
    is `settled`, points without all their results are left out of the choice.
    """
    variants = expand(recipe)
    varying = _varying_fields(variants)
    used = tuple(dict.fromkeys(variant.recipe.data for variant in variants))
    materials = Materials(FileHashes(runs / HASH_CACHE), recipe.runtime.data_root, fetch, used)
    planned: dict[tuple[str, str], list[tuple[int, Variant, ArmPlan]]] = {}
    unplanned: list[Unplanned] = []
    for place, variant in enumerate(variants):
        for declared, plan in materials.plans(variant.recipe):
            if isinstance(plan, ArmPlan):
                planned.setdefault((declared.name, plan.model), []).append((place, variant, plan))
                continue
            point = {field: variant.point[field] for field in varying}
            seed = variant.recipe.seed if len(recipe.seeds or ()) > 1 else None
            title = _title(declared.name, point, seed if declared.is_random else None)
            unplanned.append(Unplanned(title, declared.name, place, Cause.of("plan", plan)))
            if sum(lost.arm == declared.name for lost in unplanned) == len(variants):
                # Wrong at every point, so it is the recipe that is wrong.
                raise plan
    merged = [_merged(same, varying, len(recipe.seeds or ())) for same in planned.values()]
    pairs = list(dict.fromkeys(_pair(arm) for arm in merged))
    ordered = sorted(merged, key=lambda arm: pairs.index(_pair(arm)))
    whole = Plan(
        recipe,
        variants,
        tuple(ordered),
        tuple(materials.absent),
        tuple(unplanned),
        overlaps=materials.overlaps,
    )
    return whole if recipe.evaluation.select_on is None else selected(whole, Store(runs / STORE), settled)


def _pair(arm: ArmPlan) -> tuple[LocatedModel, LocatedModel | None]:
    return arm.expert, arm.amateur


def _varying_fields(variants: tuple[Variant, ...]) -> list[str]:
    """The swept fields that have more than one value."""
    first = variants[0].point
    return [field for field in first if any(variant.point[field] != first[field] for variant in variants)]


def _title(arm: str, point: Mapping[str, Any], seed: int | None) -> str:
    """Which arm it is, for people: `lightr beta=0.4 seed 1`."""
    return " ".join(filter(None, [arm, point_text(point), "" if seed is None else f"seed {seed}"]))


def _merged(same: list[tuple[int, Variant, ArmPlan]], varying: list[str], seeds: int) -> ArmPlan:
    """One plan for the variants that share a model; its stages say where among the variants it stands."""
    arm = same[0][2]
    points = [variant.point for _, variant, _ in same]
    agreed = [field for field in varying if all(point[field] == points[0][field] for point in points)]
    point = {field: points[0][field] for field in agreed}
    title = _title(arm.title, point, arm.seed if seeds > 1 else None)
    adapter = arm.adapter and replace(arm.adapter, arm=title)
    evaluations = {
        tuple(score.key for score in (*first, *second)): (first, second)
        for _, _, other in same
        for first, second in zip(other.evaluations, other.second, strict=True)
    }

    def titled(scores: tuple[BenchmarkScore, ...]) -> tuple[BenchmarkScore, ...]:
        return tuple(replace(score, arm=title, adapter=adapter) for score in scores)

    return replace(
        arm,
        title=title,
        adapter=adapter,
        point=point,
        evaluations=tuple(titled(first) for first, _ in evaluations.values()),
        second=tuple(titled(second) for _, second in evaluations.values()),
        validation=titled(arm.validation),
        places=tuple(place for place, _, _ in same),
    )
