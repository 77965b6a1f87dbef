"""Running a plan: every stage once, whoever asks; then the ledger; then its MLflow mirror."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lrbench.errors import RunError
from lrbench.pipeline.canary import PromptCanary
from lrbench.pipeline.plan import Plan, plan_recipe
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.recording import arm_record, score_records
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
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
    for stage in plan.stages:
        runner.finish(stage)
    arm_ids, new = _record(plan, runner.artifacts, runs)
    if new:
        from lrbench.results.mlflow_mirror import mirror_safely

        reporter.say("mirroring the results to MLflow")
        mirror_safely(runs, say=reporter.say)
    return RunReport(runner.worked, len(plan.stages) - runner.worked, arm_ids, new)


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
        except torch.OutOfMemoryError as error:
            raise RunError(
                f"{stage.label}: out of memory on {self.workspace.device} even for one row at a time. "
                "Lower runtime.positions_per_chunk or sampling.max_new_tokens, or use a smaller model."
            ) from error
        artifact = draft.finish(statistics | canary, keep=stage.keep, environment=environment())
        self.reporter.end(stage.label, artifact.seconds)
        self.worked += 1
        return artifact


def _record(plan: Plan, artifacts: dict[str, Artifact], runs: Path) -> tuple[tuple[str, ...], int]:
    """Write what is not yet in the ledger; returns the ids of all arms, and the number of new records."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    records = [arm_record(plan, arm, artifacts, environment(), now) for arm in plan.arms]
    scores = [
        score
        for arm, record in zip(plan.arms, records, strict=True)
        for score in score_records(plan, arm, artifacts, record.arm_id, now)
    ]
    new = Ledger(runs / "ledger").append([*records, *scores])
    return tuple(record.arm_id for record in records), new
