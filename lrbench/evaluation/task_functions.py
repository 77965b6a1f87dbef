"""What the task files of lm-eval refer to: the items as documents, and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from datasets import Dataset

from lrbench.data.access import open_examples
from lrbench.data.rules import Row
from lrbench.data.sets import MMLU_STEM_EXAMPLES
from lrbench.evaluation.items import benchmark_rows
from lrbench.grading import grade

Examples = Sequence[tuple[str, str]]


def dataset(
    benchmark: str,
    shots: int = 0,
    first: int | None = None,
    data_root: str | None = None,
    **_metadata: Any,
) -> dict[str, Dataset]:
    """The benchmark's test items, or the `first` of them, after `shots` worked examples."""
    examples = worked_examples(shots, data_root)
    rows = islice(benchmark_rows(benchmark, data_root), first)
    return {"test": Dataset.from_list([document(row, benchmark, examples) for row in rows])}


def worked_examples(shots: int, data_root: str | None) -> Examples:
    """The first `shots` of the worked examples there are, those of MMLU-STEM."""
    return open_examples(MMLU_STEM_EXAMPLES, data_root)[:shots] if shots else []


def document(row: Row, benchmark: str, examples: Examples) -> dict[str, str]:
    """One item as lm-eval passes it around; `prompt` is all of the user's turn."""
    return {
        "benchmark": benchmark,
        "id": row["id"],
        "problem": row["problem"],
        "answer": row["answer"],
        "prompt": user_turn(row["problem"], examples),
    }


def user_turn(problem: str, examples: Examples) -> str:
    """The problem after its examples: each a question, a line break and its answer, blank lines between.

    This is how the Qwen2.5-Math toolkit puts examples into one turn of its `qwen25-math-cot` prompt.
    """
    return "\n\n".join([*(f"{question}\n{answer}" for question, answer in examples), problem])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Both verdicts as 0 or 1, and the whole verdict for the item's record."""
    verdict = grade(
        benchmark=doc["benchmark"], completion=results[0], gold=doc["answer"], problem=doc["problem"]
    )
    return {"paper": int(verdict.correct), "exact": int(verdict.exact), "verdict": asdict(verdict)}


def share_answered(verdicts: list[dict[str, Any]]) -> float:
    """Share of items in which an answer was found at all."""
    return sum(verdict["prediction"] is not None for verdict in verdicts) / len(verdicts)
