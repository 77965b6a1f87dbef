"""Finding out before any work what would otherwise stop a stage hours later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from lrbench.errors import LrbenchError, StoreError
from lrbench.models.turn_marks import check_loaded
from lrbench.pipeline.failures import Cause, Failure, ends_run, gathered
from lrbench.pipeline.plan import ArmPlan, Plan, with_inputs
from lrbench.pipeline.prompting import asked
from lrbench.pipeline.requirements import check_layers
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.rollouts import RolloutSource
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store

Check = tuple[list[Stage], Callable[[], object]]


def preflight(
    plan: Plan, store: Store, workspace_of: Callable[[ArmPlan], Workspace]
) -> tuple[bool, dict[str, Cause]]:
    """Whether any stage has to run, and which, by key, cannot: those of some points of a sweep.

    What fails for an arm at every point and seed is a mistake of the recipe, and is raised.
    """
    waiting: dict[Workspace, dict[str, Stage]] = {}
    for arm in plan.arms:
        for stage in arm.stages():
            if not store.exists(stage.name, stage.key):
                waiting.setdefault(workspace_of(arm), {})[stage.key] = stage
    failed: dict[str, Cause] = {}
    for workspace, found in waiting.items():
        for stages, check in _checks(workspace, list(found.values())):
            try:
                check()
            except LrbenchError as error:
                if ends_run(error):
                    raise
                for stage in stages:
                    failed.setdefault(stage.key, Cause.of("before work", error))
                if plan.is_everywhere(failed):
                    raise
    return bool(waiting), failed


def foreseen(plan: Plan, store: Store) -> tuple[Failure, ...]:
    """What a run will not be able to do, as far as that is known without loading or making anything."""
    causes = list(plan.failed)
    for arm in plan.arms:
        if arm.adapter is not None and not store.exists(arm.adapter.name, arm.adapter.key):
            behind = {stage.key: stage for stage in with_inputs(arm.adapter.samples)}
            found = {key: _whole(store, stage) for key, stage in behind.items()}
            artifacts = {key: artifact for key, artifact in found.items() if artifact is not None}
            try:
                if artifacts.keys() == behind.keys():
                    arm.adapter.check(artifacts)
            except LrbenchError as error:
                causes.append((arm.title, Cause.of(arm.adapter.name, error)))
    return gathered(causes)


def _whole(store: Store, stage: Stage) -> Artifact | None:
    """The stage's artifact, where it is there and not damaged; nothing is moved."""
    with suppress(StoreError):
        return store.look(stage.name, stage.key)
    return None


def _checks(workspace: Workspace, waiting: list[Stage]) -> Iterator[Check]:
    """Everything that can be found out, each with the stages that would meet it."""
    yield waiting, lambda: workspace.device
    yield waiting, workspace.check_expert
    scoring: list[Stage] = [stage for stage in waiting if isinstance(stage, PairScores)]
    if scoring:
        yield scoring, workspace.check_amateur
    for choice in {stage.engine_choice for stage in waiting if stage.engine_choice is not None}:
        writing = [stage for stage in waiting if stage.engine_choice == choice]
        yield writing, partial(workspace.check_engine, choice)
    for stage in waiting:
        if isinstance(stage, PairScores):
            yield [stage], partial(stage.check_tokens, workspace)
    yield from _checks_of_layers(workspace, waiting)
    yield from _checks_of_modules(workspace, waiting)
    yield from _checks_of_prompts(workspace, waiting)


def _checks_of_prompts(workspace: Workspace, waiting: list[Stage]) -> Iterator[Check]:
    asking: dict[str | None, list[Stage]] = {None: [stage for stage in waiting if stage.renders_prompts]}
    for stage in waiting:
        for _, system_prompt in asked([stage]):
            asking.setdefault(system_prompt, []).append(stage)
    if not asking[None]:
        return

    def check_template(system_prompts: list[str | None]) -> None:
        from lrbench.models.prompt import check_prompts

        check_prompts(workspace.expert_source.name, workspace.tokenizer, system_prompts)

    yield asking[None], lambda: check_loaded(workspace.expert_source, workspace.tokenizer)
    for system_prompt, stages in asking.items():
        yield stages, partial(check_template, [system_prompt])
    for stage in waiting:
        if isinstance(stage, RolloutSource):
            yield [stage], partial(stage.check_texts, workspace)


def _checks_of_layers(workspace: Workspace, waiting: list[Stage]) -> Iterator[Check]:
    deriving = [stage for stage in waiting if isinstance(stage, DerivedAmateur)]

    def check(layers: int) -> None:
        from lrbench.models.deriving import derivable_layers

        expert = workspace.expert_source
        check_layers(layers, derivable_layers(expert), expert.name)

    for layers in {stage.derivation.layers for stage in deriving}:
        yield [stage for stage in deriving if stage.derivation.layers == layers], partial(check, layers)


def _checks_of_modules(workspace: Workspace, waiting: list[Stage]) -> Iterator[Check]:
    training = [stage for stage in waiting if isinstance(stage, TrainedAdapter)]

    def check(modules: tuple[str, ...]) -> None:
        from lrbench.models.loading import check_target_modules

        check_target_modules(workspace.expert_source, sorted(set(modules)))

    for modules in dict.fromkeys(stage.training.lora.target_modules for stage in training):
        yield (
            [stage for stage in training if stage.training.lora.target_modules == modules],
            partial(check, modules),
        )
