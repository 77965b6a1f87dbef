"""Running lm-eval: one benchmark, a shard of items at a time, per-item outcomes out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate

from lrbench.data.rules import Row
from lrbench.evaluation.language_model import AnsweringModel
from lrbench.evaluation.prompts import user_turn, worked_examples
from lrbench.grading.verdict import Verdict
from lrbench.suites.grader import Answered
from lrbench.suites.suite import Benchmark

PROMPT = "prompt"


@dataclass(frozen=True)
class Item:
    """One graded completion. `paper` and `exact` are the two verdicts, `reason` says why.

    `problem` is what was asked, without worked examples and system prompt, so that a result can be looked
    into where its data set is not. `group` is what it has in common with others of the benchmark.
    Of a task of lm-eval, `measures` is what each of its metrics says, `log_likelihoods` those of its choices,
    and `dropped` how many tokens at the beginning of its prompt the model had no room for.
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
    group: str | None = None
    measures: dict[str, float] | None = None
    log_likelihoods: list[float] | None = None
    dropped: int | None = None
    took: dict[str, Any] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """The item as a JSON object without what it has not, and with what it took at its end."""
        row = asdict(self)
        took: dict[str, Any] = row.pop("took")
        for name in ("group", "measures", "log_likelihoods", "dropped"):
            if row[name] is None:
                del row[name]
        return row | took


class BenchmarkTask:
    """One benchmark as a task of lm-eval.

    `data_root` is the folder of the public data sets, None for the usual places.
    """

    def __init__(self, benchmark: Benchmark, data_root: str | None = None) -> None:
        self.benchmark = benchmark
        self.examples = worked_examples(benchmark, data_root)
        for logger in ("lm_eval", "lm_eval.api.task", "lm_eval.evaluator", "lm_eval.config.task"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        self._task = ConfigurableTask(config=_config(benchmark))

    def measure(self, model: AnsweringModel, rows: Iterable[Row]) -> list[Item]:
        """Complete and grade the items that `rows` are."""
        rows = list(rows)
        # lm-eval walks over its whole data set for every call, so it is given these rows alone.
        self._task.dataset = {"test": [self._document(row) for row in rows]}
        loaded = {"tasks": {self.benchmark.task: self._task}, "groups": {}, "group_map": {}}
        found = evaluate(model, loaded, bootstrap_iters=0, log_samples=True)
        samples = sorted(found["samples"][self.benchmark.task], key=lambda sample: sample["doc_id"])
        return [
            _item(row, sample, tokens, truncated, took)
            for row, sample, tokens, truncated, took in zip(
                rows, samples, model.lengths, model.truncated, model.took, strict=True
            )
        ]

    def asked(self, row: Row) -> str:
        """The user's turn that asks an item."""
        return user_turn(row["problem"], self.examples, self.benchmark.prompt)

    def _document(self, row: Row) -> dict[str, str]:
        """One item as lm-eval passes it around."""
        return {
            "id": row["id"],
            "problem": row["problem"],
            "answer": row["answer"],
            PROMPT: self.asked(row),
        }


def _config(benchmark: Benchmark) -> dict[str, Any]:
    """The benchmark in the words of lm-eval's task files.

    The whole user turn is in `prompt`; the chat template and the system line are put around it by lrbench's
    one renderer, so no template is applied here. Names of columns are given and not templates: a template
    is compiled for every item, and reads "[1,2]" as a list.
    """
    metrics = [
        {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("paper", "exact")
    ]
    answered = {"metric": "verdict", "aggregation": _share_answered, "higher_is_better": True}
    # A task wants a document when it is loaded, and is given others before it is used.
    first = Dataset.from_list([{"id": "", "problem": "", "answer": "", PROMPT: ""}])
    return {
        "task": benchmark.task,
        "custom_dataset": lambda **_metadata: {"test": first},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": PROMPT,
        "doc_to_target": "answer",
        "num_fewshot": 0,
        "generation_kwargs": {
            "until": list(benchmark.stop),
            "max_gen_toks": benchmark.max_new_tokens,
            "do_sample": False,
        },
        "process_results": partial(_verdicts, benchmark),
        "metric_list": [*metrics, answered],
        "metadata": {"version": benchmark.task_version},
    }


def _verdicts(benchmark: Benchmark, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Both verdicts as 0 or 1, and the whole verdict for the item's record."""
    verdict = benchmark.grader.grade(Answered(results[0], doc["answer"], doc["problem"]))
    return {"paper": int(verdict.correct), "exact": int(verdict.exact), "verdict": verdict}


def _share_answered(verdicts: list[Verdict]) -> float:
    """Share of items in which an answer was found at all."""
    return sum(verdict.prediction is not None for verdict in verdicts) / len(verdicts)


def _item(row: Row, sample: dict[str, Any], tokens: int, truncated: bool, took: dict[str, Any]) -> Item:
    found: Verdict = sample["verdict"]
    # The task grades text alone; that the text was cut short is known only here.
    verdict = found.cut_short if truncated else found
    return Item(
        id=row["id"],
        problem=row["problem"],
        completion=sample["resps"][0][0],
        gold=row["answer"],
        prediction=verdict.prediction,
        paper=verdict.correct,
        exact=verdict.exact,
        reason=str(verdict.reason),
        tokens=tokens,
        truncated=truncated,
        group=row.get("group"),
        took=took,
    )
