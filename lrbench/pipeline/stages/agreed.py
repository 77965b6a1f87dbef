"""Rollouts that another model comes to the same answer from: it goes on where they are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.checks import Agreement
from lrbench.methods.source import AGREED_STAGE
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import Check
from lrbench.pipeline.stages.counting import commit_counts
from lrbench.pipeline.stages.hands import check_of_tokens, checks_of, spoken, title, writing
from lrbench.pipeline.stages.rewritten import by_problem
from lrbench.pipeline.stages.rollouts import CountedRollouts, RolloutSource, read_artifact_rollouts
from lrbench.pipeline.stages.sharding import Place, Shard
from lrbench.pipeline.stages.tasks import Known, Task, Writing
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.suites.graders import checker_of

if TYPE_CHECKING:
    from lrbench.sampling.engines.base import Engine
    from lrbench.sampling.rollouts import Rollout


@dataclass(frozen=True)
class AgreedRollouts(CountedRollouts):
    """Those rollouts of a `source` whose answer the `other` model gives too, after their first part.

    The part and what it goes on with have together at most `longest` tokens. Where it has nothing left to
    write, it agrees.
    """

    name: ClassVar[str] = AGREED_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS
    new_fields: ClassVar[Mapping[str, str]] = MARKS

    source: RolloutSource
    other: Reader
    check_by: Agreement
    at_most: int

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """With who agrees to what under their own names."""
        return f"what {title(self.other, names)} agrees with, of {self.source.label_under(names)}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds who agrees, from where on, and how answers are read; no gold answer."""
        marks = turn_marks(self.other.model)
        turns = marks.writing | marks.control_text(self.asked)
        return {
            **super().identity,
            **turn_marks(self.expert).writing,
            "agrees": model_identity(self.other.model),
            "cut": self.check_by.cut,
            "longest": self.at_most,
            "engine": self.sampling.engine.name,
            **self.problems.checking(by_gold=False),
            **({"agrees_turns": turns} if turns else {}),
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The rollouts, and what the other model is made by."""
        return {"rollouts": self.source, **self.other.inputs}

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """The expert, and who has to agree."""
        other = self.other.model if self.other.model.here else self.expert
        return (*super().prompts, (other, self.sampling.system_prompt))

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    @property
    def most_tokens(self) -> int:
        """What is left of every rollout, at its full length."""
        return self.size * self.source.samples_per_problem * self.at_most

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the other model has the expert's tokens, and can be built."""
        yield from super().checks(workspace)
        yield from checks_of(self.other, workspace, self.sampling.system_prompt)
        instead = "let a model agree that has the expert's tokenizer"
        yield check_of_tokens(self.other, workspace, "go on where a rollout is cut", instead)

    def why_nothing(self, made: Artifact) -> str:
        """How many there were."""
        return f"{self.other.name} agrees with none of the {made.statistics['sampled_solutions']:,} rollouts"

    def task(self, known: Known) -> Task:
        """What the other model goes on with."""
        rollouts, steps = self.source.expected(known)
        rest = max(1.0, steps * (1 - self.check_by.cut))
        each = self.source.samples_per_problem
        per_shard = self.shards.per_shard * each
        return Writing(
            self.other.model,
            self.engine_choice,
            int(rollouts),
            per_shard,
            rest,
            self.at_most,
            given=steps - rest,
        )

    def expected(self, known: Known) -> tuple[float, float]:
        """About those of the source."""
        return super().expected(known) if known.statistics(self) else self.source.expected(known)

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also how many there were, and what was written to find out."""
        counts = self.counts(draft)
        return super().summary(draft) | {
            "sampled_solutions": sum(count["samples"] for count in counts),
            "sampled_tokens": sum(count["tokens"] for count in counts),
        }

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit what is agreed with of each shard of problems, and the counts."""
        from lrbench.sampling.rollouts import write_rollouts

        found = by_problem(read_artifact_rollouts(inputs["rollouts"]))
        with writing(self.other, workspace, self.engine_choice, inputs) as engine:

            def make(shard: Shard[int]) -> Callable[[Path], object]:
                asked = [
                    (index, rollout)
                    for index in shard.units
                    for rollout in found.get(self.problems.ids[index], ())
                ]
                kept, tokens = self._agreed(asked, workspace, engine)
                commit_counts(place, shard.name, {"samples": len(asked), "tokens": tokens})
                return partial(write_rollouts, rollouts=kept)

            return self.shards.finish(range(self.size), place, names, progress, make)

    def _agreed(
        self, asked: Sequence[tuple[int, Rollout]], workspace: Workspace, engine: Engine
    ) -> tuple[list[Rollout], int]:
        """The rollouts whose answers are the same, and how many tokens were written to see that."""
        begun = [self._begun(rollout, workspace) for _, rollout in asked]
        going_on = [place for place, (_, prefix) in enumerate(begun) if prefix is not None]
        rests: dict[int, tuple[int, ...]] = {}
        # Rows of one call have one limit, which is that of what each has left.
        for left in sorted({self.at_most - len(begun[place][0]) for place in going_on}):
            rows = [place for place in going_on if self.at_most - len(begun[place][0]) == left]
            prompts = [self._asked(asked[place][0], begun[place][0], workspace) for place in rows]
            if left > 0:
                rests |= dict(zip(rows, engine.complete(prompts, left), strict=True))
        tokens = sum(map(len, rests.values()))
        kept = [
            rollout
            for place, (index, rollout) in enumerate(asked)
            if begun[place][1] is None
            or self._is_same(index, rollout, (*begun[place][0], *rests.get(place, ())), workspace)
        ]
        return kept, tokens

    def _begun(
        self, rollout: Rollout, workspace: Workspace
    ) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """The part of a rollout that is given; the second is None where that is all of it."""
        stops = workspace.expert.turn_marks.stops
        ids = rollout.completion_ids
        body = ids[:-1] if ids[-1] in stops else ids
        given = body[: int(self.check_by.cut * len(body) + 0.5)]
        return given, None if len(given) == len(body) else given

    def _asked(self, index: int, given: Sequence[int], workspace: Workspace) -> tuple[int, ...]:
        from lrbench.models.prompt import render_prompt

        tokenizer = spoken(self.other, workspace).tokenizer
        prompt = render_prompt(tokenizer, self.problems.texts[index], self.sampling.system_prompt)
        return (*prompt, *given)

    def _is_same(self, index: int, rollout: Rollout, other: Sequence[int], workspace: Workspace) -> bool:
        read = checker_of(self.problems.benchmarks[index]).read
        stops = {*workspace.expert.turn_marks.stops, *spoken(self.other, workspace).turn_marks.stops}
        own, theirs = (
            read(workspace.expert.tokenizer.decode([token for token in ids if token not in stops]))
            for ids in (rollout.completion_ids, other)
        )
        return own is not None and own == theirs
