"""The stage that teaches a network at which tokens an arm's own model goes astray."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.errors import NothingKeptError
from lrbench.methods.learnt_routes import TokenRouter
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.continuations import Continuations
from lrbench.pipeline.stages.hands import check_of_tokens, checks_of, title
from lrbench.pipeline.stages.rollouts import parquet_files, read_artifact_rollouts
from lrbench.pipeline.stages.samples import ROLLOUTS_PER_SHARD, input_name
from lrbench.pipeline.stages.saving import Saves
from lrbench.pipeline.stages.tasks import Known, Scoring, Task
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.sampling.rollouts import Rollout

ROUTER_FILE = "router.safetensors"
# Of the problems, at least one, those on which a bound is found.
VALIDATION_SHARE = 0.2
# A network as large as published takes most of a gigabyte to save.
EPOCHS_BETWEEN_SAVES = 5


@dataclass(frozen=True)
class TrainedRouter(Stage):
    """A network that tells divergent tokens of the `expert`, with an `adapter` on or not, from all others.

    `continuations` are those of what the `other` model writes, after what the expert would have written.
    """

    name: ClassVar[str] = "router"
    version: ClassVar[int] = 1

    expert: LocatedModel
    adapter: TrainedAdapter | None
    other: Reader
    continuations: Continuations
    router: TokenRouter
    seed: int

    @property
    def label(self) -> str:
        """What the stage makes, for people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """The names of the arms whose adapters are on stand for their titles."""
        own = title(Reader("own", self.expert, self.adapter), names)
        return f"router from {own} to {title(self.other, names)} ({self.router.epochs} epochs)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Whose states it reads, the network, and the seed; its bound is found when it answers."""
        return {
            "expert": model_identity(self.expert),
            "network": dict(self.router.network),
            "seed": self.seed,
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts, what was continued, the scores that say where, and the own model's adapter."""
        scores = self.continuations.scores
        assert scores is not None
        own = {} if self.adapter is None else {"adapter": self.adapter}
        return {
            "rollouts": self.continuations.source,
            self.scores_name: scores,
            "continuations": self.continuations,
        } | own

    @property
    def scores_name(self) -> str:
        """The name under which it reads the scores, and an arm's record has them."""
        reading = self.continuations.continuing.reading
        assert reading is not None
        return input_name(reading)

    @property
    def size(self) -> int:
        """Epochs."""
        return self.router.epochs

    @property
    def keep(self) -> tuple[str, ...]:
        """The network with its validation; no saves."""
        return (ROUTER_FILE,)

    # What would stop it

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the other model can be built, and has the expert's tokens."""
        yield from super().checks(workspace)
        yield from checks_of(self.other, workspace, self.continuations.source.sampling.system_prompt)
        instead = "name a model that has the expert's tokenizer"
        check = check_of_tokens(self.other, workspace, "write in its place where a router says so", instead)
        # Before its scores say that two models cannot be compared, which could be helped.
        yield replace(check, about=About.AMATEUR)

    def check(self, artifacts: Mapping[str, Artifact]) -> None:
        """Whether anything is divergent. Raises `NothingKeptError`, which says what was seen instead."""
        found = artifacts[self.continuations.key].statistics
        if found["failed_tokens"]:
            return
        raise NothingKeptError(
            f"no token is divergent, so a router has nothing to learn: of {found['tried_tokens']:,} tokens "
            f"that {model_name(self.expert.name)} would write in the place of "
            f"{model_name(self.other.model.name)}'s none led to another answer, and {found['unanswered']:,} "
            "rollouts have no answer that they could be held against; raise data.problems or "
            "sampling.max_new_tokens, or take other models"
        )

    # What it costs

    def task(self, known: Known) -> Task:
        """The expert reads every rollout, and what the network takes is about another reading."""
        expected = self.continuations.source.expected(known)
        return Scoring((self.expert, self.expert), *expected, ROLLOUTS_PER_SHARD)

    # How it is made

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Train, saving every few updates, and commit the network. The seconds are those of its updates."""
        from lrbench.sampling.routers import write_router
        from lrbench.training.routers import labelled_steps, learn_router, updates_of

        rollouts = read_artifact_rollouts(inputs["rollouts"])
        labels_N = self.labels(rollouts, inputs, workspace)
        adapter = inputs["adapter"].directory if "adapter" in inputs else None
        held = workspace.held(self.expert, adapter)
        steps = labelled_steps(held.weights, held.vocabulary, rollouts, labels_N, self.router.top)
        places = self._places(rollouts, labels_N)
        learnt, validated = (steps.only(where) for where in places)
        if not len(learnt) or not len(validated):
            raise NothingKeptError(
                "a router learns from some problems and is validated on others, and of the "
                f"{self.continuations.size:,} problems too few have an answer that tokens could be held "
                "against; raise data.problems or sampling.max_new_tokens"
            )
        saves, updates = Saves(draft), updates_of(self.router, len(learnt))
        counted = _InEpochs(progress, updates, self.size)
        router, curves, seconds = learn_router(
            learnt,
            validated,
            self.router,
            seed=self.seed,
            device=held.weights.device,
            updates_between_saves=max(
                workspace.runtime.updates_between_saves, ceil(updates / self.size) * EPOCHS_BETWEEN_SAVES
            ),
            save=saves.save,
            resume=saves.resume(counted),
            progress=lambda _, measured: counted.advance(1, note=f"loss {measured['loss']:.3f}"),
        )
        draft.commit(ROUTER_FILE, partial(write_router, router=router), saves.unaccounted(seconds))
        workspace.hold_beside(())
        divergent = router.labels == 1
        return {
            "router_steps": len(learnt),
            "router_divergent": int((learnt.labels == 1).sum()),
            "router_validated": len(validated),
            "router_validated_divergent": int(divergent.sum()),
            "router_updates": updates,
            "router_loss": curves.loss[-1][1],
        }

    def labels(
        self, rollouts: Sequence[Rollout], inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> NDArray[np.int8]:
        """(N,) for every step of the rollouts whether it is divergent: 1, 0, or -1 where nobody knows."""
        from lrbench.sampling.continuing import differing, divergent_steps, read_verdicts
        from lrbench.sampling.scores import read_scores

        return divergent_steps(
            [rollout.steps for rollout in rollouts],
            differing(read_scores(parquet_files(inputs[self.scores_name])), rollouts),
            self.continuations.answered(rollouts, workspace),
            read_verdicts(parquet_files(inputs["continuations"])),
        )

    def _places(self, rollouts: Sequence[Rollout], labels_N: NDArray[np.int8]) -> tuple[Any, Any]:
        """The labelled steps that are learnt from, and those of the problems that are left for validation."""
        import numpy as np

        problems = sorted({rollout.problem_id for rollout in rollouts}, key=_lot)
        left = set(problems[: ceil(VALIDATION_SHARE * len(problems))])
        aside_N = np.repeat(
            [rollout.problem_id in left for rollout in rollouts], [rollout.steps for rollout in rollouts]
        )
        known_N = labels_N >= 0
        return np.flatnonzero(known_N & ~aside_N), np.flatnonzero(known_N & aside_N)


def _lot(problem: str) -> str:
    """What decides which problems are for validation: nothing but themselves."""
    return hashlib.sha256(problem.encode()).hexdigest()


@dataclass
class _InEpochs:
    """Tells `progress` of whole epochs, from updates."""

    progress: Progress
    updates: int
    epochs: int
    done: int = 0

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        before = self.done * self.epochs // self.updates
        self.done += units
        self.progress.advance(self.done * self.epochs // self.updates - before, note, **measured)
