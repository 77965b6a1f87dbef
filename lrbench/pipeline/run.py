"""Running a plan: every stage once, whoever asks; then the ledger; then its MLflow mirror."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from lrbench.pipeline.estimating.measuring import Measuring
from lrbench.pipeline.failures import Cause, Failure, gathered
from lrbench.pipeline.hazards import remarks_on_fidelity
from lrbench.pipeline.helpers import NOBODY, Helpers
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.preflight import preflight
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.prompting import remarks_on_prompts
from lrbench.pipeline.ray_cluster import Cluster, cluster_of
from lrbench.pipeline.ray_workers import alone, working_on_ray
from lrbench.pipeline.recording import arm_record, recipe_record, score_records
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.remaining import Ahead
from lrbench.pipeline.requirements import fetched_plan
from lrbench.pipeline.runner import Runner, Workspaces
from lrbench.pipeline.selecting import chosen_lines, together
from lrbench.pipeline.sharing import announced, at_work
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.watching import Watcher, place_of, watched
from lrbench.pipeline.workers import working_beside
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.background import BackgroundMirror, mirrored
from lrbench.results.records import RecipeRecord
from lrbench.results.text import shown
from lrbench.store.artifact import Artifact
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

    def _repr_html_(self) -> str:
        """What notebooks show: what was done in a line, and every failure with the arms it concerns."""
        done = (
            f"{self.worked} stages were made, {self.cached} were finished before; {len(self.arm_ids)} arms, "
            f"{len(self.score_ids)} scores, {self.new_records} new records in the ledger."
        )
        failed = "".join(
            f"<li>{escape(shown(', '.join(failure.arms)))}: <code>{escape(shown(failure.reason))}</code></li>"
            for failure in self.failures
        )
        return f"<p>{done}</p>" + (f"<p>Not done:</p><ul>{failed}</ul>" if failed else "")


def run_recipe(
    recipe: Recipe, runs: Path, reporter: Reporter | None = None, command: str = "", on: str | None = None
) -> RunReport:
    """Make and measure every arm of `recipe`, doing only what no earlier run has done.

    What fails for some arms, points or seeds alone is in the report, and the others are done. What is wrong
    with the recipe as a whole is found before any work and raised, as is what ends every run: a full disk,
    a store or ledger that cannot be used. `command` is recorded as what a user types to do the same. `on` is
    `ray` or `ray=ADDRESS`, where workers of a Ray cluster make the stages (`lrbench.pipeline.ray_workers`).
    Where points are chosen, all are measured to that end first, and then the chosen ones on the suite.
    Raises `LrbenchError` subclasses; finished shards stay either way.
    """
    reporter = reporter or Silent()
    cluster = None if on is None else cluster_of(on)
    store = Store(runs / "store", on_damage=reporter.say)
    plan = fetched_plan(recipe, runs, store, elsewhere=cluster is not None)
    whole = together(plan)
    measuring = Measuring(plan.phases[0], runs, None if plan.selecting is None else whole)
    ahead = _ahead(plan.phases[0], whole, store, measuring)
    watcher = Watcher(
        reporter,
        place_of(runs, recipe.name),
        recipe.name,
        ahead,
        len(whole.stages),
        workers=recipe.runtime.workers,
        phases=len(plan.phases),
    )
    # One clock and one mirror over all phases: nothing waits for MLflow between them.
    with watched(watcher, runs), mirrored(runs, reporter.say) as mirror:
        running = _Running(recipe, runs, store, reporter, command, cluster, watcher, mirror)
        phases = []
        if plan.selecting is not None and plan.selection is not None:
            if ahead.waiting:
                reporter.say(f"first of 2 phases: every point on {plan.selection.label}")
            phases.append(running.make(plan.selecting, plan, ahead.waiting))
            measuring.record(phases[0].artifacts, reporter.say)
            if plan.is_open:
                plan = fetched_plan(recipe, runs, store, elsewhere=cluster is not None, settled=True)
            for line in chosen_lines(plan):
                reporter.say(line)
            whole, measuring = together(plan), Measuring(plan, runs)
            ahead = _ahead(plan, plan, store, measuring)
            made = sum(store.exists(stage.name, stage.key) for stage in whole.stages)
            watcher.go_on(ahead, len(whole.stages), made)
        phases.append(running.make(plan, plan, ahead.waiting, phase=len(phases)))
    measuring.record(phases[-1].artifacts, reporter.say)
    return _report(phases)


def _ahead(plan: Plan, whole: Plan, store: Store, measuring: Measuring) -> Ahead:
    """What is not made yet of a phase, whose plan this is, and of the `whole` after it."""
    waiting = [stage for stage in whole.stages if not store.exists(stage.name, stage.key)]
    own = {stage.key for stage in plan.stages}
    return Ahead(
        [stage for stage in waiting if stage.key in own],
        [stage for stage in waiting if stage.key not in own],
        measuring.seconds,
        measuring.is_checked,
        measuring.inputs,
    )


@dataclass(frozen=True)
class _Made:
    """What one phase of a run came to: `worked` stages, `artifacts` of all by key; the rest as a report's."""

    worked: int
    artifacts: Mapping[str, Artifact]
    arm_ids: tuple[str, ...]
    new_records: int
    score_ids: frozenset[tuple[str, ...]]
    failures: tuple[Failure, ...]


def _report(phases: Sequence[_Made]) -> RunReport:
    worked = sum(phase.worked for phase in phases)
    return RunReport(
        worked=worked,
        cached=len(frozenset().union(*(phase.artifacts for phase in phases))) - worked,
        arm_ids=tuple(dict.fromkeys(arm_id for phase in phases for arm_id in phase.arm_ids)),
        new_records=sum(phase.new_records for phase in phases),
        score_ids=frozenset().union(*(phase.score_ids for phase in phases)),
        failures=tuple(failure for phase in phases for failure in phase.failures),
    )


@dataclass(frozen=True)
class _Running:
    """What all phases of a run have in common."""

    recipe: Recipe
    runs: Path
    store: Store
    reporter: Reporter
    command: str
    cluster: Cluster | None
    watcher: Watcher
    mirror: BackgroundMirror

    def make(self, plan: Plan, whole: Plan, waiting: Sequence[Stage], phase: int = 0) -> _Made:
        """Make what is `waiting` of one `phase`, whose plan this is, of the `whole`, and record it all."""
        recipe, runs, store = self.recipe, self.runs, self.store
        # Workers import libraries while this process does.
        with (
            announced(runs, recipe.name) as note,
            self._helpers(sum(stage.parts for stage in waiting), note, phase) as helpers,
        ):
            workspaces = Workspaces(plan, None if self.cluster is None else alone(recipe).runtime)
            work = bool(waiting)
            failed: dict[str, Cause] = {}
            if not helpers.is_elsewhere:
                work, failed = preflight(plan, store, workspaces.of)
                if whole.is_open:
                    # What would stop the chosen arms is found before days are spent on choosing them.
                    preflight(whole, store, workspaces.of)

            def is_alone() -> bool:
                others = [name for _, name in at_work(runs) if name == recipe.name]
                return recipe.runtime.workers == 1 and len(others) <= 1

            runner = Runner(
                store, workspaces, self.watcher, {stage.key for stage in waiting}, failed, helpers, is_alone
            )
            for line in _remarks(plan, waiting, store):
                self.reporter.say(line)
            ledger = Ledger(runs / "ledger")
            declared = recipe_record(whole, self.command, _now())
            new = self._declare(ledger, declared, whole)
            for failure in gathered([*plan.failed, *runner.causes(plan.arms)]):
                self.reporter.say(f"cannot  {failure}")
            arm_ids, score_ids = [], set()
            if work:
                self.mirror.start()
            for arm in runner.settle(plan.arms):
                if not runner.is_made(arm):
                    continue
                record = arm_record(recipe, arm, runner.artifacts, _now(), declared.recipe_yaml)
                scores = list(score_records(recipe, arm, runner.artifacts, _now()))
                new += ledger.append([record, *scores])
                arm_ids.append(record.arm_id)
                score_ids |= {score.identity for score in scores}
                self.mirror.tell()
            for reason in helpers.ended_early:
                self.reporter.say(
                    f"warning: a worker ended early, and its work was done without it: {reason}"
                )
            worked = runner.worked + helpers.made(runner.elsewhere)
        made = runner.artifacts
        artifacts = {stage.key: made[stage.key] for stage in plan.stages if stage.key in made}
        failures = gathered([*plan.failed, *runner.causes(plan.arms)])
        return _Made(worked, artifacts, tuple(arm_ids), new, frozenset(score_ids), failures)

    def _declare(self, ledger: Ledger, declared: RecipeRecord, whole: Plan) -> int:
        """Record what the recipe means; an earlier choice of the same recipe stands until the new one."""
        if whole.is_open:
            known = [record for record in ledger.read().recipes if record.recipe == declared.recipe]
            if known and known[-1].recipe_hash == declared.recipe_hash:
                return 0
        return ledger.declare(declared)

    def _helpers(self, waiting: int, note: Path, phase: int) -> AbstractContextManager[Helpers]:
        """The processes that make some or all of the `waiting` parts of stages while the block works."""
        if self.cluster is None:
            return working_beside(self.recipe, self.runs, waiting, phase)
        if not waiting:
            return nullcontext(NOBODY)
        return working_on_ray(self.cluster, self.recipe, note, waiting, phase, self.reporter.say)


def _remarks(plan: Plan, waiting: Sequence[Stage], store: Store) -> Iterator[str]:
    """What a user should know before the work on what is `waiting`."""
    yield from map(str, redone(plan.stages, store))
    yield from remarks_on_prompts(waiting)
    yield from plan.remarks
    if waiting:
        yield from remarks_on_fidelity(plan.arms)
    yield from dict.fromkeys(said for stage in waiting for said in stage.remarks)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
