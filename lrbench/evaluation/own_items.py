"""Items of a file of the user's own, and worked examples from one; every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrbench.data.faults import all_faults
from lrbench.data.rules import Row
from lrbench.data.tables import read_table
from lrbench.errors import DataError
from lrbench.grading.choices import lettered
from lrbench.grading.protocol import MOST_LETTERS
from lrbench.recipe.messages import excerpt, found
from lrbench.recipe.references import local_path
from lrbench.recipe.rows import rows_with_ids, text_in, value_in
from lrbench.suites.declaration import ExamplesDeclaration, FieldNames
from lrbench.suites.grader import Grader
from lrbench.suites.suite import Benchmark


def own_rows(benchmark: Benchmark) -> tuple[Row, ...]:
    """The rows of the benchmark's file, in order.

    An item without an id is called by its row's number. Raises `DataError` for a file that cannot be read or
    is empty, and, for all rows at once, for a field that is missing or of another kind, for an id that stands
    twice, and for a gold answer that the benchmark's grader cannot read.
    """
    path = local_path(benchmark.file or "")
    rows: list[Row] = []
    with all_faults() as faults:
        for place, row_id, raw in rows_with_ids([path], benchmark.fields.id, faults):
            with faults.noted():
                rows.append(_row(place, row_id, raw, benchmark.fields, benchmark.grader))
    if not rows:
        raise DataError(f"{path}: has no items; each row needs a `{benchmark.fields.problem}`")
    return tuple(rows)


def own_examples(declared: ExamplesDeclaration) -> list[tuple[str, str]]:
    """The first worked examples of a file, as (problem, answer). Raises `DataError` where it has too few."""
    path = local_path(declared.file or "")
    examples: list[tuple[str, str]] = []
    for place, raw in read_table(path):
        problem = text_in(place, raw, declared.fields.problem)
        examples.append((problem, text_in(place, raw, declared.fields.answer)))
        if len(examples) == declared.count:
            return examples
    raise DataError(f"{path}: has {len(examples)} worked examples, and {declared.count} are asked for")


def _row(place: str, row_id: str, raw: Mapping[str, Any], fields: FieldNames, grader: Grader) -> Row:
    problem = text_in(place, raw, fields.problem)
    if fields.choices is None:
        answer = text_in(place, raw, fields.answer, empty=True)
    else:
        choices = _choices(place, raw, fields.choices)
        answer = _letter(place, value_in(place, raw, fields.answer), choices)
        problem = lettered(problem, choices)
    unreadable = grader.unreadable(answer, problem)
    if unreadable is not None:
        raise DataError(
            f"{place}: the gold answer `{fields.answer}` is {found(answer)}, which {unreadable}; the grader "
            f"`{grader.word}` cannot hold anything against it"
        )
    row = Row(id=row_id, problem=problem, answer=answer, solution=None)
    if fields.group is not None:
        row["group"] = text_in(place, raw, fields.group)
    return row


def _choices(place: str, raw: Mapping[str, Any], name: str) -> list[str]:
    value = value_in(place, raw, name)
    if not isinstance(value, list) or not 2 <= len(value) <= len(MOST_LETTERS):
        raise DataError(
            f"{place}: `{excerpt(name)}` has to be a list of 2 to {len(MOST_LETTERS)} choices, found "
            f"{f'a list of {len(value)}' if isinstance(value, list) else found(value)}"
        )
    named = {f"{name}.{number}": choice for number, choice in enumerate(value)}
    texts = [text_in(place, named, each).strip() for each in named]
    for number, text in enumerate(texts):
        if text in texts[:number]:
            raise DataError(f"{place}: `{excerpt(name)}` has the choice {found(text)} twice")
    return texts


def _letter(place: str, answer: Any, choices: list[str]) -> str:
    """The letter of the choice that a gold answer means: by its letter, its text, or its number from 0."""
    letters = MOST_LETTERS[: len(choices)]
    if isinstance(answer, int) and not isinstance(answer, bool):
        if 0 <= answer < len(choices) and str(answer) not in choices:
            return letters[answer]
        if str(answer) in choices and not 0 <= answer < len(choices):
            return letters[choices.index(str(answer))]
        meant = "may be a choice's number or its text" if str(answer) in choices else "is none of the choices"
        raise DataError(
            f"{place}: the gold answer {answer} {meant}, of which there are {len(choices)}; write its letter"
        )
    text = answer.strip() if isinstance(answer, str) else answer
    by_letter = letters.find(text) if isinstance(text, str) and len(text) == 1 else -1
    by_text = choices.index(text) if text in choices else -1
    if by_letter >= 0 and by_text >= 0 and by_letter != by_text:
        raise DataError(
            f"{place}: the gold answer {found(text)} is one choice's letter and another one's text"
        )
    if max(by_letter, by_text) < 0:
        raise DataError(f"{place}: the gold answer is {found(answer)}, which is none of the choices")
    return letters[max(by_letter, by_text)]
