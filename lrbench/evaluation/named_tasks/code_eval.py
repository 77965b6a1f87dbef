"""The metric `code_eval` of Hugging Face's evaluate, by which tasks judge programs: here in a sandbox.

Theirs is a program of the hub that runs what a model has written in the process that asks, with all that is
there. What is said of a program is the same: right is what runs to its end behind its tests, and pass@k the
unbiased estimate of Chen et al. (2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from lrbench.errors import ProgramsError
from lrbench.evaluation.named_tasks.replacing import replaced
from lrbench.evaluation.programs.running import Ended, missing_sandbox, run_program
from lrbench.suites.declaration import TasksDeclaration

NAME = "code_eval"


class CodeEval:
    """Stands in for what `evaluate.load` gives. `ended` says how the programs of the latest call ended."""

    def __init__(self) -> None:
        self.ended: tuple[Ended, ...] = ()

    def compute(
        self, *, predictions: Sequence[Sequence[str]], references: Sequence[str], k: Any = (1, 10, 100)
    ) -> tuple[dict[str, float], dict[int, list[tuple[int, dict[str, Any]]]]]:
        """pass@k over problems, and what became of every candidate of each.

        Of each problem `predictions` are its candidates, and `references` the tests that stand behind each.
        Raises `RunError` where there is no sandbox.
        """
        # Imported here: planning loads tasks and judges nothing, and this takes numpy along.
        from lrbench.evaluation.statistics import pass_at_k

        tried = [
            [run_program(f"{candidate}\n{tests}") for candidate in candidates]
            for candidates, tests in zip(predictions, references, strict=True)
        ]
        self.ended = tuple(ended for of_problem in tried for ended in of_problem)
        wanted = k if isinstance(k, list | tuple) else [k]
        shares = {
            f"pass@{most}": fmean(
                pass_at_k(of_problem.count(Ended.PASSED), len(of_problem), most) for of_problem in tried
            )
            for most in wanted
            if all(len(of_problem) >= most for of_problem in tried)
        }
        results = {
            problem: [(place, _told(problem, place, ended)) for place, ended in enumerate(of_problem)]
            for problem, of_problem in enumerate(tried)
        }
        return shares, results


def _told(problem: int, place: int, ended: Ended) -> dict[str, Any]:
    return {
        "task_id": problem,
        "completion_id": place,
        "passed": ended is Ended.PASSED,
        "result": str(ended),
    }


def code_eval_of(task: Any) -> CodeEval | None:
    """What runs programs for a loaded task: it is known to the functions that judge."""
    for function in (*task._metric_fn_list.values(), task.config.process_results):
        # A metric is kept as the `__call__` of its function.
        owner = getattr(function, "__self__", function)
        for known in (owner, *getattr(owner, "__globals__", {}).values()):
            if isinstance(known, CodeEval):
                return known
    return None


@contextmanager
def supplying_code_eval(declared: TasksDeclaration, name: str) -> Iterator[None]:
    """Give tasks that are loaded the metric from here, if the recipe allows what it does."""
    import evaluate

    real = evaluate.load

    def load(path: str, *arguments: Any, **named: Any) -> Any:
        if path != NAME:
            return real(path, *arguments, **named)
        check_programs(declared, name)
        return CodeEval()

    with replaced(evaluate, "load", load):
        yield


def check_programs(declared: TasksDeclaration, name: str) -> None:
    """Raise `ProgramsError` unless what is called `name` may run programs of a model, and can."""
    path = ("evaluation", "lm_eval", "tasks", declared.tasks.index(name))
    if not declared.allow_code:
        raise ProgramsError(
            path,
            name,
            f"`{name}` runs programs that a model writes; `evaluation.lm_eval.allow_code: true` allows that, "
            "in a sandbox",
        )
    reason = missing_sandbox()
    if reason is not None:
        raise ProgramsError(
            path,
            name,
            f"`{name}` runs programs that a model writes, and here is no sandbox for them: {reason}; leave "
            "it out, or measure on a machine that has one",
        )
