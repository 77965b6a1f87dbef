"""Running a plan: every stage once, whoever asks; then the ledger; then its MLflow mirror."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lrbench.errors import LrbenchError, NothingKeptError, RunError
from lrbench.pipeline.canary import PromptCanary
from lrbench.pipeline.environment import environment
from lrbench.pipeline.estimating.measuring import Measuring
from lrbench.pipeline.failures import Cause, Failure, ends_run, gathered, words_of
from lrbench.pipeline.hazards import inert_hazard, remarks_on_fidelity
from lrbench.pipeline.plan import ArmPlan, Plan, plan_recipe
from lrbench.pipeline.preflight import preflight
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.prompting import remarks_on_prompts
from lrbench.pipeline.recording import arm_record, recipe_record, score_records
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.requirements import check_requirements
from lrbench.pipeline.stages.base import EARLIER, Stage
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow_background import mirrored
from lrbench.store.artifact import Artifact
from lrbench.store.files import storage_error
from lrbench.store.limits import limit_reached
from lrbench.store.store import Store


@dataclass(frozen=True)
class RunReport:
    """What a run did: stages worked on and found finished, its arms, records new to the ledger, and failures.

    `score_ids` are the identities of this run's scores among those of the ledger. `failures` say what could
    not be done, by reason; everything else is done, and running again tries only them.
    """

    worked: int
    cached: int
    arm_ids: tuple[str, ...]
    new_records: int
    score_ids: frozenset[tuple[str, ...]] = frozenset()
    failures: tuple[Failure, ...] = ()


def run_recipe(recipe: Recipe, runs: Path, reporter: Reporter | None = None, command: str = "") -> RunReport:
    """Make and measure every arm of `recipe`, doing only what no earlier run has done.

    What fails for some arms, points or seeds alone is in the report, and the others are done. What is wrong
    with the recipe as a whole is found before any work and raised, as is what ends every run: a full disk,
    a store or ledger that cannot be used. `command` is recorded as what a user types to do the same. Raises
    `LrbenchError` subclasses; finished shards stay either way.
    """
    reporter = reporter or Silent()
    store = Store(runs / "store", on_damage=reporter.say)
    # What cannot be done here is said before models and data are fetched for it.
    check_requirements(plan_recipe(recipe, runs, fetch=False), store)
    plan = plan_recipe(recipe, runs)
    inert = inert_hazard(plan.arms)
    if inert is not None:
        raise inert
    measuring = Measuring(plan, runs)
    workspaces = _Workspaces(plan)
    work, failed = preflight(plan, store, workspaces.of)
    waiting = [stage for stage in plan.stages if not store.exists(stage.name, stage.key)]
    remarks = [*remarks_on_prompts(waiting), *(remarks_on_fidelity(plan.arms) if waiting else [])]
    remarks += dict.fromkeys(said for stage in waiting for said in stage.remarks)
    for line in [*map(str, redone(plan.stages, store)), *remarks]:
        reporter.say(line)
    ledger = Ledger(runs / "ledger")
    new = ledger.declare(recipe_record(plan, command, _now()))
    runner = _Runner(store, workspaces, reporter, failed)
    for failure in gathered([*plan.failed, *runner.causes(plan.arms)]):
        reporter.say(f"cannot  {failure}")
    arm_ids, score_ids = [], set()
    with mirrored(runs, reporter.say, work) as recorded:
        for arm in plan.arms:
            runner.make(arm)
            if not runner.is_made(arm):
                continue
            record = arm_record(recipe, arm, runner.artifacts, _now())
            scores = list(score_records(recipe, arm, runner.artifacts, _now()))
            new += ledger.append([record, *scores])
            arm_ids.append(record.arm_id)
            score_ids |= {score.identity for score in scores}
            recorded()
    measuring.record(runner.artifacts, reporter.say)
    cached = sum(stage.key in runner.artifacts for stage in plan.stages) - runner.worked
    failures = gathered([*plan.failed, *runner.causes(plan.arms)])
    return RunReport(runner.worked, cached, tuple(arm_ids), new, frozenset(score_ids), failures)


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
        if current is None or current.sources != (arm.expert, arm.amateur):
            # Let go of the models of one pair before those of the next are loaded.
            self._current = None
            self._current = Workspace(arm.expert, arm.amateur, self._runtime, self._largest_rank)
        assert self._current is not None
        return self._current

    def forget(self) -> None:
        """Let go of the models held: a stage that failed may have left its adapter on one."""
        self._current = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Runner:
    def __init__(
        self, store: Store, workspaces: _Workspaces, reporter: Reporter, failed: dict[str, Cause]
    ) -> None:
        """`failed` says by key which stages cannot be made, and grows."""
        self.store = store
        self.workspaces = workspaces
        self.reporter = reporter
        self.failed = failed
        self.artifacts: dict[str, Artifact] = {}
        self.canaries: dict[str, PromptCanary] = defaultdict(PromptCanary)
        self.worked = 0

    def make(self, arm: ArmPlan) -> None:
        """Finish every stage of the arm that can be; a stage that fails takes along those that need it."""
        for stage in arm.stages():
            if stage.key in self.artifacts or stage.key in self.failed:
                continue
            behind = [self.failed[key] for key in _keys(stage.inputs) if key in self.failed]
            if behind:
                self.failed[stage.key] = behind[0]
                continue
            try:
                self.finish(stage, arm)
            except Exception as error:
                self._note(stage, arm, error)

    def is_made(self, arm: ArmPlan) -> bool:
        """Whether there is something to record of the arm: its model, and a benchmark measured on it."""
        return any(score.key in self.artifacts for score in arm.scores)

    def causes(self, arms: Iterable[ArmPlan]) -> Iterator[tuple[str, Cause]]:
        """The title of each arm that goes without something, with what it was that failed."""
        for arm in arms:
            for stage in arm.stages():
                if stage.key in self.failed:
                    yield arm.title, self.failed[stage.key]

    def finish(self, stage: Stage, arm: ArmPlan) -> None:
        """See to it that the stage's artifact is there: found, waited for, or made for the arm."""
        artifact = self.store.find(stage.name, stage.key)
        if artifact is None:
            waiting = f"waiting for another process that works on {stage.label}"
            with self.store.lock(stage.name, stage.key, on_wait=lambda: self.reporter.say(waiting)):
                artifact = self.store.find(stage.name, stage.key) or self._make(stage, arm)
        self.canaries[arm.expert.identity].after(stage, artifact)
        self.artifacts[stage.key] = artifact

    def _make(self, stage: Stage, arm: ArmPlan) -> Artifact:
        stage.check(self.artifacts)
        workspace = self.workspaces.of(arm)
        inputs = {name: self.artifacts[needed.key] for name, needed in stage.inputs.items()}
        keys = {name: needed.key for name, needed in stage.inputs.items()}
        earlier = next(filter(None, (self.store.find(stage.name, key) for key in stage.earlier_keys)), None)
        if earlier is not None:
            inputs[EARLIER] = earlier
        canary = self.canaries[arm.expert.identity].before(stage, workspace)
        draft = self.store.draft(stage.name, stage.version, stage.key, stage.identity, keys)
        progress = self.reporter.begin(stage.label, stage.size)
        padding = workspace.engines.count_padding()
        try:
            statistics = stage.work(draft, inputs, workspace, progress)
        except (RuntimeError, MemoryError) as error:
            from lrbench.models.memory import out_of_memory

            if not out_of_memory(error):
                raise
            raise RunError(
                f"out of memory on {workspace.machine.device}. Lower runtime.batch_size, "
                "training.rollouts_per_update or the number of new tokens, or use smaller models."
            ) from error
        artifact = draft.finish(
            statistics | canary,
            keep=stage.keep,
            environment=environment() | workspace.machine.hardware | workspace.memory_held | padding.facts,
        )
        self.reporter.end(stage.label, artifact.seconds, f"padding {padding}" if padding.computed else "")
        self.worked += 1
        return artifact

    def _note(self, stage: Stage, arm: ArmPlan, error: Exception) -> None:
        """Remember that the stage failed. Raises `error` where nothing else can be done either."""
        if isinstance(error, OSError) and ends_run(error):
            raise storage_error(error, self.store.root) from error
        if not isinstance(error, LrbenchError) and (limit := limit_reached(error)):
            raise RunError(limit) from error
        if ends_run(error):
            raise error
        cause = self.failed[stage.key] = Cause.of(words_of(stage), error)
        if not isinstance(error, NothingKeptError):
            self.workspaces.forget()
        self.reporter.say(f"failed  {Failure((arm.title,), (cause.stage,), cause.reason)}")


def _keys(stages: Mapping[str, Stage]) -> Iterator[str]:
    return (stage.key for stage in stages.values())
