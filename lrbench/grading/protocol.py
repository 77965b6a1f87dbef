"""The names of the benchmarks the grader knows, and the stop strings of their protocol."""

from __future__ import annotations

from lrbench.errors import UserError

CHOICE_BENCHMARK = "mmlu_stem"
"""The benchmark whose gold is always a choice letter."""

UNITS_KEPT = "minerva_math"
"""The benchmark whose answers keep their unit words, since single letters are physical quantities there."""

PUBLISHED = ("gsm8k", "math", "svamp", "asdiv", "minerva_math", "olympiadbench", "mmlu_stem")
"""The seven benchmarks of the paper."""

EMBEDDED = ("multi_step", "formal", "distractor", "one_step", "formula", "hard", "choice")
"""The families of the embedded pair: the answer is an integer in the last box."""

LONGEST = 10_000
"""An answer with more characters is not compared; whole completions of 2048 tokens are shorter than this."""

MOST_LETTERS = "ABCDEFGHIJKLMNOPQRST"
"""The letters that choices can have."""

STOP_STRINGS = ("</s>", "<|im_end|>", "<|endoftext|>")
"""Where the protocol of the seven benchmarks ends a completion."""


def check_benchmark(benchmark: str) -> None:
    """Raise UserError unless the grader knows `benchmark`."""
    if benchmark not in PUBLISHED and benchmark not in EMBEDDED:
        known = ", ".join(PUBLISHED + EMBEDDED)
        raise UserError(f"grading: there is no benchmark {benchmark!r}; use one of {known}")


def cut_at_stop_strings(completion: str, stop: tuple[str, ...] = STOP_STRINGS) -> str:
    """The completion up to the first stop string, without surrounding white space."""
    text = completion.strip()
    for mark in stop:
        text = text.split(mark, 1)[0]
    return text.strip()
