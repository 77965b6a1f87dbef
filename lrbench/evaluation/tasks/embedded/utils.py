"""Items and verdicts of the embedded families, for lm-eval."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from datasets import Dataset

from lrbench.evaluation.grading import grade
from lrbench.evaluation.suites import benchmark_items


def dataset(family: str, **_metadata: Any) -> dict[str, Dataset]:
    """The family's test items."""
    return {"test": Dataset.from_list(benchmark_items(family))}


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Both verdicts as 0 or 1, and the whole verdict for the item's record."""
    verdict = grade(benchmark=doc["benchmark"], completion=results[0], gold=doc["answer"])
    return {"paper": int(verdict.correct), "exact": int(verdict.exact), "verdict": asdict(verdict)}


def share_answered(verdicts: list[dict[str, Any]]) -> float:
    """Share of items in which an answer was found at all."""
    return sum(verdict["prediction"] is not None for verdict in verdicts) / len(verdicts)
