"""Measuring a model on tasks of lm-eval that a recipe names."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.data.rules import Row
from lrbench.errors import UserError
from lrbench.evaluation.graded_items import read_item_rows, write_item_rows
from lrbench.evaluation.named_tasks.named_task import TOO_LONG
from lrbench.methods.answers import HERE, Again, Plain
from lrbench.models.source import LocatedModel
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.evaluation import ITEMS_PER_SHARD, BenchmarkScore
from lrbench.pipeline.stages.sharding import Place, Shard
from lrbench.pipeline.stages.tasks import Known, Writing, mean_written
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.suites.declaration import TasksDeclaration

if TYPE_CHECKING:
    from lrbench.evaluation.named_tasks.likelihoods import Likelihood

# Read at once where a recipe leaves it open.
DEFAULT_ROWS = 64
logger = logging.getLogger(__name__)
Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


@dataclass(frozen=True)
class TaskScore(BenchmarkScore):
    """One model's answers to the tasks of lm-eval behind one name, judged by the tasks' own metrics."""

    new_fields: ClassVar[Mapping[str, str]] = {
        **BenchmarkScore.new_fields,
        TOO_LONG: "a prompt that is too long to be answered loses its beginning, as in lm-eval",
    }

    @property
    def declared(self) -> TasksDeclaration:
        """What the recipe says of the tasks."""
        assert self.measured.tasks is not None
        return self.measured.tasks

    @property
    def items_label(self) -> str:
        """How many items are answered, and how, where that is known."""
        return super().items_label if self.items.facts else "items not known yet"

    @property
    def most_new_tokens(self) -> int:
        """Of one answer; 0 where likelihoods decide, or where the tasks are not here to tell."""
        return int((self.items.facts or {}).get("max_new_tokens", 0))

    def follows(self, other: Stage) -> bool:
        """No: tasks are asked by lm-eval, shard by shard."""
        return False

    @property
    def earlier_keys(self) -> tuple[str, ...]:
        """None: other verdicts are of another version of lm-eval, which asks otherwise too."""
        return ()

    @property
    def most_tokens(self) -> int:
        """Every answer at its full length."""
        return self.size * self.most_new_tokens * self.answered_by.answer.samples

    @property
    def prompts(self) -> tuple[tuple[LocatedModel, str | None], ...]:
        """The expert, which the tasks ask in their own way."""
        return ((self.expert, self.declared.system_prompt if self.declared.chat_template else None),)

    @property
    def measured_under(self) -> tuple[str | None, ...]:
        """Nothing to agree with: tasks have prompts of their own, which no field of sampling could be."""
        return ()

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also that what answers can say how likely an answer is, where a task asks that."""
        yield from super().checks(workspace)
        if not self.most_new_tokens or self._asks_likelihoods:
            yield Check(About.ENGINE, self.key, self._check_likelihoods)

    @property
    def _asks_likelihoods(self) -> bool:
        from lrbench.evaluation.named_tasks.loading import named_tasks

        return any(task.asks_likelihoods for task in named_tasks(self.declared, self.benchmark, fetch=True))

    def _check_likelihoods(self) -> None:
        if self.engine.name != HERE:
            raise UserError(
                f"`{self.benchmark}` asks how likely answers are, which the engine {self.engine.name} does "
                f"not say; evaluate with `{HERE}`"
            )
        if not isinstance(self.answered_by.answer, Plain | Again):
            raise UserError(
                f"`{self.benchmark}` asks how likely answers are, which is said of one model alone, and the "
                f"arm {self.arm} answers by {self.answered_by.answer.label}; leave the task or the arm out"
            )

    def task(self, known: Known) -> Writing:
        """An answer to every item; where likelihoods decide, about as much as reading one."""
        most = max(1, self.most_new_tokens)
        mean = mean_written(self, known, self.expert, most)
        rows = self.size * self.answered_by.answer.samples
        return Writing(
            self.expert,
            self.engine,
            rows,
            ITEMS_PER_SHARD,
            mean,
            most,
            narrowed=self.answered_by.answer.rows_at_once,
            beside=self.answered_by.beside(self.adapter is not None),
        )

    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit one JSONL file of judged items per shard."""
        from lrbench.evaluation.named_tasks.measuring import NamedTasksMeasuring
        from lrbench.evaluation.named_tasks.texts import TaskTexts

        expert = workspace.expert
        stops = expert.turn_marks.stops
        texts = TaskTexts(expert.tokenizer, stops)
        context = expert.token_rules.context
        tasks = NamedTasksMeasuring(self.declared, self.benchmark, self.items.limit, texts, stops, context)
        with _Answering(self, inputs, workspace) as answering:

            def measure(shard: Shard[Row]) -> Callable[[Path], object]:
                items = tasks.measure(shard.units, answering.write, answering.likely)
                return partial(write_item_rows, rows=[item.as_row() for item in items])

            return self.shards.finish(self.items, place, names, progress, measure)

    def summary(self, draft: Draft) -> dict[str, Any]:
        """Also the means of the tasks' own numbers, and how many prompts lost their beginning."""
        files = [draft.path(name) for name in draft.names]
        statistics = self._statistics(files) | {"measures": _means(files)}
        dropped = sum("dropped" in row for row in read_item_rows(files))
        if not dropped:
            return statistics
        from lrbench.models.loading import context_length

        logger.warning(
            "%s: %d of %d prompts are too long for the model's context of %d tokens and lost their "
            "beginning; with fewer worked examples (evaluation.lm_eval.num_fewshot) they are shorter",
            *(self.label, dropped, self.size, context_length(self.expert)),
        )
        return statistics | {"dropped": dropped}


class _Answering:
    """What answers: by writing, or by saying how likely texts are. One of them is open at a time."""

    def __init__(self, stage: TaskScore, inputs: Mapping[str, Artifact], workspace: Workspace) -> None:
        self._stage = stage
        self._inputs = inputs
        self._workspace = workspace
        self._stack = ExitStack()
        self._opened: tuple[str, Any] = ("", None)

    def __enter__(self) -> _Answering:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, prompts: Sequence[Sequence[int]], most: int) -> Any:
        """An answer to every prompt, of at most so many tokens."""
        stage, workspace = self._stage, self._workspace
        answering = self._at(
            "write",
            lambda: stage.answered_by.open(workspace, stage.engine, self._inputs, stage.measured.grader.read),
        )
        return answering.write(prompts, most)

    def likely(self, pairs: Pairs) -> list[Likelihood]:
        """How likely every continuation is after its context."""
        from lrbench.evaluation.named_tasks.likelihoods import likelihoods

        stage, expert = self._stage, self._workspace.expert
        own = self._inputs["adapter"].directory if "adapter" in self._inputs else None
        merged = stage.answered_by.fidelity.merged_in_bfloat16
        model = self._at("likely", lambda: expert.with_adapter(own, merged))
        size = self._workspace.runtime.batch_size
        rows = min(size if isinstance(size, int) else DEFAULT_ROWS, len(pairs))
        rows = stage.answered_by.answer.rows_at_once(max(1, rows))
        return likelihoods(model, pairs, rows, expert.token_rules.context)

    def _at(self, kind: str, open_: Callable[[], AbstractContextManager[Any]]) -> Any:
        if self._opened[0] != kind:
            self._stack.close()
            self._opened = kind, self._stack.enter_context(open_())
        return self._opened[1]


def _means(files: list[Path]) -> dict[str, float]:
    """The mean over items of every number that tasks give, by the task's own names of metric and filter."""
    sums: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for row in read_item_rows(files):
        for name, value in row.get("measures", {}).items():
            sums[name] += value
            counts[name] += 1
    return {name: sums[name] / counts[name] for name in sums}
