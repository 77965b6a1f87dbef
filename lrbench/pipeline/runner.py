"""Making the stages of a plan: each as soon as its inputs are there and no other process works on it.

A plan needs no coordinator: every process that runs it takes the first stage that nobody holds the lock of,
and finds in the store what others have made meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from lrbench.errors import LrbenchError, NothingKeptError, RunError, first_line
from lrbench.pipeline.canary import PromptCanary
from lrbench.pipeline.environment import environment
from lrbench.pipeline.failures import Cause, Failure, ends_run, words_of
from lrbench.pipeline.following import Following
from lrbench.pipeline.helpers import NOBODY, Helpers
from lrbench.pipeline.plan import ArmPlan, Plan
from lrbench.pipeline.progress import PART, Reporter
from lrbench.pipeline.stages.base import EARLIER, Stage
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Runtime
from lrbench.store.artifact import Artifact
from lrbench.store.files import storage_error
from lrbench.store.limits import limit_reached
from lrbench.store.store import Store

logger = logging.getLogger(__name__)
# Between two looks at what other processes work on, while there is nothing else to do.
SECONDS_BETWEEN_LOOKS = 0.1


class Workspaces:
    """The workspace of each pair of models in a plan; only the models of one pair are held at a time."""

    def __init__(self, plan: Plan, runtime: Runtime | None = None) -> None:
        """`runtime` is how the work is done, where that is not as the recipe says."""
        self._runtime = runtime or plan.recipe.runtime
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

    def stop_answering(self) -> None:
        """Have nothing written ahead any more."""
        if self._current is not None:
            self._current.answering.close()

    def forget_prompts(self, key: str) -> None:
        """Have nothing more written ahead for a stage."""
        if self._current is not None:
            self._current.answering.forget(key)

    def forget(self) -> None:
        """Let go of the models held: a stage that failed may have left its adapter on one."""
        self.stop_answering()
        self._current = None


class Runner:
    """Makes what it can of a plan's stages in this process, and finds what others made."""

    def __init__(
        self,
        store: Store,
        workspaces: Workspaces,
        reporter: Reporter,
        waiting: Collection[str],
        failed: dict[str, Cause],
        helpers: Helpers = NOBODY,
        is_alone: Callable[[], bool] = lambda: True,
    ) -> None:
        """`waiting` has the keys of what is not finished yet; `failed` says what cannot be, and grows.

        What `helpers` take is left to them, and what they could not make is not tried again. Where it is not
        alone, this process takes little ahead of its turn.
        """
        self.store = store
        self.workspaces = workspaces
        self.reporter = reporter
        self.waiting = waiting
        self.failed = failed
        self.helpers = helpers
        self.elsewhere = 0
        self.artifacts: dict[str, Artifact] = {}
        self.canaries: dict[str, PromptCanary] = defaultdict(PromptCanary)
        self.worked = 0
        self.helped = 0
        self._following = Following(store, is_alone)
        self._told: set[str] = set()
        # Stages of which this process could not make a part.
        self._unable: set[str] = set()

    def settle(self, arms: Sequence[ArmPlan]) -> Iterator[ArmPlan]:
        """Finish every stage that can be; gives each arm once none of its stages is left.

        Always the first stage in the order of the plan that can be made now is. Those that another process
        works on are waited for when nothing else can be done.
        """
        left = list(arms)
        try:
            yield from self._settle(left)
        finally:
            self._let_go()

    def _settle(self, left: list[ArmPlan]) -> Iterator[ArmPlan]:
        while left:
            held: dict[str, tuple[Stage, ArmPlan]] = {}
            for arm in left:
                worked = self.worked
                is_settled = self._work_on(arm, held)
                if is_settled:
                    left.remove(arm)
                    yield arm
                if is_settled or self.worked > worked:
                    # Meanwhile others may have finished what stages of earlier arms need.
                    break
            else:
                self._wait_for(held)

    def _work_on(self, arm: ArmPlan, held: dict[str, tuple[Stage, ArmPlan]]) -> bool:
        """Make the next stage of the arm that can be made; whether none of them is left.

        Those that another process works on are added to `held`. A stage that fails takes along those that
        need it.
        """
        is_settled = True
        for stage in arm.stages():
            if stage.key in self.artifacts or stage.key in self.failed:
                continue
            behind = [self.failed[key] for key in _needed(stage) if key in self.failed]
            if behind:
                self.failed[stage.key] = behind[0]
                continue
            # What answers those that were taken ahead is of use for nothing else.
            is_due = not self._following or stage.key in self._following
            if not is_due or stage.key in held or not self._has_inputs(stage):
                is_settled = False
                continue
            worked = self.worked
            try:
                if self._finish(stage, arm):
                    # What was taken ahead may have been found finished.
                    self._following.forget(stage.key)
                    self.workspaces.forget_prompts(stage.key)
                else:
                    held[stage.key] = stage, arm
                    is_settled = False
            except Exception as error:
                self._note(stage, arm, error)
            if self.worked > worked:
                return False
        return is_settled

    def _wait_for(self, held: Mapping[str, tuple[Stage, ArmPlan]]) -> None:
        """Make parts of what other processes are at work on; where there are none, look again in a moment."""
        if not self.helpers.takes_all and any(self._help(*work) for work in held.values()):
            return
        for key, (stage, _) in held.items():
            # Of those that helpers take nobody knows which they are at work on.
            if key not in self._told and not self.helpers.takes_all:
                self._told.add(key)
                self.reporter.say(f"waiting for another process that works on {stage.label}")
        time.sleep(SECONDS_BETWEEN_LOOKS)

    def _help(self, stage: Stage, arm: ArmPlan) -> bool:
        """Make shards of a stage that another process makes; whether there were any left to make."""
        if stage.key in self._unable:
            return False
        helping = None
        try:
            keys = {name: needed.key for name, needed in stage.inputs.items()}
            helping = self.store.help(stage.name, stage.version, stage.key, stage.identity, keys)
            # What was written for an earlier version is graded again within moments.
            is_graded = any(self.store.exists(stage.name, key) for key in stage.earlier_keys)
            if helping is None or is_graded or not stage.take_part(helping):
                return False
            workspace = self.workspaces.of(arm)
            workspace.answering.follow = lambda: iter(())
            label, started = f"part of {stage.label}", time.monotonic()
            progress = self.reporter.begin(label, stage.size)
            stage.help(helping, self._inputs(stage), workspace, progress)
            self.reporter.end(label, time.monotonic() - started, PART)
            self.helped += 1
        except Exception as error:
            # Whoever makes the stage meets it too, and tells it as the stage's.
            self._unable.add(stage.key)
            self.workspaces.forget()
            logger.warning("could not help with %s: %s", stage.label, first_line(error))
        finally:
            if helping is not None:
                helping.let_go()
        return True

    def _inputs(self, stage: Stage) -> dict[str, Artifact]:
        read = {**stage.behind, **stage.inputs}
        return {name: self.artifacts[needed.key] for name, needed in read.items()}

    def is_made(self, arm: ArmPlan) -> bool:
        """Whether there is something to record of the arm: its model, and a benchmark measured on it."""
        return any(score.key in self.artifacts for score in arm.scores)

    def causes(self, arms: Iterable[ArmPlan]) -> Iterator[tuple[str, Cause]]:
        """The title of each arm that goes without something, with what it was that failed."""
        for arm in arms:
            for stage in arm.stages():
                if stage.key in self.failed:
                    yield arm.title, self.failed[stage.key]

    def _finish(self, stage: Stage, arm: ArmPlan) -> bool:
        """Find or make the stage's artifact for the arm; False where that is left to another process."""
        # Asked before looking: what they finish between the two is found.
        is_theirs = self.helpers.takes_all
        artifact = self.store.find(stage.name, stage.key)
        if artifact is not None and stage.key in self.waiting:
            self.elsewhere += 1
            self.reporter.end(stage.label, artifact.seconds, "another process")
        if artifact is None:
            if is_theirs:
                return False
            if stage.key in self.helpers.failed:
                self._fail(stage, arm, self.helpers.failed[stage.key])
                return True
            is_ahead = stage.key in self._following
            with self._following.lock(stage) as held:
                if not held:
                    return False
                artifact = self.store.find(stage.name, stage.key) or self._make(stage, arm, is_ahead)
        self.canaries[arm.expert.identity].after(stage, artifact)
        self.artifacts[stage.key] = artifact
        return True

    def _has_inputs(self, stage: Stage) -> bool:
        return all(key in self.artifacts for key in _needed(stage))

    def _can_follow(self, stage: Stage) -> bool:
        """Whether the stage can be made now, from the beginning."""
        is_open = stage.key not in self.artifacts and stage.key not in self.failed
        earlier = any(self.store.exists(stage.name, key) for key in stage.earlier_keys)
        return is_open and stage.key not in self.helpers.failed and self._has_inputs(stage) and not earlier

    def _make(self, stage: Stage, arm: ArmPlan, is_ahead: bool) -> Artifact:
        stage.check(self.artifacts)
        workspace = self.workspaces.of(arm)
        inputs = self._inputs(stage)
        keys = {name: needed.key for name, needed in stage.inputs.items()}
        earlier = next(filter(None, (self.store.find(stage.name, key) for key in stage.earlier_keys)), None)
        if earlier is not None:
            inputs[EARLIER] = earlier
        canary = self.canaries[arm.expert.identity].before(stage, workspace)
        # Answers to what was announced are on the way.
        draft = self.store.draft(
            stage.name, stage.version, stage.key, stage.identity, keys, is_shared=not is_ahead
        )
        progress = self.reporter.begin(stage.label, stage.size)
        # Of stages in one queue what was computed is told of all together.
        padding = workspace.engines.padding if is_ahead else workspace.engines.count_padding()
        others = {other.key: other for other in arm.stages() if other.key != stage.key}
        workspace.answering.follow = partial(self._following.after, stage, others.values(), self._can_follow)
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
        finally:
            draft.let_go()
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
        self._let_go()
        if isinstance(error, OSError) and ends_run(error):
            raise storage_error(error, self.store.root) from error
        if not isinstance(error, LrbenchError) and (limit := limit_reached(error)):
            raise RunError(limit) from error
        if ends_run(error):
            raise error
        if not isinstance(error, NothingKeptError):
            self.workspaces.forget()
        self._fail(stage, arm, Cause.of(words_of(stage), error))

    def _let_go(self) -> None:
        self._following.let_go()
        self.workspaces.stop_answering()

    def _fail(self, stage: Stage, arm: ArmPlan, cause: Cause) -> None:
        self.failed[stage.key] = cause
        self.reporter.fail(str(Failure((arm.title,), (cause.stage,), cause.reason)))


def _needed(stage: Stage) -> Iterator[str]:
    """The keys of all that the stage reads."""
    return (needed.key for needed in (*stage.inputs.values(), *stage.behind.values()))
