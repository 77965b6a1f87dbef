"""Everything that defines how a score was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrbench.evaluation.items import ItemSet
from lrbench.methods.plugins import plugins_of
from lrbench.recipe.schema import EXACT
from lrbench.suites.declaration import TasksDeclaration
from lrbench.suites.grader import Grader
from lrbench.suites.graders import GRADER, TaskMetric
from lrbench.suites.shipped import SHIPPED
from lrbench.suites.suite import LM_EVAL, REPEATED_TOKENS, REPEATS_VERSION, Benchmark, shipped_suite

BATCH_SIZE = "batch_size"
STOP_REPEATS = "stop_repeats"
# What of an identity counts that did not at first, and why.
NEW_FIELDS = {
    BATCH_SIZE: "how many rows are written at once is part of how bfloat16 and float16 are measured"
}
# What of an identity is decided here and by no recipe, and why work is done again where it has changed.
OWN_FIELDS = {
    "grader_version": "answers are judged by other rules",
    "task_version": "the benchmark's prompt or metric is another one",
}
# Says in a protocol which grader it was; one of a shipped suite has none, and is known by its name.
GRADER_FIELD = "grader"


def protocol(
    benchmark: Benchmark, items: ItemSet, *, engine: str, dtype: str, batch_size: int | str
) -> dict[str, Any]:
    """Everything that defines how a score was measured (law 5), as JSON values.

    `limit` and `items` say how the items were chosen from `data`: the first ones, or a list of ids. What a
    shipped suite says of prompt, stops and grader is known by its name and `task_version`; any other is
    written out, with the content of its files and not their paths. `batch_size` counts where the `dtype`
    rounds so much that the rows beside it decide what a row says.
    """
    rounding = {} if dtype == EXACT else {BATCH_SIZE: batch_size}
    if benchmark.tasks is not None:
        return _of_tasks(benchmark, benchmark.tasks, items, engine, dtype) | rounding
    measured = {
        "suite": benchmark.suite,
        "task": benchmark.task,
        "task_version": benchmark.task_version,
        "data": items.data_hash,
        "system_prompt": benchmark.system_prompt,
        "shots": benchmark.shots,
        "decoding": "greedy",
        "max_new_tokens": benchmark.max_new_tokens,
        "engine": engine,
        "dtype": dtype,
        "grader_version": benchmark.grader.version,
        "limit": items.limit,
        "items": items.items_hash if items.listed else None,
    }
    return measured | rounding | ({} if benchmark.shipped else _written_out(benchmark, items))


def _of_tasks(
    benchmark: Benchmark, declared: TasksDeclaration, items: ItemSet, engine: str, dtype: str
) -> dict[str, Any]:
    """That of lm-eval's own tasks, which say themselves what they ask and how it is judged."""
    facts = items.facts or {}
    return {
        "suite": benchmark.suite,
        "task": benchmark.task,
        "data": items.data_hash,
        "system_prompt": declared.system_prompt,
        "chat_template": declared.chat_template,
        "decoding": "greedy",
        "engine": engine,
        "dtype": dtype,
        "grader_version": benchmark.grader.version,
        "limit": items.limit,
        "items": items.items_hash if items.listed else None,
        **facts,
    }


def _written_out(benchmark: Benchmark, items: ItemSet) -> dict[str, Any]:
    examples = {} if items.examples_hash is None else {"examples": items.examples_hash}
    repeats = {} if benchmark.stop_repeats is None else {STOP_REPEATS: _stop_repeats(benchmark.stop_repeats)}
    return {
        "benchmark": benchmark.name,
        "set": benchmark.data,
        "prompt": benchmark.prompt,
        "stop": list(benchmark.stop),
        **benchmark.grader.identity,
        **plugins_of(benchmark.grader),
        **examples,
        **repeats,
    }


def _stop_repeats(times: int) -> dict[str, int]:
    """How often the same tokens are written before an answer is cut, and by which rule."""
    return {"times": times, "tokens": REPEATED_TOKENS, "version": REPEATS_VERSION}


@dataclass(frozen=True)
class Recorded:
    """What a protocol says of its benchmark: its name, its grader, and the set of items that it is, if any.

    `shipped` is the benchmark of a shipped suite that has the same items.
    """

    name: str
    grader: Grader
    data: str | None

    @property
    def shipped(self) -> Benchmark | None:
        """Nothing for items of somebody's own file."""
        suites = map(shipped_suite, SHIPPED)
        found = (benchmark for suite in suites for benchmark in suite.benchmarks)
        return next((benchmark for benchmark in found if benchmark.data == self.data), None)


def recorded_benchmark(protocol: Mapping[str, Any]) -> Recorded:
    """The benchmark of a protocol. Raises `KeyError` or `ValueError` for one that is not known here."""
    if protocol["suite"] == LM_EVAL and "harness" in protocol:
        return Recorded(protocol["task"], TaskMetric(), None)
    if GRADER_FIELD in protocol:
        return Recorded(protocol["benchmark"], GRADER.read(protocol[GRADER_FIELD]), protocol["set"])
    for benchmark in shipped_suite(protocol["suite"]).benchmarks:
        if benchmark.task == protocol["task"]:
            return Recorded(benchmark.name, benchmark.grader, benchmark.data)
    raise KeyError(protocol["task"])
