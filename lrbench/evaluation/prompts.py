"""What an item is asked as: the user's turn, with worked examples before the problem."""

from __future__ import annotations

from collections.abc import Sequence

from lrbench.data.access import open_examples
from lrbench.data.sets import MMLU_STEM_EXAMPLES
from lrbench.evaluation.own_items import own_examples
from lrbench.suites.declaration import PROBLEM
from lrbench.suites.suite import Benchmark

Examples = Sequence[tuple[str, str]]


def worked_examples(benchmark: Benchmark, data_root: str | None) -> Examples:
    """The benchmark's worked examples, as (problem, answer).

    Raises `DataError` where they are not here, or fewer than are asked for.
    """
    declared = benchmark.examples
    if declared is None:
        return []
    if declared.file is not None:
        return own_examples(declared)
    return open_examples(MMLU_STEM_EXAMPLES, data_root)[: declared.count]


def user_turn(problem: str, examples: Examples = (), prompt: str = PROBLEM) -> str:
    """The problem after its examples: each a question, a line break and its answer, blank lines between.

    Both problem and questions stand in `prompt`. This is how the Qwen2.5-Math toolkit puts examples into one
    turn of its `qwen25-math-cot` prompt.
    """

    def asked(text: str) -> str:
        return prompt.replace(PROBLEM, text)

    return "\n\n".join([*(f"{asked(question)}\n{answer}" for question, answer in examples), asked(problem)])
