"""Training on what the model in training writes itself: no samples are made before."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from lrbench.models.source import LocatedModel
from lrbench.pipeline.progress import Progress, Silent
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.lessons import trained_alone
from lrbench.pipeline.stages.rollouts import read_artifact_rollouts
from lrbench.pipeline.stages.samples import input_name
from lrbench.pipeline.stages.saving import Saves
from lrbench.pipeline.stages.tasks import Known, Learning, Several, Task, Writing
from lrbench.pipeline.stages.training import CURVES_FILE, TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from peft import PeftModel

    from lrbench.training.portions import Portion

# What the statistics have beside those of every training.
WRITTEN = ("sampled_problems", "sampled_completions", "sampled_tokens")


class Along(Protocol):
    """What writes while an adapter is trained."""

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """What the updates after the first `done` learn from."""

    def has(self, update: int) -> bool:
        """Whether training can go on with an update: what it learns from is there, or can be written then.

        What was counted of all updates before has to be there too.
        """

    def statistics(self, updates: int) -> dict[str, Any]:
        """What there is to say of all that was written for so many updates."""


@dataclass(frozen=True)
class OnlineAdapter(TrainedAdapter):
    """A LoRA adapter that learns from what the model with it on writes, as its `samples` say."""

    @property
    def writes(self) -> bool:
        """It does."""
        return True

    @property
    def identity(self) -> Mapping[str, Any]:
        """Also all that decides what is written, and what is learnt from that."""
        ingredients = self.samples.ingredients
        readings = {input_name(reading): scores.identity for reading, scores in self.samples.readings}
        parts = (
            self.samples.rollouts.identity,
            self.samples.identity,
            {"readings": readings} if readings else {},
            ingredients.objective.identity,
            super().identity,
        )
        whole = {name: value for part in parts for name, value in part.items()}
        # Rollouts and the objective each have a temperature, and others may come to share a name.
        hidden = [{name: value for name, value in part.items() if whole[name] != value} for part in parts]
        return whole | ({"hidden": hidden} if any(hidden) else {})

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """What other models are made by, the solutions measured, and the adapters that are taken over."""
        others = {name: stage for name, stage in super().inputs.items() if name != "samples"}
        for reading, scores in self.samples.readings:
            made = {name: stage for name, stage in scores.inputs.items() if name != "rollouts"}
            others |= {f"{name} of {input_name(reading)}": stage for name, stage in made.items()}
        return others

    @property
    def behind(self) -> Mapping[str, Stage]:
        """Nothing."""
        return {}

    @property
    def engine_choice(self) -> EngineChoice | None:
        """As the recipe says for sampling."""
        return self.samples.rollouts.engine_choice

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """Those that are learnt from."""
        return self.samples.rollouts.prompts

    @property
    def learnt_under(self) -> tuple[str | None, ...]:
        """Under one."""
        return self.samples.rollouts.learnt_under

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether every text can be encoded, and other models be read."""
        yield from super().checks(workspace)
        source = self.samples.rollouts
        yield Check(About.TEXTS, source.key, partial(source.check_texts, workspace))
        for _, scores in self.samples.readings:
            yield from scores.checks(workspace)

    def check(self, artifacts: Mapping[str, Artifact]) -> None:
        """Nothing is known before."""

    @property
    @abstractmethod
    def completions_per_update(self) -> float:
        """About how many are written for an update."""

    @property
    def completions_at_once(self) -> float:
        """About how many are written before anything is learnt from them."""
        return self.completions_per_update

    def task(self, known: Known) -> Task:
        """Writing and learning by turns."""
        source, choice = self.samples.rollouts, self.engine_choice
        assert choice is not None
        assert source.longest is not None
        each, mean, training = self.completions_per_update, source.mean_steps(known), self.training
        written = round(self.size * each)
        at_once = max(1, round(self.completions_at_once))
        share = self.samples.ingredients.selector.share
        learning = Learning(
            self.expert,
            self.size,
            each,
            mean,
            each * mean * share,
            rank=1 if self.change.steers else training.lora.r,
            seconds=training.budget.seconds,
            as_declared=True,
            rereadings=self.rereadings,
        )
        return Several((Writing(self.expert, choice, written, at_once, mean, source.longest), learning))

    @property
    def most_tokens(self) -> int:
        """Every completion at its full length."""
        return round(self.size * self.completions_per_update) * (self.samples.rollouts.longest or 0)

    def tokens(self, known: Known) -> tuple[int | None, bool]:
        """Tuned tokens: at most all that can be written."""
        found = known.statistics(self)
        if found:
            return int(found["tuned_tokens"]), True
        return self.most_tokens, False

    @property
    @abstractmethod
    def drawable(self) -> int:
        """How many problems can be drawn."""

    def problems_asked(self, statistics: Mapping[str, Any]) -> int:
        """Each once: draws go through all problems before one comes again."""
        drawable: int = statistics["budget"].get("problems") or self.drawable
        return min(self.problems_drawn(statistics), self.drawable, drawable)

    def problems_drawn(self, statistics: Mapping[str, Any]) -> int:
        """What the statistics call sampled problems."""
        return int(statistics[WRITTEN[0]])

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """All that were written while it trained."""
        return int(statistics[WRITTEN[1]])

    def written(self, statistics: Mapping[str, Any]) -> int:
        """Their tokens."""
        return int(statistics[WRITTEN[2]])

    @abstractmethod
    def along(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, problems: int | None
    ) -> Along:
        """What writes and says what is learnt from it, of the first so many `problems`."""

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Write and learn by turns, and commit the adapter and its curves.

        What was written is committed too while it works, so that a kill costs the last of it alone. One
        process does it, whatever `runtime.processes` says: what several hold is not the model that writes.
        """
        from lrbench.training.lesson import Lesson

        limits, training = self.limits(inputs)
        along = self.along(draft, inputs, workspace, limits.get("problems"))
        saves = Saves(draft)
        resume = saves.resume(Silent())
        if resume is not None and not along.has(resume.update):
            # What was written for that update is damaged, and whoever wrote it is some updates on.
            saves.discard()
        lesson = Lesson(
            workspace.expert.vocabulary,
            along,
            training,
            self.seed,
            workspace.runtime,
            limits.get("seconds"),
            read_artifact_rollouts(inputs["held_out"]) if "held_out" in inputs else (),
            start=inputs["start"].directory if "start" in inputs else None,
            steers=self.change.steers,
            distance=self.samples.ingredients.distance,
        )
        course = trained_alone(lesson, self.expert.identity, workspace.expert, draft, progress)
        draft.commit(CURVES_FILE, lambda path: path.write_text(json.dumps(course.curves)))
        steps = sum(int(count) for _, count in course.curves["steps"])
        return {
            "updates": course.updates,
            "stopped_by": course.stopped_by,
            "budget": limits,
            "final_loss": course.curves["loss"][-1][1],
            "tuned_tokens": steps,
            "trained_steps": steps,
            **along.statistics(course.updates),
        }
