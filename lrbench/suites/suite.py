"""A suite as it is measured: every benchmark with everything that defines how, nothing left open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import yaml

from lrbench.suites.declaration import (
    PROBLEM,
    BenchmarkDeclaration,
    ExamplesDeclaration,
    FieldNames,
    SuiteDeclaration,
    TasksDeclaration,
)
from lrbench.suites.grader import Grader
from lrbench.suites.graders import TaskMetric
from lrbench.suites.shipped import FILE, FOLDER, SHIPPED

DEFAULT_LENGTH = 512
# Of answers that `stop_repeats` ends: the fewest tokens that repeat, and which version of that rule it is.
REPEATED_TOKENS, REPEATS_VERSION = 16, 1
# What boards call the tasks of lm-eval that a recipe names.
LM_EVAL = "lm_eval"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. Exactly one of `file`, `data` and `tasks` says where its items are.

    `shipped` says that it is of a suite that ships with lrbench, whose name and `task_version` say all that
    is said here of prompt, examples, stops and grader. One of lm-eval's own `tasks` says all of that itself,
    so that what is said here of such a benchmark is nothing to it.
    """

    name: str
    suite: str
    task: str
    task_version: int
    grader: Grader
    file: str | None
    data: str | None
    fields: FieldNames
    prompt: str
    system_prompt: str | None
    examples: ExamplesDeclaration | None
    max_new_tokens: int
    stop: tuple[str, ...]
    shipped: bool
    tasks: TasksDeclaration | None = None
    stop_repeats: int | None = None

    @property
    def shots(self) -> int:
        """How many worked examples come before the problem."""
        return 0 if self.examples is None else self.examples.count


@dataclass(frozen=True)
class Suite:
    """Benchmarks measured together, in leaderboard order."""

    name: str
    benchmarks: tuple[Benchmark, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The benchmarks' names."""
        return tuple(benchmark.name for benchmark in self.benchmarks)

    def __getitem__(self, name: str) -> Benchmark:
        return next(benchmark for benchmark in self.benchmarks if benchmark.name == name)


class Evaluation(Protocol):
    """What a recipe says of its evaluation, as far as it decides what is measured."""

    @property
    def suite(self) -> str | SuiteDeclaration | None: ...

    @property
    def lm_eval(self) -> TasksDeclaration | None: ...

    @property
    def benchmarks(self) -> tuple[str, ...] | None: ...


def suite_of(evaluation: Evaluation) -> Suite:
    """The suite that a recipe's `evaluation` measures, with all of its benchmarks.

    Raises `KeyError` for a name that is none of those shipped; recipes that load have none.
    """
    if evaluation.lm_eval is not None:
        return _of_tasks(evaluation.lm_eval)
    assert evaluation.suite is not None, "a recipe that loads has a suite or tasks"
    return named_suite(evaluation.suite)


def named_suite(declared: str | SuiteDeclaration) -> Suite:
    """A suite as recipes have it. Raises `KeyError` for a name that is none of those shipped."""
    return shipped_suite(declared) if isinstance(declared, str) else _completed(declared)


def measured_benchmarks(evaluation: Evaluation) -> tuple[Benchmark, ...]:
    """The benchmarks that a recipe's `evaluation` measures, in the suite's order."""
    wanted = evaluation.benchmarks
    return tuple(
        benchmark
        for benchmark in suite_of(evaluation).benchmarks
        if wanted is None or benchmark.name in wanted
    )


def is_known(evaluation: Evaluation) -> bool:
    """Whether what an `evaluation` measures is known: of names of suites those that are shipped are."""
    if evaluation.suite is None:
        return evaluation.lm_eval is not None
    return not isinstance(evaluation.suite, str) or evaluation.suite in SHIPPED


@lru_cache
def shipped_suite(name: str) -> Suite:
    """One of the suites that ship with lrbench. Raises `KeyError` for any other name."""
    if name not in SHIPPED:
        raise KeyError(name)
    text = (FOLDER / name / FILE).read_text(encoding="utf-8")
    return _completed(SuiteDeclaration.model_validate(yaml.safe_load(text)), shipped=True)


def _of_tasks(declared: TasksDeclaration) -> Suite:
    """A benchmark for every name that is written, whether of a task or of a group of tasks."""
    benchmarks = tuple(
        Benchmark(
            name=name,
            suite=LM_EVAL,
            task=name,
            task_version=1,
            grader=TaskMetric(),
            file=None,
            data=None,
            fields=FieldNames(),
            prompt=PROBLEM,
            system_prompt=None,
            examples=None,
            max_new_tokens=DEFAULT_LENGTH,
            stop=(),
            shipped=False,
            tasks=declared,
        )
        for name in declared.tasks
    )
    return Suite(LM_EVAL, benchmarks)


def _completed(declared: SuiteDeclaration, shipped: bool = False) -> Suite:
    """What is declared, with the suite's own where a benchmark leaves something to it."""

    def completed(name: str, own: BenchmarkDeclaration) -> Benchmark:
        return Benchmark(
            name=name,
            suite=declared.name,
            task=own.task or name,
            task_version=declared.task_version,
            grader=own.grader,
            file=own.file,
            data=own.data,
            fields=own.fields,
            prompt=own.prompt or declared.prompt or PROBLEM,
            system_prompt=own.system_prompt or declared.system_prompt,
            examples=own.examples or declared.examples,
            max_new_tokens=own.max_new_tokens or declared.max_new_tokens or DEFAULT_LENGTH,
            stop=declared.stop if own.stop is None else own.stop,
            shipped=shipped,
            stop_repeats=own.stop_repeats or declared.stop_repeats,
        )

    benchmarks = tuple(completed(name, own) for name, own in declared.benchmarks.items())
    return Suite(declared.name, benchmarks)
