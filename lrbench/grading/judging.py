"""Judging one completion, or many."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lrbench.grading.answers import exact_answer
from lrbench.grading.choices import exact_choice
from lrbench.grading.equality import paper_equal
from lrbench.grading.exact import exact_equal
from lrbench.grading.extraction import answer_too_long, gold_forms, paper_prediction
from lrbench.grading.pool import Question, shared_pool
from lrbench.grading.protocol import (
    CHOICE_BENCHMARK,
    EMBEDDED,
    STOP_STRINGS,
    check_benchmark,
    cut_at_stop_strings,
)
from lrbench.grading.verdict import Reason, Verdict
from lrbench.grading.worker import Kind, Outcome

WORKERS = 2
"""How many worker processes compare formulas at the same time, unless more are asked for."""

_BOXED_INTEGER = re.compile(r"\s*([+-]?\d{1,40})\s*")
_GOLD_LETTER = re.compile(r"[\s(]*(?:\\text\s*\{)?[\s(]*([A-E])[\s)}]*")
_FAILURES = {Outcome.TIMED_OUT: Reason.TIMED_OUT, Outcome.OUT_OF_MEMORY: Reason.OUT_OF_MEMORY}


def grade(
    *,
    benchmark: str,
    completion: str,
    gold: str,
    stop: tuple[str, ...] = STOP_STRINGS,
    truncated: bool = False,
    problem: str | None = None,
) -> Verdict:
    """Judge `completion`, a model's raw output, against `gold`, the data set's answer as it is given.

    `benchmark` is one of the seven of the paper or a family of the embedded pair. `stop` are the strings
    that end a completion. `truncated` says that the model was cut at its token limit, which is then the
    reason where the answer is not right. `problem` lets the exact verdict recognise a choice by its text.
    Takes 8 s of processor time at most, may be called from any thread, and depends neither on what was graded
    before nor on how busy the machine is. Raises UserError for an unknown benchmark.
    """
    check_benchmark(benchmark)
    text = cut_at_stop_strings(completion, stop)
    if benchmark in EMBEDDED:
        verdict = boxed_integer_verdict(text, gold)
    else:
        verdict = _verdict(benchmark, text, gold, problem)
    return verdict.cut_short if truncated else verdict


def grade_many(items: Iterable[Mapping[str, Any]], *, workers: int = WORKERS) -> Iterator[Verdict]:
    """The verdicts on `items`, each the arguments of `grade`, in their order, as they become known.

    Takes items as it goes, so that memory does not grow with their number.
    """
    shared_pool(workers)
    waiting: deque[Future[Verdict]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="grading") as threads:
        try:
            for item in items:
                waiting.append(threads.submit(grade, **item))
                if len(waiting) >= 16 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def boxed_integer_verdict(text: str, gold: str) -> Verdict:
    """Both verdicts on the integer in the last box of `text`, held against the integer `gold`."""
    _, box, tail = text.rpartition("\\boxed{")
    content, closing, _ = tail.partition("}")
    if not box or not closing:
        return Verdict(None, correct=False, exact=False, reason=Reason.NO_ANSWER)
    found = _BOXED_INTEGER.fullmatch(content)
    right = found is not None and int(found.group(1)) == int(gold)
    return Verdict(content.strip(), right, right, Reason.CORRECT if right else Reason.NOT_EQUIVALENT)


class _AlgebraNeededError(Exception):
    """A comparison cannot be decided without computer algebra."""


def _no_algebra(answer: str, gold: str, *, proportional: bool = False) -> bool:  # noqa: ARG001
    raise _AlgebraNeededError


def _verdict(benchmark: str, text: str, gold: str, problem: str | None) -> Verdict:
    if benchmark != CHOICE_BENCHMARK and answer_too_long(text):
        return Verdict(None, correct=False, exact=False, reason=Reason.TOO_LONG)
    prediction = paper_prediction(benchmark, text, gold)
    letter = _GOLD_LETTER.fullmatch(gold)
    answer = exact_choice(text, problem) if letter else exact_answer(text)
    decided: dict[Kind, bool] = {}
    failures: list[Reason] = []
    questions: list[Question] = []
    paper_gold = gold_forms(benchmark, gold)[1]
    try:
        decided[Kind.PAPER] = paper_equal(prediction, paper_gold, _no_algebra)
    except _AlgebraNeededError:
        questions.append((Kind.PAPER, prediction or "", paper_gold))
    if letter or answer is None:
        decided[Kind.EXACT] = letter is not None and answer == letter.group(1)
    else:
        try:
            decided[Kind.EXACT] = exact_equal(answer, gold, _no_algebra)
        except _AlgebraNeededError:
            questions.append((Kind.EXACT, answer, gold))
    if questions:
        outcomes = shared_pool(WORKERS).ask(questions)
        for (kind, _, _), outcome in zip(questions, outcomes, strict=True):
            decided[kind] = outcome is Outcome.YES
            if outcome in _FAILURES:
                failures.append(_FAILURES[outcome])
    correct, exact = decided[Kind.PAPER], decided[Kind.EXACT]
    return Verdict(prediction, correct, exact, _reason(correct, exact, failures, bool(prediction or answer)))


def _reason(correct: bool, exact: bool, failures: list[Reason], found: bool) -> Reason:
    if correct and exact:
        return Reason.CORRECT
    if failures:
        return failures[0]
    if correct:
        return Reason.CORRECT_IN_PAPER_ONLY
    if exact:
        return Reason.CORRECT_IN_EXACT_ONLY
    return Reason.NOT_EQUIVALENT if found else Reason.NO_ANSWER
