"""Finding out before any work what would otherwise stop a stage hours later."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lrbench.errors import LrbenchError, StoreError
from lrbench.pipeline.failures import Cause, Failure, ends_run, gathered
from lrbench.pipeline.plan import ArmPlan, Plan, with_inputs
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import Check
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store


def preflight(
    plan: Plan, store: Store, workspace_of: Callable[[ArmPlan], Workspace]
) -> tuple[bool, dict[str, Cause]]:
    """Whether any stage has to run, and which, by key, cannot: those of some points of a sweep.

    What fails for an arm at every point and seed is a mistake of the recipe, and is raised.
    """
    waiting: dict[Workspace, dict[str, Stage]] = {}
    finished = {stage.key for stage in plan.stages if store.exists(stage.name, stage.key)}
    for arm in plan.arms:
        for stage in arm.stages():
            if stage.key not in finished:
                waiting.setdefault(workspace_of(arm), {})[stage.key] = stage
    failed: dict[str, Cause] = {}
    for workspace, found in waiting.items():
        for check, stages in _checks(workspace, list(found.values())):
            try:
                check.run()
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


def _checks(workspace: Workspace, waiting: list[Stage]) -> list[tuple[Check, list[Stage]]]:
    """Everything that can be found out, each with the stages that would meet it."""
    found: dict[Check, list[Stage]] = {}
    for stage in waiting:
        for check in stage.checks(workspace):
            found.setdefault(check, []).append(stage)
    return sorted(found.items(), key=lambda entry: entry[0].about)
