"""Running a plan: every stage once, whoever asks; then the ledger; then its MLflow mirror."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from lrbench.errors import RunError
from lrbench.pipeline.canary import PromptCanary
from lrbench.pipeline.environment import environment
from lrbench.pipeline.estimating.measuring import Measuring
from lrbench.pipeline.plan import ArmPlan, Plan, plan_recipe
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.recording import arm_record, recipe_record, score_records
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.requirements import check_layers, check_requirements
from lrbench.pipeline.stages.base import EARLIER, Stage
from lrbench.pipeline.stages.deriving import DerivedAmateur
from lrbench.pipeline.stages.rollouts import RolloutSource
from lrbench.pipeline.stages.samples import PairScores
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow_background import mirrored
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store


@dataclass(frozen=True)
class RunReport:
    """What a run did: stages worked on and found finished, its arms, and records new to the ledger."""

    worked: int
    cached: int
    arm_ids: tuple[str, ...]
    new_records: int


def run_recipe(recipe: Recipe, runs: Path, reporter: Reporter | None = None, command: str = "") -> RunReport:
    """Make and measure every arm of `recipe`, doing only what no earlier run has done.

    `command` is recorded as what a user types to do the same. Raises `LrbenchError` subclasses for all that
    can go wrong; finished shards stay either way.
    """
    reporter = reporter or Silent()
    store = Store(runs / "store", on_damage=reporter.say)
    # What cannot be done here is said before models and data are fetched for it.
    check_requirements(plan_recipe(recipe, runs, fetch=False), store)
    plan = plan_recipe(recipe, runs)
    measuring = Measuring(plan, runs)
    workspaces = _Workspaces(plan)
    work = _preflight(plan, store, workspaces)
    for again in redone(plan.stages, store):
        reporter.say(str(again))
    ledger = Ledger(runs / "ledger")
    new = ledger.declare(recipe_record(plan, command, _now()))
    runner = _Runner(store, workspaces, reporter)
    arm_ids = []
    with mirrored(runs, reporter.say, work) as recorded:
        for arm in plan.arms:
            for stage in arm.stages():
                runner.finish(stage, arm)
            record = arm_record(recipe, arm, runner.artifacts, _now())
            new += ledger.append([record, *score_records(recipe, arm, runner.artifacts, _now())])
            arm_ids.append(record.arm_id)
            recorded()
    measuring.record(runner.artifacts, reporter.say)
    return RunReport(runner.worked, len(plan.stages) - runner.worked, tuple(arm_ids), new)


class _Workspaces:
    """The workspace of each pair of models in a plan; only the models of one pair are held at a time."""

    def __init__(self, plan: Plan) -> None:
        self._runtime = plan.recipe.runtime
        ranks = [arm.adapter.training.lora.r for arm in plan.arms if arm.adapter is not None]
        self._largest_rank = max(ranks, default=0)
        self._current: Workspace | None = None

    def of(self, arm: ArmPlan) -> Workspace:
        """The workspace in which the arm's stages work."""
        current = self._current
        if current is None or (current.expert_source, current.amateur_source) != (arm.expert, arm.amateur):
            # Let go of the models of one pair before those of the next are loaded.
            self._current = None
            self._current = Workspace(arm.expert, arm.amateur, self._runtime, self._largest_rank)
        assert self._current is not None
        return self._current


def _preflight(plan: Plan, store: Store, workspaces: _Workspaces) -> bool:
    """Find out now what would otherwise stop a later stage; returns whether any stage has to run."""
    waiting: dict[Workspace, dict[str, tuple[ArmPlan, Stage]]] = {}
    for arm in plan.arms:
        for stage in arm.stages():
            if not store.exists(stage.name, stage.key):
                waiting.setdefault(workspaces.of(arm), {})[stage.key] = arm, stage
    for workspace, found in waiting.items():
        _check(workspace, [stage for _, stage in found.values()])
    return bool(waiting)


def _check(workspace: Workspace, waiting: list[Stage]) -> None:
    _ = workspace.device
    for choice in {stage.engine_choice for stage in waiting if stage.engine_choice is not None}:
        workspace.check_engine(choice)
    for stage in waiting:
        if isinstance(stage, PairScores):
            stage.check_tokens(workspace)
    for layers in {stage.derivation.layers for stage in waiting if isinstance(stage, DerivedAmateur)}:
        from lrbench.models.deriving import derivable_layers

        expert = workspace.expert_source
        check_layers(layers, derivable_layers(expert), expert.name)
    targets = {stage.training.lora.target_modules for stage in waiting if isinstance(stage, TrainedAdapter)}
    if targets:
        from lrbench.models.loading import check_target_modules

        check_target_modules(workspace.expert_source, sorted(set(chain.from_iterable(targets))))
    from lrbench.models.prompt import render_prompt

    prompts = {stage.sampling.system_prompt for stage in waiting if isinstance(stage, RolloutSource)}
    for system_prompt in {*prompts, None}:
        render_prompt(workspace.tokenizer, "What is 2 + 3?", system_prompt)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Runner:
    def __init__(self, store: Store, workspaces: _Workspaces, reporter: Reporter) -> None:
        self.store = store
        self.workspaces = workspaces
        self.reporter = reporter
        self.artifacts: dict[str, Artifact] = {}
        self.canaries: dict[str, PromptCanary] = defaultdict(PromptCanary)
        self.worked = 0

    def finish(self, stage: Stage, arm: ArmPlan) -> None:
        """See to it that the stage's artifact is there: found, waited for, or made for the arm."""
        if stage.key in self.artifacts:
            return
        artifact = self.store.find(stage.name, stage.key)
        if artifact is None:
            waiting = f"waiting for another process that works on {stage.label}"
            with self.store.lock(stage.name, stage.key, on_wait=lambda: self.reporter.say(waiting)):
                artifact = self.store.find(stage.name, stage.key) or self._make(stage, arm)
        self.canaries[arm.expert.identity].after(stage, artifact)
        self.artifacts[stage.key] = artifact

    def _make(self, stage: Stage, arm: ArmPlan) -> Artifact:
        workspace = self.workspaces.of(arm)
        inputs = {name: self.artifacts[needed.key] for name, needed in stage.inputs.items()}
        keys = {name: needed.key for name, needed in stage.inputs.items()}
        earlier = next(filter(None, (self.store.find(stage.name, key) for key in stage.earlier_keys)), None)
        if earlier is not None:
            inputs[EARLIER] = earlier
        canary = self.canaries[arm.expert.identity].before(stage, workspace)
        draft = self.store.draft(stage.name, stage.version, stage.key, stage.identity, keys)
        progress = self.reporter.begin(stage.label, stage.size)
        padding = workspace.count_padding()
        try:
            statistics = stage.work(draft, inputs, workspace, progress)
        except RuntimeError as error:
            from lrbench.models.memory import out_of_memory

            if not out_of_memory(error):
                raise
            raise RunError(
                f"{stage.label}: out of memory on {workspace.device}. Lower runtime.batch_size, "
                "training.rollouts_per_update or the number of new tokens, or use smaller models."
            ) from error
        artifact = draft.finish(
            statistics | canary,
            keep=stage.keep,
            environment=environment() | workspace.hardware | workspace.memory_held | padding.facts,
        )
        self.reporter.end(stage.label, artifact.seconds, f"padding {padding}" if padding.computed else "")
        self.worked += 1
        return artifact
