"""The rows of one source of training problems, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lrbench.data.access import is_here, open_set
from lrbench.data.faults import Faults, all_faults
from lrbench.data.hub import AbsentHubDataError, hub_files
from lrbench.data.json_lines import read_json_lines
from lrbench.data.sets import TRAINING_SETS
from lrbench.embedded import assets
from lrbench.errors import DataError
from lrbench.recipe.messages import excerpt, found
from lrbench.recipe.references import EMBEDDED, local_path
from lrbench.recipe.rows import ID, rows_with_ids, text_in
from lrbench.recipe.training_sources import (
    TRAIN_SPLIT,
    ProblemNames,
    TrainingSource,
    as_source,
    is_plain_file,
)

# Answers of one's own problems are checked as those of this benchmark are.
OWN_BENCHMARK = "math"
LABELS = ("answer", "solution")


@dataclass(frozen=True)
class ProblemRow:
    """A training problem, its labels where it has them, and where a user finds it."""

    id: str
    text: str
    answer: str | None
    solution: str | None
    place: str


@dataclass(frozen=True)
class SourceRows:
    """Every problem of a source, in order; answers are checked as those of `benchmark` are."""

    name: str
    benchmark: str
    rows: list[ProblemRow]


def read_source(written: str | TrainingSource, data_root: str | None, fetch: bool = True) -> SourceRows:
    """Every problem of a source, as a recipe writes it. Data of the hub come from its cache unless `fetch`.

    Raises `DataError` when the set is missing, malformed (all that is, with its places) or empty.
    """
    source = as_source(written) if isinstance(written, str) else written
    name = written if isinstance(written, str) else source.name
    if source.data is not None:
        benchmark, rows = _known(source.data, data_root)
        return SourceRows(name, benchmark, rows)
    with all_faults() as faults:
        if is_plain_file(written):
            needs = 'line must be an object with a "problem"'
            rows = list(_plain(local_path(name), faults))
        else:
            needs = f"row needs a `{source.fields.problem}`"
            rows = list(_of_table(_files(source, fetch), source.fields, faults))
    if not rows:
        raise DataError(f"{name}: has no problems; each {needs}")
    return SourceRows(name, OWN_BENCHMARK, rows)


def is_absent(written: str | TrainingSource, data_root: str | None) -> bool:
    """Whether a source is one that a run would fetch first."""
    source = as_source(written) if isinstance(written, str) else written
    if source.hub is not None:
        try:
            _files(source, fetch=False)
        except AbsentHubDataError:
            return True
        return False
    return source.data in TRAINING_SETS and not is_here(TRAINING_SETS[source.data or ""], data_root)


def _known(name: str, data_root: str | None) -> tuple[str, list[ProblemRow]]:
    if name.startswith(EMBEDDED):
        family = name.removeprefix(EMBEDDED)
        return family, _named(name, _embedded(family))
    data_set = TRAINING_SETS[name]
    return data_set.benchmark, _named(name, open_set(data_set, data_root))


def _named(name: str, rows: Iterable[Mapping[str, Any]]) -> list[ProblemRow]:
    return [
        # Two golds of MATH are empty; nothing can be checked against them.
        ProblemRow(
            row["id"], row["problem"], row["answer"] or None, row["solution"], f"{name}: problem {row['id']}"
        )
        for row in rows
    ]


@lru_cache
def _embedded(family: str) -> list[Mapping[str, Any]]:
    return list(assets.problems(family, "train"))


def _files(source: TrainingSource, fetch: bool) -> tuple[Path, ...]:
    if source.hub is None:
        return (local_path(source.file or ""),)
    return hub_files(source.hub, source.split or TRAIN_SPLIT, source.config, fetch).paths


def _of_table(paths: Sequence[Path], names: ProblemNames, faults: Faults) -> Iterator[ProblemRow]:
    for place, row_id, raw in rows_with_ids(paths, names.id, faults):
        with faults.noted():
            yield _row(place, row_id, raw, names)


def _row(place: str, row_id: str, raw: Mapping[str, Any], names: ProblemNames) -> ProblemRow:
    answer, solution = (_label(place, raw, getattr(names, label), label) for label in LABELS)
    return ProblemRow(row_id, text_in(place, raw, names.problem), answer, solution, place)


def _label(place: str, raw: Mapping[str, Any], written: str | None, usual: str) -> str | None:
    """An answer or a solution; None where a row has none. A field that a recipe names has to be there."""
    name = written or usual
    if raw.get(name) is None and (written is None or written in raw):
        return None
    return text_in(place, raw, name, empty=True) or None


def _plain(path: Path, faults: Faults) -> Iterator[ProblemRow]:
    lines: dict[str, int] = {}
    for number, value in read_json_lines(path, faults=faults):
        with faults.noted():
            row = _checked(path, number, value)
            first = lines.setdefault(row.id, number)
            if first != number:
                raise DataError(f"{path}:{number}: the id {excerpt(row.id)} is that of line {first} already")
            yield row


def _checked(path: Path, number: int, row: Any) -> ProblemRow:
    where = f"{path}:{number}"
    if not isinstance(row, dict) or not isinstance(row.get("problem"), str) or not row["problem"].strip():
        raise DataError(f'{where}: each line must be an object with a non-empty string "problem"')
    problem_id = row.get(ID, f"line-{number}")
    if isinstance(problem_id, bool) or not isinstance(problem_id, str | int) or problem_id == "":
        raise DataError(f'{where}: "id" must be a string or a whole number, found {found(problem_id)}')
    solution = row.get("solution")
    if solution is not None and not isinstance(solution, str):
        raise DataError(f'{where}: "solution" must be a string, found {found(solution)}')
    # A number and its digits are one id: results are kept by its text.
    return ProblemRow(str(problem_id), row["problem"], _label(where, row, None, "answer"), solution, where)
