"""Rollouts that another writer than the expert gives, or that are kept by another check, in its tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.source import WRITTEN_STAGE
from lrbench.methods.writers import Written
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, end_of_turn, turn_marks
from lrbench.pipeline.stages.answering import Reader
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import Check
from lrbench.pipeline.stages.counting import commit_counts
from lrbench.pipeline.stages.hands import (
    check_of_tokens,
    checks_of,
    has_expert_s_tokens,
    judged_writing,
    spoken,
    title,
    writing,
)
from lrbench.pipeline.stages.rollouts import AskedRollouts, CountedRollouts
from lrbench.pipeline.stages.sharding import Place
from lrbench.pipeline.stages.solutions import row_seed
from lrbench.pipeline.stages.tasks import Known, Task, Writing, mean_written
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import EngineChoice
from lrbench.sampling.judging import why_rejected
from lrbench.sampling.rejections import RIGHT, told
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.pipeline.holding.model import HeldModel
    from lrbench.sampling.engines.base import Decoding, Engine
    from lrbench.sampling.rollouts import Rollout

# What becomes of an answer that is not rejected by its check.
KEPT, UNREADABLE, EMPTY = "kept", "unreadable", "empty"


@dataclass(frozen=True)
class WrittenRollouts(CountedRollouts, AskedRollouts):
    """What a `writer` writes to the problems, of it what the source's check keeps, as the expert reads it.

    `sampling` holds the system prompt that is learnt under, and `source`, which is written out, the one that
    is written under. A writer with other tokens than the expert's is read as text. `seed` is the recipe's. A
    `judge` accepts its tokens, as the source says.
    """

    name: ClassVar[str] = WRITTEN_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS
    new_fields: ClassVar[Mapping[str, str]] = {
        **MARKS,
        "sampled": "tokens that a judge did not take are counted among the sampled ones",
    }

    writer: Reader
    source: Written
    seed: int
    judge: Reader | None = None

    # What it is

    def seeded(self, seed: int) -> Self:
        """With its draws from another seed."""
        return replace(self, seed=seed)

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """The name of the arm whose adapter writes stands for its title."""
        writer = title(self.writer, names)
        if self.judge is not None:
            writer = f"{writer} accepted by {title(self.judge, names)}"
        each = "" if self.source.is_greedy else f", {self.samples_per_problem} samples each"
        return f"{self.source.check.label} of {writer} ({self.size} problems{each})"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the writer, how it writes, and what is kept; gold answers where it is that which is right."""
        source, marks = self.source, turn_marks(self.writer.model)
        asked = [*self.problems.texts, *filter(None, [source.system_prompt])]
        turns = marks.writing | marks.control_text(asked)
        return {
            **super().identity,
            **turn_marks(self.expert).ending,
            "written_by": model_identity(self.writer.model),
            "asked_under": source.system_prompt,
            "samples": source.samples,
            "temperature": source.temperature,
            "longest": source.max_new_tokens,
            "check": source.check.word,
            "engine": self.sampling.engine.name,
            **({} if source.is_greedy else {"seed": self.seed}),
            **({} if source.top_p is None else {"top_p": source.top_p}),
            **self._accepting,
            **(self.problems.checking(by_gold=True) if source.check.needs_answers else {}),
            **({"writer_turns": turns} if turns else {}),
        }

    @property
    def _accepting(self) -> dict[str, Any]:
        """Which tokens the judge accepts, where there is one."""
        if self.judge is None or self.source.accept is None:
            return {}
        rule = self.source.accept.model_dump(mode="json", exclude={"by"})
        judged = rule | {"judged_by": model_identity(self.judge.model)}
        if self.judge.adapter is not None:
            # The inputs name the adapters, and not who of the two has which on.
            judged |= {
                "judged_with": self.judge.adapter.key,
                "written_with": None if self.writer.adapter is None else self.writer.adapter.key,
            }
        # Of what was drawn in vain nothing was counted at first.
        return {"accept": judged, "sampled": "taken or not"}

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The stages that make the writer and the judge, or their adapters."""
        return {**self.writer.inputs, **(self.judge.inputs if self.judge is not None else {})}

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """The expert, under what is learnt, and the writer, under what is written."""
        writer = self.writer.model if self.writer.model.here else self.expert
        return (*super().prompts, (writer, self.source.system_prompt))

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for sampling."""
        return self.sampling.engine

    @property
    def longest(self) -> int:
        """As the source says."""
        assert self.source.max_new_tokens is not None
        return self.source.max_new_tokens

    @property
    def samples_per_problem(self) -> int:
        """As the source says."""
        assert self.source.samples is not None
        return self.source.samples

    @property
    def share_kept(self) -> float:
        """About half of them, where answers are checked."""
        return 0.5 if self.source.check.needs_answers else 1.0

    # What would stop it

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the writer can be built, and shows problems in its own template."""
        yield from super().checks(workspace)
        yield from checks_of(self.writer, workspace, self.source.system_prompt)
        if self.judge is None:
            return
        yield from checks_of(self.judge, workspace, self.source.system_prompt)
        instead = "name a model that has the expert's tokenizer, or leave `accept` out"
        for reader in (self.writer, self.judge):
            yield check_of_tokens(reader, workspace, "write token by token with another model", instead)

    def why_nothing(self, made: Artifact) -> str:
        """What became of the answers."""
        sampled, became = made.statistics["sampled_solutions"], made.statistics["became"]
        others = {EMPTY: "had no token", UNREADABLE: "could not be read as text"}
        counts = told(became, self.longest)
        counts += [f"{became[kind]:,} {what}" for kind, what in others.items() if became.get(kind)]
        return (
            f"of {sampled:,} answers that {model_name(self.writer.model.name)} wrote to {self.size:,} "
            f"problems, none was kept ({self.source.check.label} are): {', '.join(counts)}"
        )

    # What it costs

    def task(self, known: Known) -> Task:
        """What the writer writes."""
        each = self.samples_per_problem
        rows, per_shard = self.size * each, self.shards.per_shard * each
        mean = self.mean_steps(known)
        return Writing(
            self.writer.model, self.engine_choice, rows, per_shard, mean, self.longest, queueing=True
        )

    def mean_steps(self, known: Known) -> float:
        """Tokens of a completion of the writer."""
        return mean_written(self, known, self.writer.model, self.longest)

    # How it is made

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also counts of all that were written, and of what became of them."""
        counts = self.counts(draft)
        became = sum((Counter(count["became"]) for count in counts), Counter[str]())
        samples = sum(count["samples"] for count in counts)
        chosen = sum((Counter(count.get("origins", {})) for count in counts), Counter[str]())
        return super().summary(draft) | {
            "sampled_solutions": samples,
            "sampled_tokens": sum(count["tokens"] for count in counts),
            "became": dict(became),
            **({"tokens_by": dict(chosen)} if self.judge is not None else {}),
            **({"share_right": self._right(became) / samples} if self.source.check.needs_answers else {}),
        }

    def _right(self, became: Mapping[str, int]) -> int:
        return became.get(KEPT if self.source.check.keeps(None) else RIGHT, 0)

    @property
    def decoding(self) -> Decoding:
        """At the source's temperature, from the tokens that its `top_p` leaves."""
        from lrbench.sampling.engines.base import Decoding

        assert self.source.temperature is not None
        return Decoding(self.source.temperature, self.source.top_p or 1.0)

    def _writing(
        self, workspace: Workspace, choice: EngineChoice, inputs: Mapping[str, Artifact]
    ) -> AbstractContextManager[Engine]:
        """The writer, with the judge where there is one."""
        if self.judge is None or self.source.accept is None:
            return writing(self.writer, workspace, choice, inputs)
        return judged_writing((self.writer, self.judge), self.source.accept, workspace, inputs)

    def requests(self, index: int, workspace: Workspace) -> list[tuple[tuple[int, ...], int]]:
        """As often as there are samples, each with a seed of its own; in the writer's own template."""
        from lrbench.models.prompt import render_prompt

        text, problem = self.problems.texts[index], self.problems.ids[index]
        with self._at(index):
            # Who writes together reads one prompt.
            own = workspace.expert if self.judge is not None else spoken(self.writer, workspace)
            tokenizer = own.tokenizer
            prompt = tuple(render_prompt(tokenizer, text, self.source.system_prompt))
        return [(prompt, row_seed(self.seed, problem, sample)) for sample in range(self.samples_per_problem)]

    def make(
        self, name: str, span: Sequence[int], place: Place, workspace: Workspace, engine: Engine | None
    ) -> list[Rollout]:
        """What is kept of the answers to the problems of a shard; the counts are committed beside."""
        from lrbench.sampling.rollouts import Rollout

        assert engine is not None
        wanted = [(index, sample) for index in span for sample in range(self.samples_per_problem)]
        asked = [pair for index in span for pair in self.requests(index, workspace)]
        seeds = [seed for _, seed in asked]
        answers = engine.answer([prompt for prompt, _ in asked], self.longest, self.decoding, seeds=seeds)
        written = [answer.completion for answer in answers]
        kept: list[Rollout] = []
        became: Counter[str] = Counter()
        for (index, sample), completion in zip(wanted, written, strict=True):
            what, ids = self._kept(index, completion, workspace)
            became[what] += 1
            if what == KEPT:
                kept.append(Rollout(self.problems.ids[index], sample, self.prompt(index, workspace), ids))
        # All that was drawn, also what a judge did not take.
        tokens = sum(answer.written for answer in answers)
        counts = {"samples": len(written), "tokens": tokens, "became": became}
        if self.judge is not None:
            counts["origins"] = Counter(origin for answer in answers for origin in answer.origins)
        commit_counts(place, name, counts)
        return kept

    def _kept(
        self, index: int, completion: Sequence[int], workspace: Workspace
    ) -> tuple[str, tuple[int, ...]]:
        """What becomes of an answer, and its ids as the expert reads them where it is kept."""
        if not completion:
            return EMPTY, ()
        own = spoken(self.writer, workspace)
        judged = () if self.judge is None else spoken(self.judge, workspace).turn_marks.stops
        ended = completion[-1] in (*own.turn_marks.stops, *judged)
        body = completion[:-1] if ended else completion
        if self.source.check.needs_answers:
            text = own.tokenizer.decode(body) if ended else None
            rejection = why_rejected(self.problems, index, text)
            if not self.source.check.keeps(rejection):
                return rejection or RIGHT, ()
        shared = has_expert_s_tokens(self.writer, workspace)
        ids = tuple(body) if shared else _retold(body, ended, own, workspace.expert)
        if ids is None:
            return UNREADABLE, ()
        if ended:
            is_end = shared and completion[-1] in workspace.expert.turn_marks.stops
            ids = (*ids, completion[-1] if is_end else end_of_turn(self.expert))
        return (KEPT, ids) if ids else (EMPTY, ())


def _retold(body: Sequence[int], ended: bool, own: HeldModel, expert: HeldModel) -> tuple[int, ...] | None:
    """The ids of an answer's text in the expert's tokens; None where it is no whole text."""
    from lrbench.models.prompt import render_answer
    from lrbench.sampling.token_texts import REPLACEMENT

    text = own.tokenizer.decode(body, clean_up_tokenization_spaces=False)
    if not ended:
        # What is cut may be so within a character.
        text = text.rstrip(REPLACEMENT)
    return None if REPLACEMENT in text else tuple(render_answer(expert.tokenizer, text))
