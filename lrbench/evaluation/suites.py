"""The suites: which benchmarks are measured, and everything that defines how.

Nothing here can be chosen by a recipe: the prompt, the length and the metric belong to the suite, so
that nobody can pick the flattering one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.evaluation.items import ItemSet
from lrbench.recipe.catalogue import SUITES as BENCHMARKS

TASKS_FOLDER = Path(__file__).parent / "tasks"
# Raised whenever a verdict could come out differently for the same completion.
GRADER_VERSION = 2
GRADER_VERSION_FOR_EMBEDDED = 1
# What of an identity is decided here and by no recipe, and why work is done again where it has changed.
OWN_FIELDS = {
    "grader_version": "answers are judged by other rules",
    "task_version": "the benchmark's prompt or metric is another one",
}
BOXED = r"Please reason step by step, and put your final answer within \boxed{}."


@dataclass(frozen=True)
class Suite:
    """Benchmarks measured alike. `tasks` maps a benchmark's name to its lm-eval task.

    `task_version` is that of every task file in `folder`; it rises when a prompt or a metric changes.
    """

    name: str
    tasks: dict[str, str]
    task_version: int
    folder: Path
    system_prompt: str | None
    max_new_tokens: int
    shots: int = 0

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The benchmarks in leaderboard order."""
        return tuple(self.tasks)


SUITES = {
    "embedded7": Suite(
        name="embedded7",
        tasks={name: f"lrbench_embedded_{name}" for name in BENCHMARKS["embedded7"]},
        task_version=1,
        folder=TASKS_FOLDER / "embedded",
        system_prompt=None,
        max_new_tokens=128,
    ),
    "math7": Suite(
        name="math7",
        tasks={name: f"lrbench_{name}" for name in BENCHMARKS["math7"]},
        task_version=1,
        folder=TASKS_FOLDER / "math7",
        system_prompt=BOXED,
        max_new_tokens=2048,
    ),
    "mmlu_stem_5shot": Suite(
        name="mmlu_stem_5shot",
        tasks={"mmlu_stem": "lrbench_mmlu_stem_5shot"},
        task_version=1,
        folder=TASKS_FOLDER / "math7",
        system_prompt=BOXED,
        max_new_tokens=2048,
        shots=5,
    ),
}


def grader_version(benchmark: str) -> int:
    """What tells the grader's verdicts from those of an earlier one; integers in a box have a grader apart.

    2: constants are compared without a tolerance, times are no ratios, the paper's unions are not read up to
    their first interval, more notations are read, and only processor time is limited.
    """
    return GRADER_VERSION_FOR_EMBEDDED if benchmark in BENCHMARKS["embedded7"] else GRADER_VERSION


def protocol(suite: Suite, items: ItemSet, *, engine: str, dtype: str) -> dict[str, Any]:
    """Everything that defines how a score was measured (law 5), as JSON values.

    `limit` and `items` say how the items were chosen from `data`: the first ones, or a list of ids.
    """
    return {
        "suite": suite.name,
        "task": suite.tasks[items.benchmark],
        "task_version": suite.task_version,
        "data": items.data_hash,
        "system_prompt": suite.system_prompt,
        "shots": suite.shots,
        "decoding": "greedy",
        "max_new_tokens": suite.max_new_tokens,
        "engine": engine,
        "dtype": dtype,
        "grader_version": grader_version(items.benchmark),
        "limit": items.limit,
        "items": items.items_hash if items.listed else None,
    }
