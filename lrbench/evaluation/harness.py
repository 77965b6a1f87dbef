"""Running lm-eval: one benchmark, a shard of items at a time, per-item outcomes out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from lrbench.evaluation.language_model import RenderedModel
from lrbench.evaluation.suites import Suite


@dataclass(frozen=True)
class Item:
    """One graded completion. `paper` and `exact` are the two verdicts, `reason` says why."""

    id: str
    completion: str
    gold: str
    prediction: str | None
    paper: bool
    exact: bool
    reason: str
    tokens: int
    truncated: bool

    def as_row(self) -> dict[str, Any]:
        """The item as a JSON object."""
        return asdict(self)


class Benchmark:
    """One benchmark of a suite, loaded from its lm-eval task."""

    def __init__(self, suite: Suite, name: str) -> None:
        self.suite = suite
        self.name = name
        self.task = suite.tasks[name]
        for logger in ("lm_eval", "lm_eval.api.task", "lm_eval.evaluator"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        self._loaded = _task_manager(str(suite.folder)).load([self.task])

    def measure(self, model: RenderedModel, indices: Sequence[int]) -> list[Item]:
        """Complete and grade the items at `indices`."""
        found = evaluate(
            model,
            self._loaded,
            samples={self.task: list(indices)},
            bootstrap_iters=0,
            log_samples=True,
        )
        samples = sorted(found["samples"][self.task], key=lambda sample: sample["doc_id"])
        return [
            Item(
                id=sample["doc"]["id"],
                completion=sample["resps"][0][0],
                gold=sample["target"],
                prediction=sample["verdict"]["prediction"],
                paper=bool(sample["paper"]),
                exact=bool(sample["exact"]),
                reason=str(sample["verdict"]["reason"]),
                tokens=tokens,
                truncated=truncated,
            )
            for sample, tokens, truncated in zip(samples, model.lengths, model.truncated, strict=True)
        ]


@cache
def _task_manager(folder: str) -> TaskManager:
    return TaskManager(include_path=folder, include_defaults=False)
