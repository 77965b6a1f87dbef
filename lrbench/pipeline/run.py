"""Running a plan: every stage once, whoever asks; then the ledger; then its MLflow mirror."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

from lrbench.errors import RunError
from lrbench.pipeline.canary import PromptCanary
from lrbench.pipeline.plan import Plan, plan_recipe
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.recording import arm_record, score_records
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow_background import mirrored
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store

PACKAGES = ("lrbench", "torch", "transformers", "peft", "lm-eval", "numpy")


@dataclass(frozen=True)
class RunReport:
    """What a run did: stages worked on and found finished, its arms, and records new to the ledger."""

    worked: int
    cached: int
    arm_ids: tuple[str, ...]
    new_records: int


def run_recipe(recipe: Recipe, runs: Path, reporter: Reporter | None = None) -> RunReport:
    """Make and measure every arm of `recipe`, doing only what no earlier run has done.

    Raises `LrbenchError` subclasses for all that can go wrong; finished shards stay either way.
    """
    reporter = reporter or Silent()
    plan = plan_recipe(recipe, runs)
    store = Store(runs / "store", on_damage=reporter.say)
    ranks = [arm.adapter.training.lora.r for arm in plan.arms if arm.adapter is not None]
    workspace = Workspace(plan.expert, plan.amateur, recipe.runtime, largest_rank=max(ranks, default=0))
    _preflight(plan, store, workspace)
    runner = _Runner(store, workspace, reporter)
    ledger = Ledger(runs / "ledger")
    arm_ids = []
    new = 0
    work = any(not store.exists(stage.name, stage.key) for stage in plan.stages)
    with mirrored(runs, reporter.say, work) as recorded:
        for arm in plan.arms:
            for stage in arm.stages():
                runner.finish(stage)
            record = arm_record(plan, arm, runner.artifacts, _now())
            new += ledger.append([record, *score_records(plan, arm, runner.artifacts, record.arm_id, _now())])
            arm_ids.append(record.arm_id)
            recorded()
    return RunReport(runner.worked, len(plan.stages) - runner.worked, tuple(arm_ids), new)


def environment() -> dict[str, str]:
    """Versions of what decides results on this machine."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _preflight(plan: Plan, store: Store, workspace: Workspace) -> None:
    """Find out before the first stage what would otherwise stop a later one."""
    waiting = [stage for stage in plan.stages if not store.exists(stage.name, stage.key)]
    if waiting:
        _ = workspace.device
    for choice in {stage.engine_choice for stage in waiting if stage.engine_choice is not None}:
        workspace.check_engine(choice)
    if any(isinstance(stage, PairScores) for stage in waiting):
        _ = workspace.shared_vocabulary
    targets = {stage.training.lora.target_modules for stage in waiting if isinstance(stage, TrainedAdapter)}
    if targets:
        from lrbench.models.loading import check_target_modules

        check_target_modules(plan.expert, sorted(set(chain.from_iterable(targets))))
    if waiting:
        from lrbench.models.prompt import render_prompt

        for system_prompt in {plan.recipe.sampling.system_prompt, None}:
            render_prompt(workspace.tokenizer, "What is 2 + 3?", system_prompt)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Runner:
    def __init__(self, store: Store, workspace: Workspace, reporter: Reporter) -> None:
        self.store = store
        self.workspace = workspace
        self.reporter = reporter
        self.artifacts: dict[str, Artifact] = {}
        self.canary = PromptCanary()
        self.worked = 0

    def finish(self, stage: Stage) -> None:
        """See to it that the stage's artifact is there: found, waited for, or made."""
        if stage.key in self.artifacts:
            return
        artifact = self.store.find(stage.name, stage.key)
        if artifact is None:
            waiting = f"waiting for another process that works on {stage.label}"
            with self.store.lock(stage.name, stage.key, on_wait=lambda: self.reporter.say(waiting)):
                artifact = self.store.find(stage.name, stage.key) or self._make(stage)
        self.canary.after(stage, artifact)
        self.artifacts[stage.key] = artifact

    def _make(self, stage: Stage) -> Artifact:
        import torch

        inputs = {name: self.artifacts[needed.key] for name, needed in stage.inputs.items()}
        keys = {name: needed.key for name, needed in stage.inputs.items()}
        canary = self.canary.before(stage, self.workspace)
        draft = self.store.draft(stage.name, stage.version, stage.key, stage.identity, keys)
        progress = self.reporter.begin(stage.label, stage.size)
        try:
            statistics = stage.work(draft, inputs, self.workspace, progress)
        except RuntimeError as error:
            # On a CPU torch reports a failed allocation as a plain RuntimeError.
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            raise RunError(
                f"{stage.label}: out of memory on {self.workspace.device}. Lower runtime.batch_size, "
                "training.rollouts_per_update or the number of new tokens, or use smaller models."
            ) from error
        artifact = draft.finish(
            statistics | canary, keep=stage.keep, environment=environment() | self.workspace.hardware
        )
        self.reporter.end(stage.label, artifact.seconds)
        self.worked += 1
        return artifact
