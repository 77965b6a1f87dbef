"""From finished artifacts to ledger records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from lrbench.evaluation.graded_items import read_draws
from lrbench.methods.component import AMATEUR
from lrbench.pipeline.footprints import footprint
from lrbench.pipeline.plan import ArmPlan, Plan
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.routers import TrainedRouter
from lrbench.pipeline.stages.samples import PairScores, input_name
from lrbench.pipeline.stages.training import CURVES_FILE, TrainedAdapter
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.schema import Recipe
from lrbench.results.answers import Answers
from lrbench.results.identity import arm_id, arm_settings
from lrbench.results.records import (
    ArmRecord,
    Costs,
    RecipeRecord,
    ScoreRecord,
    items_hash,
    name_in_record,
)
from lrbench.store.artifact import Artifact
from lrbench.store.keys import stable_hash


def recipe_record(plan: Plan, command: str, now: str) -> RecipeRecord:
    """Which arms the recipe means; `command` is what reproduces them.

    Where points are chosen, those are arms beside the points; while the choice is open there are none yet.
    """
    phases = plan.phases[:1] if plan.is_open else plan.phases
    measured = [tuple(arm_identity(plan.recipe, arm) for arm in phase.arms) for phase in phases]
    selection = plan.selection
    if selection is not None:
        first, *second = measured
        selection = selection.model_copy(update={"measured": first, "on_suite": tuple(chain(*second))})
    return RecipeRecord(
        recipe=plan.recipe.name,
        recipe_hash=recipe_hash(plan.recipe),
        recipe_yaml=resolved_yaml(plan.recipe),
        arm_ids=tuple(dict.fromkeys(chain(*measured))),
        forgetting={
            protocol_of(first): protocol_of(second)
            for arm in plan.arms
            for first, second in zip(arm.evaluations, arm.second, strict=True)
            if second
        },
        claims=plan.recipe.claims,
        compare=plan.recipe.compare,
        selection=selection,
        command=command,
        recorded_at=now,
    )


def protocol_of(evaluation: Sequence[BenchmarkScore]) -> str:
    """What the board of an evaluation has as its protocol."""
    return stable_hash({score.benchmark: stable_hash(score.protocol) for score in evaluation})


def arm_record(
    recipe: Recipe, arm: ArmPlan, artifacts: Mapping[str, Artifact], now: str, written: str | None = None
) -> ArmRecord:
    """How the arm was made, from the artifacts of its stages; `written` is the recipe's `resolved_yaml`.

    To write a recipe takes longer than all else here, and a sweep has one for all its arms.
    """
    edited, router = arm.answered_by.edited, arm.answered_by.router
    own: dict[str, Stage] = {} if edited is None else {each.name: each for each in _written(edited)}
    own |= {} if arm.adapter is None else dict(_making(arm.adapter))
    # What is said of the arm's own model counts for what stages of both kinds say.
    named = own if router is None else dict(_routing(router, own)) | own
    making = list(named.values())
    statistics: dict[str, Any] = {}
    for stage in making:
        statistics |= artifacts[stage.key].statistics
    decisive = making[-1:] or arm.scores
    curves = {}
    if arm.adapter is not None:
        curves = json.loads(artifacts[arm.adapter.key].file(CURVES_FILE).read_text())
    return ArmRecord(
        arm_id=arm_identity(recipe, arm),
        recipe=recipe.name,
        recipe_hash=recipe_hash(recipe),
        recipe_yaml=resolved_yaml(recipe) if written is None else written,
        arm=arm.arm.name,
        seed=arm.seed,
        point=dict(arm.point),
        expert=arm.expert.name,
        amateur=arm.amateur.name if arm.amateur and _needs_amateur(arm) else None,
        settings=_settings(arm),
        costs=_costs(arm, named, artifacts),
        statistics=statistics,
        curves=curves,
        stages={name: stage.key for name, stage in named.items()},
        made_at={name: _moment(artifacts[stage.key]) for name, stage in named.items()},
        memory=footprint(arm.expert, arm.adapter, arm.answered_by, artifacts),
        # Of the last stage that can decide what the arm scores.
        environment=next(artifacts[stage.key] for stage in decisive if stage.key in artifacts).environment,
        recorded_at=now,
    )


def score_records(
    recipe: Recipe, arm: ArmPlan, artifacts: Mapping[str, Artifact], now: str
) -> Iterator[ScoreRecord]:
    """What the arm scored, a record per benchmark of every evaluation that has been measured."""
    pattern = None if recipe.measure is None else recipe.measure.confidence
    for evaluation in arm.measured:
        suite_protocol = {score.benchmark: stable_hash(score.protocol) for score in evaluation}
        for score in evaluation:
            artifact = artifacts.get(score.key)
            if artifact is None:
                continue
            answers = Answers.of(read_draws(artifact), *([] if pattern is None else [pattern]))
            yield ScoreRecord(
                arm_id=arm_identity(recipe, arm),
                recipe=recipe.name,
                arm=arm.arm.name,
                seed=arm.seed,
                point=dict(arm.point),
                expert=arm.expert.name,
                expert_weights=arm.expert.identity,
                suite=score.measured.suite,
                benchmark=score.benchmark,
                protocol=score.protocol,
                protocol_hash=suite_protocol[score.benchmark],
                suite_protocol=suite_protocol,
                items_hash=items_hash(answers.ids),
                paper=answers.paper,
                exact=answers.exact,
                draws=answers.draws,
                majority=answers.majority,
                agreeing=answers.agreeing,
                groups=answers.groups,
                confidence=pattern,
                stated=None if pattern is None else answers.stated(pattern),
                traces=answers.traces,
                answers_hash=answers.texts_hash,
                evaluation_key=score.key,
                seconds=artifact.seconds,
                tokens=artifact.statistics["tokens"],
                written=score.written(artifact.statistics),
                passes=artifact.statistics.get("passes"),
                truncated=artifact.statistics["truncated"],
                repeats=None if score.repeats is None else asdict(score.repeats),
                measured_at=_moment(artifact),
                recorded_at=now,
            )


def arm_identity(recipe: Recipe, arm: ArmPlan) -> str:
    """The arm's name on the board: its model under its recipe's name, and where in a sweep it stands."""
    return arm_id(recipe.name, arm.arm.name, arm.point, arm.model)


def _making(adapter: TrainedAdapter) -> Iterator[tuple[str, Stage]]:
    """The stages behind an adapter by the names that a record has for them, inputs first, each once."""
    samples = adapter.samples
    deriving = [scores.derived for _, scores in samples.readings if scores.derived]
    rollouts = () if adapter.writes else _written(samples.rollouts)
    behind = chain(rollouts, *map(_written, deriving))
    seen: Counter[str] = Counter()
    for stage in {stage.key: stage for stage in behind}.values():
        seen[stage.name] += 1
        yield name_in_record(stage.name, seen[stage.name]), stage
    if not adapter.writes:
        for reading, scores in samples.readings:
            yield input_name(reading), scores
        for name, _, stage in samples.seen_by_name:
            yield name, stage
        yield samples.name, samples
    if adapter.reference is not None:
        yield adapter.reference.name, adapter.reference
    yield adapter.name, adapter


def _routing(router: TrainedRouter, own: Mapping[str, Stage]) -> Iterator[tuple[str, Stage]]:
    """The same of the stages behind a router that are not among an arm's `own`, numbered after those."""
    known = {stage.key for stage in own.values()}
    seen = Counter(stage.name for stage in own.values())
    for stage in {stage.key: stage for stage in _written(router)}.values():
        if stage.key not in known:
            seen[stage.name] += 1
            called = name_in_record(stage.name, seen[stage.name])
            yield router.scores_name if stage.name == PairScores.name else called, stage


def _written(stage: Stage) -> Iterator[Stage]:
    """What rollouts were made from, inputs first, but for adapters: those are of other arms."""
    for _, needed in sorted(stage.inputs.items()):
        if needed.name != TrainedAdapter.name:
            yield from _written(needed)
    yield stage


def _moment(artifact: Artifact) -> str:
    return artifact.created_at.isoformat(timespec="milliseconds")


def _needs_amateur(arm: ArmPlan) -> bool:
    return AMATEUR in arm.arm.models


def _settings(arm: ArmPlan) -> dict[str, Any]:
    router = arm.answered_by.router
    asked = None if router is None else router.continuations.source
    asked = asked if arm.adapter is None else arm.adapter.samples.rollouts
    return arm_settings(arm.recipe, arm.arm, "" if asked is None else asked.identity["texts"])


def _costs(arm: ArmPlan, making: Mapping[str, Stage], artifacts: Mapping[str, Artifact]) -> Costs:
    writing = [stage for stage in making.values() if stage.engine_choice is not None]
    seconds = {name: artifacts[stage.key].seconds for name, stage in making.items()}
    trained = {} if arm.adapter is None else artifacts[arm.adapter.key].statistics
    return Costs(
        updates=trained.get("updates", 0),
        tuned_tokens=trained.get("tuned_tokens", 0),
        trained_steps=trained.get("trained_steps", 0),
        learnt_problems=trained.get("problems", 0),
        sampled_problems=sum(stage.problems_asked(artifacts[stage.key].statistics) for stage in writing),
        drawn_problems=_drawn(writing, artifacts),
        sampled_tokens=sum(stage.written(artifacts[stage.key].statistics) for stage in writing),
        seconds={name: round(value, 3) for name, value in seconds.items()},
    )


def _drawn(writing: Sequence[Stage], artifacts: Mapping[str, Artifact]) -> int:
    """How often these stages asked a problem, where one of them draws again; else 0."""
    found = [(stage, artifacts[stage.key].statistics) for stage in writing]
    drawn = [(stage.problems_drawn(said), stage.problems_asked(said)) for stage, said in found]
    if all(again is None for again, _ in drawn):
        return 0
    return sum(asked if again is None else again for again, asked in drawn)
