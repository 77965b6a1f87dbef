"""The suites: which benchmarks are measured, and everything that defines how.

Nothing here can be chosen by a recipe: the prompt, the length and the metric belong to the suite, so
that nobody can pick the flattering one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.embedded.assets import problems
from lrbench.recipe.catalogue import SUITES as BENCHMARKS

TASKS_FOLDER = Path(__file__).parent / "tasks"
# Raised whenever a verdict could come out differently for the same completion.
GRADER_VERSION = 1


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
}


def protocol(suite: Suite, benchmark: str, *, engine: str, dtype: str, limit: int | None) -> dict[str, Any]:
    """Everything that defines how a score was measured (law 5), as JSON values."""
    return {
        "suite": suite.name,
        "task": suite.tasks[benchmark],
        "task_version": suite.task_version,
        "system_prompt": suite.system_prompt,
        "shots": suite.shots,
        "decoding": "greedy",
        "max_new_tokens": suite.max_new_tokens,
        "engine": engine,
        "dtype": dtype,
        "grader_version": GRADER_VERSION,
        "limit": limit,
    }


def benchmark_items(benchmark: str) -> list[dict[str, str]]:
    """Every item of a benchmark in order: `id`, `problem`, `answer` and the benchmark's name."""
    return [
        {field: row[field] for field in ("id", "problem", "answer")} | {"benchmark": benchmark}
        for row in problems(benchmark, "test")
    ]
