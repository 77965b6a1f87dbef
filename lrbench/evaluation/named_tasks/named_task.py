"""A task of lm-eval that has been loaded: what it asks for, what defines its scores, and how it judges."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrbench.errors import DataError, first_line
from lrbench.evaluation.named_tasks.code_eval import CodeEval
from lrbench.evaluation.programs.running import LIMITS, Ended
from lrbench.store.canonical import stable_hash

LOGLIKELIHOOD = ("multiple_choice", "loglikelihood")
GENERATE = "generate_until"
# As lm-eval's own models have it, where a task says nothing.
DEFAULT_NEW_TOKENS = 256
# What a prompt that is too long to be answered loses, and the field of a protocol that says so.
TOO_LONG, BEGINNING = "too_long", "loses its beginning"
WHERE = "evaluation.lm_eval.tasks"

# What of a task says where its data are, which their content says better, and what only lm-eval prints.
_OF_PLACE = ("dataset_path", "dataset_name", "dataset_kwargs", "metadata", "num_fewshot", "task_alias", "tag")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Judged:
    """`measures` are all numbers that a task's metrics give an item, as `metric,filter`.

    `ended` says of programs that an answer is how they ended, those behind the last filter.
    """

    measures: dict[str, float]
    ended: tuple[Ended, ...]


@dataclass(frozen=True, eq=False)
class NamedTask:
    """One loaded task of lm-eval; `shots` are its worked examples.

    `programs` is what runs the programs that answers are, None where they are none.
    """

    name: str
    task: Any
    shots: int
    programs: CodeEval | None = None

    @property
    def kind(self) -> str:
        """What it asks of a model, as lm-eval calls it."""
        return str(self.task.OUTPUT_TYPE)

    @property
    def asks_likelihoods(self) -> bool:
        """Whether answers are chosen by their likelihood, and nothing is written."""
        return self.kind in LOGLIKELIHOOD

    @cached_property
    def metric(self) -> str:
        """The metric that decides whether an item is right: the first that is a mean over items, the higher
        the better. Raises `DataError` where there is none."""
        from lm_eval.api.metrics import mean

        task = self.task
        given = None if self.programs is None else self._given()
        better = task.higher_is_better()
        for name, aggregate in task.aggregation().items():
            if aggregate is mean and better.get(name) and (given is None or name in given):
                return str(name)
        raise DataError(
            f"{WHERE}: `{self.name}` has no metric that is a mean over its items, so that nothing says of an "
            "item whether it is right; leave it out"
        )

    def _given(self) -> set[str]:
        """The metrics of an answer: their names are not all those of the functions that give them."""
        from lm_eval.api.instance import Instance

        empty = Instance(self.kind, self.docs[0], ("", {}), idx=0, resps=[""])
        try:
            measures = self.judge(self.docs[0], [empty]).measures
        except Exception as error:
            raise DataError(
                f"{WHERE}: `{self.name}` cannot judge an answer: {type(error).__name__}: {first_line(error)}"
            ) from error
        return {name.rpartition(",")[0] for name in measures}

    def judge(self, doc: Any, instances: list[Any]) -> Judged:
        """What the task says of the responses that an item's requests hold."""
        task = self.task
        task._instances = instances
        task.apply_filters()
        found: dict[str, float] = {}
        for behind in instances[0].filtered_resps:
            results = task.process_results(doc, [instance.filtered_resps[behind] for instance in instances])
            for metric, value in results.items():
                if isinstance(value, bool | int | float) or hasattr(value, "item"):
                    found[f"{metric},{behind}"] = float(value)
        return Judged(found, () if self.programs is None else self.programs.ended)

    @property
    def filter(self) -> str:
        """The last of the task's filters, behind which the metric is taken."""
        return str(self.task._filters[-1].name)

    @property
    def most_new_tokens(self) -> int:
        """Of an answer; none are written where likelihoods decide."""
        if self.asks_likelihoods:
            return 0
        return int((self.task.config.generation_kwargs or {}).get("max_gen_toks", DEFAULT_NEW_TOKENS))

    @cached_property
    def docs(self) -> list[Any]:
        """What is asked, in order."""
        return list(self.task.eval_docs)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Everything that defines what it measures, as JSON values, without the items themselves."""
        config = {name: value for name, value in self.task.dump_config().items() if name not in _OF_PLACE}
        return {
            "version": self.task.VERSION,
            "config": hashlib.sha256(_text_of(config).encode()).hexdigest(),
            "metric": f"{self.metric},{self.filter}",
            "shots": self.shots,
            # Of likelihoods that has always been so.
            **({} if self.asks_likelihoods else {TOO_LONG: BEGINNING}),
            **({} if self.programs is None else {"programs": LIMITS.facts}),
            **({"examples": _hash_of(self.task.fewshot_docs() or ())} if self.shots else {}),
        }


def _hash_of(docs: Any) -> str:
    return stable_hash([_text_of(doc) for doc in docs])


def _text_of(value: Any) -> str:
    """A text of what a task holds, the same in every process: functions are written by their source."""
    return _ADDRESS.sub("", json.dumps(value, sort_keys=True, default=str, ensure_ascii=True))
