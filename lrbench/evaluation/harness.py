"""Running lm-eval: one benchmark, a shard of items at a time, per-item outcomes out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from lrbench.data.rules import Row
from lrbench.evaluation.language_model import AnsweringModel
from lrbench.evaluation.suites import Suite
from lrbench.evaluation.task_functions import document, worked_examples
from lrbench.grading.verdict import Reason


@dataclass(frozen=True)
class Item:
    """One graded completion. `paper` and `exact` are the two verdicts, `reason` says why.

    `problem` is what was asked, without worked examples and system prompt, so that a result can be looked
    into where its data set is not.
    """

    id: str
    problem: str
    completion: str
    gold: str
    prediction: str | None
    paper: bool
    exact: bool
    reason: str
    tokens: int
    truncated: bool
    took: dict[str, Any] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """The item as a JSON object, with what it took at its end, as `AnsweringModel.took` has it."""
        row = asdict(self)
        took: dict[str, Any] = row.pop("took")
        return row | took


class Benchmark:
    """One benchmark of a suite, loaded from its lm-eval task.

    `data_root` is the folder of the public data sets, None for the usual places.
    """

    def __init__(self, suite: Suite, name: str, data_root: str | None = None) -> None:
        self.name = name
        self.task = suite.tasks[name]
        self.examples = worked_examples(suite.shots, data_root)
        for logger in ("lm_eval", "lm_eval.api.task", "lm_eval.evaluator"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        self._loaded = _task_manager(str(suite.folder), data_root).load([self.task])

    def measure(self, model: AnsweringModel, rows: Iterable[Row]) -> list[Item]:
        """Complete and grade the items that `rows` are."""
        # lm-eval walks over its whole data set for every call, so it is given these rows alone.
        documents = [document(row, self.name, self.examples) for row in rows]
        self._loaded["tasks"][self.task].dataset = {"test": documents}
        found = evaluate(model, self._loaded, bootstrap_iters=0, log_samples=True)
        samples = sorted(found["samples"][self.task], key=lambda sample: sample["doc_id"])
        return [
            _item(sample, tokens, truncated, took)
            for sample, tokens, truncated, took in zip(
                samples, model.lengths, model.truncated, model.took, strict=True
            )
        ]


def _item(sample: dict[str, Any], tokens: int, truncated: bool, took: dict[str, Any]) -> Item:
    item = Item(
        id=sample["doc"]["id"],
        problem=sample["doc"]["problem"],
        completion=sample["resps"][0][0],
        gold=sample["doc"]["answer"],
        prediction=sample["verdict"]["prediction"],
        paper=bool(sample["paper"]),
        exact=bool(sample["exact"]),
        reason=str(sample["verdict"]["reason"]),
        tokens=tokens,
        truncated=truncated,
        took=took,
    )
    # The task grades text alone; that the text was cut short is known only here.
    if truncated and not item.paper and not item.exact:
        return replace(item, reason=str(Reason.TRUNCATED))
    return item


@cache
def _task_manager(folder: str, data_root: str | None) -> TaskManager:
    # A task wants a document when it is loaded; one is enough.
    metadata = {"first": 1, "data_root": data_root}
    return TaskManager(include_path=folder, include_defaults=False, metadata=metadata)
