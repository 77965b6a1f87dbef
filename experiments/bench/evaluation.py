"""What measuring costs: lm-eval, grading and records on top of generation, and verdicts a second."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.bench.measuring import Comparison, Figure, in_turn, seconds
from experiments.bench.subjects import Subject
from lrbench.evaluation.harness import BenchmarkTask
from lrbench.evaluation.items import choose_items
from lrbench.evaluation.language_model import RenderedModel
from lrbench.grading import grade, grade_many
from lrbench.models.loading import Tokenizer
from lrbench.models.prompt import render_prompt
from lrbench.sampling.engines.transformers import TransformersEngine
from lrbench.suites.suite import shipped_suite

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance" / "grading.jsonl.gz"
EXTREMES = ("order_dependent", "slow_s", "timeout")


def overhead(subject: Subject, tokenizer: Tokenizer, limit: int | None, runs: int) -> Comparison:
    """P7: a benchmark through lm-eval, graded, against the engine called with the same prompts."""
    hard = shipped_suite("embedded7")["hard"]
    rows = list(choose_items(hard, None, limit))
    engine = TransformersEngine(subject.pair.expert, subject.rules, subject.batch_size)
    prompts = [render_prompt(tokenizer, row["problem"], None) for row in rows]
    task = BenchmarkTask(hard)
    model = RenderedModel(engine.answer, tokenizer, None, subject.rules.stop_ids)
    return in_turn(
        f"evaluation of {len(rows)} items: bare, against measured",
        lambda: engine.complete(prompts, hard.max_new_tokens),
        lambda: task.measure(model, rows),
        "at most 1.05",
        runs,
    )


def grading() -> Iterator[Figure]:
    """Verdicts a second over the conformance set, which lies beside the checkout, and of every tenth case."""
    rates: list[float] = []
    single: list[float] = []
    items = list(_cases()) if CONFORMANCE.is_file() else []
    if items:
        list(grade_many(items[:50]))
        rates.append(len(items) / seconds(lambda: list(grade_many(items))))
        single += [seconds(lambda item=item: grade(**item)) for item in items[::10]]
    yield Figure(f"grading of {len(items):,} cases, verdicts a second", rates, "at least 200")
    yield Figure("grading of one case, every tenth of them, s", single, "under 3")


def _cases() -> Any:
    with gzip.open(CONFORMANCE, "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if not any(case.get(extreme) for extreme in EXTREMES):
                yield {
                    "benchmark": case["benchmark"],
                    "completion": case["completion"],
                    "gold": case["gold"],
                    "stop": tuple(case["stop"]),
                }
