"""Measuring a model on one benchmark, in shards of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.data.rules import Row
from lrbench.evaluation.graded_items import DRAW, VOTE, read_draws, read_item_rows, write_item_rows
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.protocol import NEW_FIELDS, OWN_FIELDS, protocol
from lrbench.evaluation.repeats import Repeats
from lrbench.methods.answers import OWN, Plain
from lrbench.methods.plugins import CHANGED
from lrbench.models.source import LocatedModel, model_identity
from lrbench.models.turn_marks import MARKS, turn_marks
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.answering import AnsweredBy, Upcoming, prove_same_tokens
from lrbench.pipeline.stages.base import EARLIER, Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.sharding import Place, Shard, Sharded, Shards
from lrbench.pipeline.stages.tasks import Known, Task, Writing, mean_written
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.measuring import Draws
from lrbench.recipe.schema import BatchSize, EngineChoice, Runtime
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.keys import stage_key
from lrbench.suites.suite import Benchmark

if TYPE_CHECKING:
    from lrbench.evaluation.harness import BenchmarkTask, Item
    from lrbench.evaluation.language_model import AnsweringModel
    from lrbench.evaluation.traces import LogProbabilities

ITEMS_PER_SHARD = 100
# What an identity says of answers whose traces are kept: by which version of what is kept.
TRACES, TRACES_VERSION = "traces", 1
WEIGHED_BY = "weighed_by"


PLAINLY = AnsweredBy(Plain())


@dataclass(frozen=True)
class BenchmarkScore(Sharded):
    """One model's graded completions of one benchmark; `adapter` None measures the expert itself.

    `repeats` says how many items the adapter has learnt from, where that was counted; it decides nothing.
    `drawn` says how answers are sampled; None has the likeliest tokens, once. `traced` keeps how likely the
    answers are to the arm's model and when they were first right; what was written before does not say.
    `weighed_by` is the model whose confidence weighs their tokens; None has no weights. At most `batch_size`
    rows are written at once.
    """

    name: ClassVar[str] = "evaluate"
    version: ClassVar[int] = 3
    own_fields: ClassVar[Mapping[str, str]] = {**OWN_FIELDS, **CHANGED}
    new_fields: ClassVar[Mapping[str, str]] = {**MARKS, **NEW_FIELDS}

    arm: str
    expert: LocatedModel
    adapter: TrainedAdapter | None
    measured: Benchmark
    items: ItemSet
    engine: EngineChoice
    answered_by: AnsweredBy = PLAINLY
    repeats: Repeats | None = None
    drawn: Draws | None = None
    traced: bool = False
    batch_size: BatchSize = Runtime().batch_size
    weighed_by: LocatedModel | None = None

    @property
    def benchmark(self) -> str:
        """The benchmark's name."""
        return self.items.benchmark

    @property
    def label(self) -> str:
        """What the stage makes, for people."""
        return f"{self.arm} on {self.benchmark} ({self.items_label})"

    @property
    def items_label(self) -> str:
        """How many items are answered, and how."""
        each = "" if self.drawn is None else f", {self.drawn.label} each"
        return f"{self.size} items{each}"

    def label_under(self, names: Mapping[str, str]) -> str:
        """The arm's own name stands for its title."""
        return replace(self, arm=names.get(self.arm, self.arm)).label

    def line_under(self, names: Mapping[str, str]) -> str:
        """One for all benchmarks of a suite."""
        return f"{names.get(self.arm, self.arm)} on {self.measured.suite}"

    def label_of_all(self, alike: Sequence[Stage], names: Mapping[str, str]) -> str:
        """How many benchmarks these are, and of how many items."""
        scores = {stage.benchmark: stage for stage in alike if isinstance(stage, BenchmarkScore)}
        if len(scores) == 1:
            return self.label_under(names)
        found = dict.fromkeys(score.items_label for score in scores.values())
        items = f"{len(scores)} x {next(iter(found))}" if len(found) == 1 else f"{len(scores)} benchmarks"
        return f"{self.line_under(names)} ({items})"

    @property
    def protocol(self) -> dict[str, Any]:
        """How the score is measured."""
        greedy = protocol(
            self.measured,
            self.items,
            engine=self.engine.name,
            dtype=self.expert.dtype,
            batch_size=self.batch_size,
        )
        return greedy if self.drawn is None else greedy | self.drawn.protocol

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, the protocol and the items themselves, and the model's own marks of turns."""
        return {
            "expert": model_identity(self.expert),
            "protocol": self.protocol,
            "items": self.items.items_hash,
            **turn_marks(self.expert).measuring,
            **self.answered_by.identity,
            **({TRACES: TRACES_VERSION} if self.traced else {}),
            **({} if self.weighed_by is None else {WEIGHED_BY: model_identity(self.weighed_by)}),
        }

    @property
    def earlier_keys(self) -> tuple[str, ...]:
        """The same completions under earlier versions of the grader; none of those that are traced."""
        if self.traced:
            return ()
        inputs = {name: stage.key for name, stage in self.inputs.items()}
        return tuple(
            stage_key(
                self.name,
                self.version,
                {**self.identity, "protocol": self.protocol | {"grader_version": grader}},
                inputs,
            )
            for grader in range(self.measured.grader.version - 1, 0, -1)
        )

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The adapter, where there is one, and what else answers comes from."""
        own = {} if self.adapter is None else {"adapter": self.adapter}
        return {**own, **self.answered_by.inputs}

    @property
    def size(self) -> int:
        """Items."""
        return len(self.items)

    @property
    def samples(self) -> int:
        """How many answers are measured to every item."""
        return 1 if self.drawn is None else self.drawn.samples

    @property
    def most_tokens(self) -> int:
        """Every completion at its full length, those that are outvoted included."""
        return self.size * self.samples * self.measured.max_new_tokens * self.answered_by.answer.samples

    def follows(self, other: Stage) -> bool:
        """An evaluation of the same model, which is asked in the same way."""
        return type(other) is BenchmarkScore and self._answers_alike == other._answers_alike

    @property
    def _answers_alike(self) -> tuple[object, ...]:
        """All that what answers depends on; what is asked of it comes with every prompt."""
        adapter = None if self.adapter is None else self.adapter.key
        rows = self.answered_by, self.engine, self.batch_size
        # A vote is counted by the answers that the benchmark's grader reads.
        read_by = self.measured.grader if self.answered_by.answer.samples > 1 else None
        return self.expert, adapter, *rows, self.drawn, self.measured.stop_repeats, read_by

    @property
    def engine_choice(self) -> EngineChoice:
        """As the recipe says for evaluation."""
        return self.engine

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """The expert, which is asked every item."""
        return ((self.expert, self.measured.system_prompt),)

    @property
    def measured_under(self) -> tuple[str | None, ...]:
        """Under that of the suite."""
        return (self.measured.system_prompt,)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How many items the arm has learnt from, where it has."""
        return (self.repeats.text(self.benchmark),) if self.repeats else ()

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also that every model that answers has the same tokens, and has those that the answer speaks of."""
        yield from super().checks(workspace)
        names = tuple(reader.name for reader in self.answered_by.readers)
        texts = self.answered_by.answer.single_tokens
        if names or texts:
            yield Check(About.TOKENS, (names, texts), partial(self.answered_by.check, workspace))
        if self.weighed_by is not None and self.weighed_by.here:
            model = self.weighed_by
            yield Check(About.TOKENS, model, partial(prove_same_tokens, workspace, model))

    def task(self, known: Known) -> Task:
        """The completions of every item."""
        most = self.measured.max_new_tokens
        mean = mean_written(self, known, self.expert, most)
        weighing = () if self.weighed_by is None else (self.weighed_by,)
        rows = self.size * self.samples * self.answered_by.answer.samples
        return Writing(
            self.expert,
            self.engine,
            rows,
            ITEMS_PER_SHARD,
            mean,
            most,
            narrowed=self.answered_by.answer.rows_at_once,
            queueing=not self.answered_by.answer.repeats,
            beside=(*self.answered_by.beside(self.adapter is not None), *weighing),
        )

    def completions(self, statistics: Mapping[str, Any]) -> int:
        """Items, as often as each was answered."""
        return int(statistics["n"] * statistics.get("samples", 1))

    def written(self, statistics: Mapping[str, Any]) -> int:
        """Tokens of all completions."""
        return int(statistics.get("written", statistics["tokens"]))

    @property
    def shards(self) -> Shards:
        """Of so many items that a kill costs little; all draws of an item are in one."""
        return Shards(self.size, max(1, ITEMS_PER_SHARD // self.samples), ".jsonl")

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one JSONL file of graded items per shard."""
        from lrbench.evaluation.harness import BenchmarkTask

        task = BenchmarkTask(self.measured, workspace.runtime.data_root)
        own = self._upcoming(task, self.shards.left(self.items, place, names), workspace)
        upcoming = chain(own, self._ahead(workspace))
        with self._model(inputs, workspace, upcoming) as model:

            def measure(shard: Shard[Row]) -> Callable[[Path], object]:
                # An item that is asked several times is drawn as often, each time by its own seed.
                items = task.measure(model, [row for row in shard.units for _ in range(self.samples)])
                rows = map(self._row, items, cycle(range(self.samples)))
                traced = [row | trace for row, trace in zip(rows, model.traces(items), strict=True)]
                return partial(write_item_rows, rows=traced)

            return self.shards.finish(self.items, place, names, progress, measure)

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Counts of what was graded."""
        return self._statistics([draft.path(name) for name in draft.names])

    def _row(self, item: Item, draw: int) -> dict[str, Any]:
        """A graded answer as it is kept."""
        if self.drawn is None:
            return item.as_row()
        return {**item.as_row(), DRAW: draw, VOTE: self.measured.grader.read(item.completion)}

    def _upcoming(
        self, task: BenchmarkTask, portions: Iterable[list[Row]], workspace: Workspace
    ) -> Iterator[Upcoming]:
        """What will be asked, shard by shard, of each the longest prompts first."""
        from lrbench.models.prompt import render_prompt

        tokenizer, measured = workspace.expert.tokenizer, self.measured
        for rows in portions:
            prompts = [
                (row, render_prompt(tokenizer, task.asked(row), measured.system_prompt)) for row in rows
            ]
            for row, prompt in sorted(prompts, key=lambda pair: -len(pair[1])):
                for draw in range(self.samples):
                    seed = 0 if self.drawn is None else self.drawn.seed_of(row["id"], draw)
                    yield prompt, measured.max_new_tokens, seed

    def _ahead(self, workspace: Workspace) -> Iterator[Upcoming]:
        """What the stages will ask that follow this one, of which nothing is written yet."""
        from lrbench.evaluation.harness import BenchmarkTask

        for stage in workspace.answering.ahead():
            assert isinstance(stage, BenchmarkScore)
            task = BenchmarkTask(stage.measured, workspace.runtime.data_root)
            yield from stage._upcoming(task, stage.shards.of(stage.items), workspace)

    @contextmanager
    def _model(
        self, inputs: Mapping[str, Artifact], workspace: Workspace, upcoming: Iterable[Upcoming]
    ) -> Iterator[AnsweringModel]:
        """What answers: the model, or what it wrote for an earlier grader."""
        from lrbench.evaluation.language_model import RecordedModel, RenderedModel
        from lrbench.evaluation.traces import Tracing
        from lrbench.sampling.engines.base import GREEDY, Decoding

        if EARLIER in inputs:
            yield RecordedModel(read_draws(inputs[EARLIER]))
            return
        decoding, seed_of = GREEDY, None
        if self.drawn is not None:
            decoding = Decoding(self.drawn.temperature, self.drawn.top_p)
            seed_of = self.drawn.seed_of
        grader, tokenizer = self.measured.grader, workspace.expert.tokenizer
        stops = frozenset(workspace.expert.turn_marks.stops)
        open_ = partial(
            self.answered_by.open,
            workspace,
            self.engine,
            inputs,
            grader.read,
            decoding,
            upcoming,
            self.measured.stop_repeats,
        )
        with workspace.answering.of(self.key, open_) as answering:
            yield RenderedModel(
                write=answering.write,
                tokenizer=tokenizer,
                system_prompt=self.measured.system_prompt,
                stop_ids=stops,
                # Those of shipped suites are the models' own marks, written out.
                endings=() if self.measured.shipped else self.measured.stop,
                seed_of=seed_of,
                tracing=None
                if not self.traced
                else Tracing(answering.likely, tokenizer, stops, grader, self._confidence(workspace)),
            )

    def _confidence(self, workspace: Workspace) -> LogProbabilities | None:
        """How likely the model that weighs finds completions; None without one."""
        model = self.weighed_by
        if model is None:
            return None

        def likely(
            prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
        ) -> list[list[float]]:
            # What answers may have freed it meanwhile.
            weights = workspace.weights_beside(model, None)
            return workspace.engines.writing_with(weights).log_probabilities_of(prompts, completions)

        return likely

    def _statistics(self, files: list[Path]) -> dict[str, Any]:
        counts = dict.fromkeys(("paper", "exact", "truncated", "tokens"), 0)
        plain = True
        written, passes, origins = 0, Counter[str](), Counter[str]()
        for row in read_item_rows(files):
            counts = {name: count + row[name] for name, count in counts.items()}
            written += row.get("written", row["tokens"])
            # An item that says nothing was written by the arm's own model, with one pass for each token.
            alone = {OWN: row["tokens"]}
            passes.update(row.get("passes", alone))
            origins.update(row.get("origins", alone))
            plain = plain and "passes" not in row
        drawn = {} if self.drawn is None else {"samples": self.samples}
        if plain:
            return {"n": self.size, **drawn, **counts}
        took = {"written": written, "passes": dict(passes), "origins": dict(origins)}
        return {"n": self.size, **drawn, **counts, **took}
