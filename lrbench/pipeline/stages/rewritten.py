"""Rollouts made of those of other stages, without a model: shaped ones, and mixtures."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.evaluation.protocol import OWN_FIELDS
from lrbench.methods.attempts import SAYS_WRONG
from lrbench.methods.shapes import (
    AnswerOnly,
    Correction,
    Equations,
    LongerThan,
    Prune,
    Shape,
    WithAttempts,
)
from lrbench.methods.source import MIXED_STAGE, SHAPED_STAGE
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.answer_texts import answer_ids, text_of
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.rollouts import RolloutSource, parquet_files, read_artifact_rollouts
from lrbench.pipeline.stages.sharding import Place, Shard
from lrbench.pipeline.stages.shortenings import Shortenings
from lrbench.pipeline.stages.tasks import Known
from lrbench.pipeline.workspace import Workspace
from lrbench.sampling.judging import why_rejected
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.suites.graders import checker_of

if TYPE_CHECKING:
    from lrbench.sampling.rollouts import Rollout

COUNTS_FILE = "counts.json"
# What a correction begins with, behind the wrong answer.
CORRECTION = f"\n{SAYS_WRONG} "
# Why an answer has no such shape, and what messages say of it.
NO_ANSWER, ALONE = "no final answer", "no other answer to correct"
NONE_RIGHT = "no right answer to correct it with"
SHORT, CUT, OTHER = "too short", "not finished", "another answer than before"
NO_EQUATION = "no equation or no final answer"


@dataclass(frozen=True)
class RewrittenRollouts(RolloutSource):
    """Rollouts of other stages, some of them, or others made of them."""

    @property
    def keep(self) -> tuple[str, ...]:
        """The rollouts and the counts."""
        return (*(f"{name}.parquet" for name in self.shards.spans), COUNTS_FILE)

    @abstractmethod
    def rewritten(
        self, inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> tuple[dict[str, list[Rollout]], Mapping[str, Any]]:
        """The rollouts of each problem by its id, and what the statistics say of how they came about."""

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one Parquet file of rollouts per shard of problems, and the counts."""
        from lrbench.sampling.rollouts import write_rollouts

        found, counts = self.rewritten(inputs, workspace)
        place.commit(COUNTS_FILE, partial(Path.write_text, data=json.dumps(counts)))

        def make(shard: Shard[int]) -> Callable[[Path], object]:
            rollouts = [each for index in shard.units for each in found.get(self.problems.ids[index], ())]
            return partial(write_rollouts, rollouts=rollouts)

        return self.shards.finish(range(self.size), place, names, progress, make)

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also what became of the rollouts."""
        counts: dict[str, Any] = json.loads(draft.path(COUNTS_FILE).read_text())
        return super().summary(draft) | counts


@dataclass(frozen=True)
class ShapedRollouts(RewrittenRollouts):
    """What a `shape` makes of the rollouts of a `source`, in the expert's tokens.

    Where it depends on what becomes of shorter ones, that is what `shortenings` has tried.
    """

    name: ClassVar[str] = SHAPED_STAGE
    version: ClassVar[int] = 1
    own_fields: ClassVar[Mapping[str, str]] = OWN_FIELDS
    new_fields: ClassVar[Mapping[str, str]] = MARKS

    source: RolloutSource
    shape: Shape
    shortenings: Shortenings | None = None

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """With what is shaped under its own names."""
        return f"{self.shape.label} of {self.source.label_under(names)}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the shape, how answers are read, and gold answers where it compares with them."""
        gold = self.shape.needs_answers
        reads = {} if isinstance(self.shape, LongerThan) else self.problems.checking(by_gold=gold)
        return {
            **super().identity,
            **turn_marks(self.expert).ending,
            "shape": self.shape.model_dump(mode="json"),
            **reads,
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """What is shaped, and what was tried of it."""
        tried = {} if self.shortenings is None else {"shortenings": self.shortenings}
        return {"rollouts": self.source, **tried}

    def expected(self, known: Known) -> tuple[float, float]:
        """At most those of the source."""
        found = known.statistics(self)
        return super().expected(known) if found else self.source.expected(known)

    @property
    def most_tokens(self) -> int:
        """At most what the source gives."""
        return self.source.most_tokens

    def why_nothing(self, made: Artifact) -> str:
        """Why no rollout has the shape."""
        became = made.statistics["left_out"]
        told = ", ".join(f"{why} ({count:,})" for why, count in sorted(became.items()))
        return f"none of the rollouts could be made into `{self.shape.label}`: {told or 'there were none'}"

    def rewritten(
        self, inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> tuple[dict[str, list[Rollout]], Mapping[str, Any]]:
        """Every rollout in its shape, where it can be had."""
        if self.shortenings is not None:
            return self._shortened(self.shortenings, inputs, workspace)
        places = {problem: place for place, problem in enumerate(self.problems.ids)}
        found: dict[str, list[Rollout]] = defaultdict(list)
        left_out: Counter[str] = Counter()
        before = 0
        for problem, group in by_problem(read_artifact_rollouts(inputs["rollouts"])).items():
            before += sum(rollout.steps for rollout in group)
            made = self._made(places[problem], group, workspace, left_out)
            if made:
                found[problem] = made
        return dict(found), {"left_out": dict(+left_out), "tokens_before": before}

    def _shortened(
        self, shortenings: Shortenings, inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> tuple[dict[str, list[Rollout]], Mapping[str, Any]]:
        """Every rollout with a final answer, without the lines that it came to the same without."""
        from lrbench.sampling.continuing import read_verdicts
        from lrbench.sampling.shortening import dropped_lines

        way = shortenings.continuing.way
        places = {problem: place for place, problem in enumerate(self.problems.ids)}
        found: dict[str, list[Rollout]] = defaultdict(list)
        left_out: Counter[str] = Counter()
        verdicts = read_verdicts(parquet_files(inputs["shortenings"]))
        passed: dict[int, list[int]] = defaultdict(list)
        for number, line, failed in zip(verdicts.rollout, verdicts.step, verdicts.failed, strict=True):
            if not failed:
                passed[int(number)].append(int(line))
        before = lines = dropped = 0
        for number, rollout in enumerate(read_artifact_rollouts(inputs["rollouts"])):
            before += rollout.steps
            trace = shortenings.trace(places[rollout.problem_id], rollout, workspace)
            if trace is None:
                left_out[NO_ANSWER] += 1
                continue
            without = dropped_lines(way, len(trace.lines), passed[number])
            made, read = rollout, checker_of(self.problems.benchmarks[places[rollout.problem_id]]).read
            if without:
                text = trace.without(without)
                # The expert came to the same in words of its own, and not with this end.
                if read(text) != read(trace.without(())):
                    left_out[OTHER] += 1
                    continue
                made = self._rewritten(rollout, text, workspace)
            lines, dropped = lines + len(trace.lines), dropped + len(without)
            found[rollout.problem_id].append(made)
        counts = {"left_out": dict(left_out), "tokens_before": before}
        return dict(found), counts | {"lines_before": lines, "dropped_lines": dropped}

    def _made(
        self, index: int, group: Sequence[Rollout], workspace: Workspace, left_out: Counter[str]
    ) -> list[Rollout]:
        if isinstance(self.shape, WithAttempts):
            return self._attempts(index, group, workspace, left_out)
        if isinstance(self.shape, Correction):
            return self._corrections(index, group, workspace, left_out)
        made = []
        for rollout in group:
            told = self._shaped(index, rollout, workspace)
            if isinstance(told, str):
                left_out[told] += 1
            else:
                made.append(told)
        return made

    def _shaped(self, index: int, rollout: Rollout, workspace: Workspace) -> Rollout | str:
        """The rollout in its shape, or why it has none; one that has it already stays as it is."""
        if isinstance(self.shape, LongerThan):
            return rollout if rollout.steps > self.shape.longer_than else SHORT
        if rollout.completion_ids[-1] not in workspace.expert.turn_marks.stops:
            return CUT
        from lrbench.sampling.shaping import equations, final_answer, pruned

        read = checker_of(self.problems.benchmarks[index]).read
        text = text_of(rollout, workspace)
        match self.shape:
            case Prune():
                made, why = pruned(text, self.problems.texts[index], read), NO_ANSWER
            case Equations():
                made, why = equations(text, read), NO_EQUATION
            case AnswerOnly():
                made, why = final_answer(text, read), NO_ANSWER
            case _:
                raise NotImplementedError(self.shape.word)
        if made is None:
            return why
        if made == text:
            return rollout
        return self._rewritten(rollout, made, workspace) if read(made) == read(text) else OTHER

    def _rewritten(self, rollout: Rollout, text: str, workspace: Workspace) -> Rollout:
        from lrbench.sampling.rollouts import Rollout

        ids = answer_ids(self.expert, workspace, text)
        return Rollout(rollout.problem_id, rollout.sample, rollout.prompt_ids, ids)

    def _corrections(
        self, index: int, group: Sequence[Rollout], workspace: Workspace, left_out: Counter[str]
    ) -> list[Rollout]:
        """Every right answer behind one of the wrong ones, which stand with the prompt and are not learnt."""
        from lrbench.sampling.rollouts import Rollout

        right, wrong = self._judged(index, group, workspace)
        if not right or not wrong:
            left_out[ALONE] += len(group)
            return []
        given = self._said_between(workspace)
        return [
            Rollout(
                answer.problem_id,
                answer.sample,
                (*answer.prompt_ids, *wrong[place % len(wrong)].completion_ids[:-1]),
                (*given, *answer.completion_ids),
            )
            for place, answer in enumerate(right)
        ]

    def _attempts(
        self, index: int, group: Sequence[Rollout], workspace: Workspace, left_out: Counter[str]
    ) -> list[Rollout]:
        """The right answers, and every wrong one with one of them behind it."""
        right, wrong = self._judged(index, group, workspace)
        left_out[CUT] += len(group) - len(right) - len(wrong)
        if not right:
            left_out[NONE_RIGHT] += len(wrong)
            return []
        given = self._said_between(workspace)
        corrected = {
            answer.sample: replace(
                answer,
                completion_ids=(
                    *answer.completion_ids[:-1],
                    *given,
                    *right[place % len(right)].completion_ids,
                ),
            )
            for place, answer in enumerate(wrong)
        }
        learnt = {answer.sample: answer for answer in right} | corrected
        return [learnt[answer.sample] for answer in group if answer.sample in learnt]

    def _judged(
        self, index: int, group: Sequence[Rollout], workspace: Workspace
    ) -> tuple[list[Rollout], list[Rollout]]:
        """The right answers to problem `index`, and the finished wrong ones."""
        stops = workspace.expert.turn_marks.stops
        right, wrong = [], []
        for rollout in group:
            ended = rollout.completion_ids[-1] in stops
            rejection = why_rejected(self.problems, index, text_of(rollout, workspace) if ended else None)
            if rejection is None:
                right.append(rollout)
            elif rejection in ("wrong", "unread"):
                wrong.append(rollout)
        return right, wrong

    def _said_between(self, workspace: Workspace) -> list[int]:
        """Token ids of what stands between a wrong answer and a right one."""
        from lrbench.models.prompt import render_answer

        return render_answer(workspace.expert.tokenizer, CORRECTION)


@dataclass(frozen=True)
class MixedRollouts(RewrittenRollouts):
    """Rollouts of several `sources` in proportion to their `shares`; the `seed` is the recipe's."""

    name: ClassVar[str] = MIXED_STAGE
    version: ClassVar[int] = 1
    new_fields: ClassVar[Mapping[str, str]] = MARKS

    sources: tuple[RolloutSource, ...]
    shares: tuple[float, ...]
    seed: int

    @property
    def label(self) -> str:
        """For people."""
        return self.label_under({})

    def label_under(self, names: Mapping[str, str]) -> str:
        """With the parts under their own names."""
        parts = zip(self.shares, self.sources, strict=True)
        return "mix of " + ", ".join(f"{share:g} x {source.label_under(names)}" for share, source in parts)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Adds the shares, and the seed, which decides the order."""
        return {**super().identity, "shares": list(self.shares), "seed": self.seed}

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The parts."""
        return {f"part {number:03d}": source for number, source in enumerate(self.sources, start=1)}

    def expected(self, known: Known) -> tuple[float, float]:
        """As many as there are problems with one, of mean length."""
        if known.statistics(self):
            return super().expected(known)
        parts = [source.expected(known) for source in self.sources]
        weights = [share / sum(self.shares) for share in self.shares]
        rollouts, steps = zip(*parts, strict=True)
        return (
            sum(weight * count for weight, count in zip(weights, rollouts, strict=True)),
            sum(weight * count for weight, count in zip(weights, steps, strict=True)),
        )

    @property
    def most_tokens(self) -> int:
        """At most what all parts give."""
        return sum(source.most_tokens for source in self.sources)

    def why_nothing(self, made: Artifact) -> str:
        """Which part had nothing to give."""
        had = ", ".join(
            f"{count:,} of the {source.label}"
            for count, source in zip(made.statistics["mix_had"], self.sources, strict=True)
        )
        return f"the shares of the mixture hold for no rollout at all: there were {had}"

    def rewritten(
        self, inputs: Mapping[str, Artifact], workspace: Workspace
    ) -> tuple[dict[str, list[Rollout]], Mapping[str, Any]]:
        """What is taken of each part; a problem's rollouts are of one of them."""
        from lrbench.sampling.mixing import mixing_order, taken

        parts = [by_problem(read_artifact_rollouts(inputs[name])) for name in self.inputs]
        counts = [{problem: len(group) for problem, group in part.items()} for part in parts]
        order = mixing_order(self.seed, self.problems.ids)
        chosen = taken(order, counts, [Fraction(repr(share)) for share in self.shares])
        found = {
            problem: part[problem][:count]
            for part, some in zip(parts, chosen, strict=True)
            for problem, count in some.items()
        }
        return found, {
            "mix_taken": [sum(some.values()) for some in chosen],
            "mix_had": [sum(has.values()) for has in counts],
        }


def by_problem(rollouts: Sequence[Rollout]) -> dict[str, list[Rollout]]:
    """The rollouts of each problem by its id, in their order."""
    found: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        found[rollout.problem_id].append(rollout)
    return found
