"""Training an arm's adapter, with saves that let a killed run go on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.errors import NothingKeptError
from lrbench.methods.changes import Change
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.lessons import ADAPTER_FILES, trained_alone, trained_together
from lrbench.pipeline.stages.pairs import ReferenceLogP, read_log_p
from lrbench.pipeline.stages.rollouts import ReferenceRollouts, read_artifact_rollouts
from lrbench.pipeline.stages.samples import ArmSamples, kept_samples
from lrbench.pipeline.stages.tasks import Known, Learning, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Training
from lrbench.results.identity import training_identity
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.sampling.samples import Samples
    from lrbench.training.checkpoints import Points
    from lrbench.training.portions import Stored
    from lrbench.training.preferences import Pairs

CURVES_FILE = "curves.json"


@dataclass(frozen=True)
class TrainedAdapter(Stage):
    """The adapter that an arm's samples give, within its budget.

    `held_out` are the solutions whose perplexity is measured; nothing is learnt from them. `matched` is the
    adapter whose budget is taken, where `training.budget` says so, and `start` the one that it begins from.
    Of samples that are pairs, `reference` says how likely the answers were before.
    """

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 3

    arm: str
    expert: LocatedModel
    samples: ArmSamples
    training: Training
    seed: int
    held_out: ReferenceRollouts | None = None
    matched: TrainedAdapter | None = None
    fidelity: Fidelity = CORRECTED
    start: TrainedAdapter | None = None
    reference: ReferenceLogP | None = None

    @property
    def label(self) -> str:
        """What the stage makes, for people."""
        return f"adapter of {self.arm} ({self.size} updates)"

    def label_under(self, names: Mapping[str, str]) -> str:
        """The arm's own name stands for its title."""
        return replace(self, arm=names.get(self.arm, self.arm)).label

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, the training settings and the seed; not the arm's name, nor that of the one matched."""
        # Of an expert that sees or hears as well, all parts had adapters before.
        parts = {} if self.expert.text_alone else {"layers": "that read text"}
        return {
            "expert": model_identity(self.expert),
            "training": training_identity(self.training),
            "seed": self.seed,
            **parts,
            **self.samples.ingredients.objective.identity,
            **self.change.identity,
            **self.fidelity.identity,
        }

    @property
    def change(self) -> Change:
        """What of the expert moves."""
        return self.samples.ingredients.change

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The samples learnt from, the solutions measured, and the adapters it is matched to or begins as."""
        others: dict[str, Stage | None] = {
            "held_out": self.held_out,
            "matched": self.matched,
            "start": self.start,
            "reference": self.reference,
        }
        return {"samples": self.samples} | {name: stage for name, stage in others.items() if stage}

    @property
    def behind(self) -> Mapping[str, Stage]:
        """The rollouts whose steps the samples are."""
        return {"rollouts": self.samples.rollouts}

    @property
    def writes(self) -> bool:
        """Whether the model in training writes what it learns from; `samples` say how, and are not made."""
        return False

    @property
    def size(self) -> int:
        """Updates, unless seconds run out first."""
        if self.matched is not None and self.training.budget.on == "updates":
            return self.matched.size
        return self.training.updates

    @property
    def keep(self) -> tuple[str, ...]:
        """The adapter in PEFT's format, and the curves; no saves."""
        return (*ADAPTER_FILES, CURVES_FILE)

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the expert has the modules that are to be adapted."""
        yield from super().checks(workspace)
        modules = self.training.lora.target_modules

        def check() -> None:
            from lrbench.models.loading import check_closing_layer, check_target_modules

            if self.change.steers:
                check_closing_layer(self.expert)
            else:
                check_target_modules(self.expert, sorted(set(modules)))

        yield Check(About.MODULES, self.change.steers or modules, check)

    def task(self, known: Known) -> Task:
        """Updates of an adapter on the expert."""
        rollouts, steps = self.samples.rollouts.expected(known)
        kept = max(1.0, self.samples.expected_kept(known) / max(1.0, rollouts))
        training = self.training
        if training.rollouts_per_update is not None:
            of_update = min(float(training.rollouts_per_update), rollouts)
        else:
            of_update = max(1.0, (training.steps_per_update or 1) / kept)
        # As rows, every kept step is read by itself, on average about half a rollout behind its prompt.
        by_rows = of_update * kept if self.fidelity.makes_rows else of_update
        return Learning(
            self.expert,
            self.size,
            by_rows,
            steps,
            of_update * kept,
            rank=1 if self.change.steers else training.lora.r,
            seconds=training.budget.seconds,
            as_declared=True,
            rereadings=self.rereadings,
        )

    @property
    def rereadings(self) -> int:
        """How often an update reads what it learns from before it does: how strongly pairs are preferred."""
        return 0 if self.samples.ingredients.objective.preference is None else 1

    def tokens(self, known: Known) -> tuple[int | None, bool]:
        """Tuned tokens: kept steps, as far as updates and the budget go."""
        found = known.statistics(self)
        if found:
            return int(found["tuned_tokens"]), True
        training, samples = self.training, known.statistics(self.samples)
        updates = None if training.steps_per_update is None else self.size * training.steps_per_update
        if samples is None:
            steps = self.samples.rollouts.most_tokens or None
            return _least(steps, updates, training.budget.tuned_tokens), False
        kept = _least(int(samples["kept_steps"]), updates, training.budget.tuned_tokens)
        if training.budget.model_dump(exclude_none=True):
            return kept, False
        rollouts = (known.statistics(self.samples.rollouts) or {}).get("rollouts")
        once = rollouts is not None and self.size * (training.rollouts_per_update or 0) >= rollouts
        # Steps that are shuffled by themselves are learnt from in batches that an epoch's end may cut.
        return kept, (updates is not None and not self.fidelity.rows_shuffled) or once

    def check(self, artifacts: Mapping[str, Artifact]) -> None:
        """Whether a step was kept. Raises `NothingKeptError`, which says what was seen instead."""
        if artifacts[self.samples.key].statistics["kept_steps"] == 0:
            from lrbench.pipeline.stages.unkept import why_nothing_kept

            raise NothingKeptError(why_nothing_kept(self.samples, artifacts))

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Train, saving every few updates, and commit the adapter and its curves.

        The seconds of the artifact are those of its updates alone.
        """
        import numpy as np

        from lrbench.training.budget import first_samples, learnt_problems
        from lrbench.training.lesson import Lesson

        limits, training = self.limits(inputs)
        samples = first_samples(
            kept_samples(inputs["samples"], inputs["rollouts"]),
            tuned_tokens=limits.get("tuned_tokens"),
            problems=limits.get("problems"),
        )
        rows = None
        if self.fidelity.hazards:
            from lrbench.training.reference_loss import row_form

            rows = row_form(self.fidelity, samples, workspace.expert.tokenizer)
        material = self._material(samples, training, inputs)
        lesson = Lesson(
            workspace.expert.vocabulary,
            material,
            training,
            self.seed,
            workspace.runtime,
            limits.get("seconds"),
            read_artifact_rollouts(inputs["held_out"]) if "held_out" in inputs else (),
            rows,
            inputs["start"].directory if "start" in inputs else None,
            self.samples.ingredients.distance,
            steers=self.change.steers,
        )
        train = trained_alone if workspace.runtime.processes == 1 else trained_together
        course = train(lesson, self.expert.identity, workspace.expert, draft, progress)
        draft.commit(CURVES_FILE, lambda path: path.write_text(json.dumps(course.curves)))
        learnt, steps, at_padding = np.zeros(len(samples), dtype=bool), 0, 0
        for batch in islice(material.batches(), course.updates):
            learnt[batch] = True
            steps += len(batch)
            at_padding += rows.at_padding(samples, batch) if rows is not None else 0
        return {
            "updates": course.updates,
            "stopped_by": course.stopped_by,
            "budget": limits,
            "final_loss": course.curves["loss"][-1][1],
            "tuned_tokens": int(learnt.sum()),
            "trained_steps": steps,
            "problems": learnt_problems(samples, learnt),
            **self._of_pairs(course.curves),
            **({} if rows is None else rows.statistics(samples)),
            **({"rows_at_padding": at_padding} if self.fidelity.last_column else {}),
        }

    def _material(
        self, samples: Samples, training: Training, inputs: Mapping[str, Artifact]
    ) -> Stored | Pairs:
        """Where what the updates learn from is taken."""
        from lrbench.training.portions import Stored
        from lrbench.training.preferences import Pairs

        preference = self.samples.ingredients.objective.preference
        if preference is None:
            return Stored(samples, training, self.seed, self.fidelity.rows_shuffled)
        log_p = read_log_p(inputs["reference"])
        return Pairs(samples, training, self.seed, preference.beta, log_p)

    def _of_pairs(self, curves: Mapping[str, Points]) -> dict[str, float]:
        """How strongly chosen answers were preferred in the last update, where pairs were learnt from."""
        return {f"final_{name}": curves[name][-1][1] for name in ("margin", "preferred") if name in curves}

    def limits(self, inputs: Mapping[str, Artifact]) -> tuple[dict[str, Any], Training]:
        """Every limit of the budget by name: those written down, and the one of the matched adapter.

        That of updates is in the training settings which hold with them.
        """
        budget = self.training.budget
        limits = budget.model_dump(exclude={"match", "on"}, exclude_none=True)
        if "matched" in inputs:
            used = inputs["matched"].statistics | {"seconds": inputs["matched"].seconds}
            limits[str(budget.on)] = used[str(budget.on)]
        updates = limits.pop("updates", self.training.updates)
        return limits, self.training.model_copy(update={"updates": updates})


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
