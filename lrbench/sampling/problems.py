"""Training problems: what a model is asked, and, apart from it, what the right answer is.

The `greedy` source reads problem texts alone; answers and solutions are separate values, hashed
separately, so that no label can reach an arm that claims to use none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lrbench.data.access import open_set
from lrbench.data.json_lines import read_json_lines
from lrbench.data.sets import TRAINING_SETS
from lrbench.embedded import assets
from lrbench.errors import DataError, TooFewProblemsError
from lrbench.recipe.messages import excerpt, found
from lrbench.recipe.references import EMBEDDED, Origin, local_path, origin_of_problems
from lrbench.recipe.schema import Data
from lrbench.store.keys import stable_hash


@dataclass(frozen=True)
class Problems:
    """Parallel lists over problems; `answers` and `solutions` hold None where the set has none.

    Answers are checked as those of `benchmark` are. `source` is what a recipe calls the set.
    """

    benchmark: str
    ids: list[str]
    texts: list[str]
    answers: list[str | None]
    solutions: list[str | None]
    source: str = ""

    def labels(self, field: str) -> list[str | None]:
        """What the problems have in `answer` or `solution`."""
        return {"answer": self.answers, "solution": self.solutions}[field]

    def place(self, index: int) -> str:
        """Where a user finds problem `index`: file and line, or set and id."""
        wanted = self.ids[index]
        if self.source and origin_of_problems(self.source) is Origin.LOCAL:
            path = local_path(self.source)
            for number, row in read_json_lines(path):
                if str(row.get("id", f"line-{number}")) == wanted:
                    return f"{path}:{number}"
        return f"{self.source}: problem {wanted}"

    @property
    def texts_hash(self) -> str:
        """Identity of what is asked: ids and texts, no labels."""
        return stable_hash([self.ids, self.texts])

    @property
    def answers_hash(self) -> str:
        """Identity of the gold answers."""
        return stable_hash(self.answers)

    @property
    def solutions_hash(self) -> str:
        """Identity of the reference solutions."""
        return stable_hash(self.solutions)


def load_problems(data: Data, data_root: str | None = None) -> Problems:
    """The `data.problems` problems, in file order, that `data` selects from the set that it names.

    `data_root` is the folder of the public data sets, None for the usual places. Raises `DataError` when
    the set is missing, malformed (with its line number) or too small.
    """
    return _selected(data, data_root, 0, data.problems)


def load_held_out(data: Data, data_root: str | None = None) -> Problems:
    """The `data.held_out` problems, in file order, that `data` would select next: none is learnt from.

    Raises `DataError` as `load_problems` does, and when one of them has no solution to measure by.
    """
    held_out = _selected(data, data_root, data.problems, data.problems + data.held_out)
    for problem_id, solution in zip(held_out.ids, held_out.solutions, strict=True):
        if not solution:
            raise DataError(
                f'{data.train}: the held-out problem {problem_id} has no "solution", whose perplexity is '
                "measured; add one, or set data.held_out to 0"
            )
    return held_out


def check_size(data: Data, rows: int) -> None:
    """Raise `DataError` unless a set of so many rows has the problems that `data` selects and holds out."""
    if rows < data.problems:
        raise TooFewProblemsError(
            ("data", "problems"),
            data.problems,
            f"{data.train} has {rows} problems, and {data.problems} are asked for; set it to {rows} or fewer",
        )
    if rows < data.problems + data.held_out:
        raise TooFewProblemsError(
            ("data", "held_out"),
            data.held_out,
            f"{data.train} has {rows} problems, of which data.problems takes {data.problems}, and "
            f"{data.held_out} more are asked for; set it to {rows - data.problems} or fewer",
        )


def _selected(data: Data, data_root: str | None, start: int, stop: int) -> Problems:
    """Those that come `start`th to `stop`th in the order in which `data` selects."""
    benchmark, rows = _all_rows(data.train, data_root)
    if not rows:
        raise DataError(f'{data.train}: has no problems; each line must be an object with a "problem"')
    check_size(data, len(rows))
    order = _lots(rows, data.seed) if data.selection == "sample" else list(range(len(rows)))
    chosen = [rows[index] for index in sorted(order[start:stop])]
    return Problems(
        benchmark=benchmark,
        ids=[row["id"] for row in chosen],
        texts=[row["problem"] for row in chosen],
        # Two golds of MATH are empty; nothing can be checked against them.
        answers=[row.get("answer") or None for row in chosen],
        solutions=[row.get("solution") for row in chosen],
        source=data.train,
    )


def _all_rows(train: str, data_root: str | None) -> tuple[str, list[Mapping[str, Any]]]:
    """Every row of the set that `train` names, and the benchmark whose rules its answers are checked by."""
    match origin_of_problems(train):
        case Origin.EMBEDDED:
            family = train.removeprefix(EMBEDDED)
            return family, _embedded(family)
        case Origin.PUBLIC:
            data_set = TRAINING_SETS[train]
            return data_set.benchmark, list(open_set(data_set, data_root))
        case _:
            return "math", _read_jsonl(local_path(train))


@lru_cache
def _embedded(family: str) -> list[Mapping[str, Any]]:
    return list(assets.problems(family, "train"))


def _lots(rows: list[Mapping[str, Any]], seed: int) -> list[int]:
    """Indices of all rows in an order drawn with `seed`; that of any two depends on their ids alone."""

    def lot(index: int) -> bytes:
        return hashlib.sha256(f"{seed}/{rows[index]['id']}".encode()).digest()

    return sorted(range(len(rows)), key=lot)


def _read_jsonl(path: Path) -> list[Mapping[str, Any]]:
    rows = []
    lines: dict[str, int] = {}
    for number, value in read_json_lines(path):
        row = _checked(path, number, value)
        first = lines.setdefault(row["id"], number)
        if first != number:
            raise DataError(f"{path}:{number}: the id {excerpt(row['id'])} is that of line {first} already")
        rows.append(row)
    return rows


def _checked(path: Path, number: int, row: Any) -> Mapping[str, Any]:
    where = f"{path}:{number}"
    if not isinstance(row, dict) or not isinstance(row.get("problem"), str) or not row["problem"].strip():
        raise DataError(f'{where}: each line must be an object with a non-empty string "problem"')
    problem_id = row.get("id", f"line-{number}")
    if isinstance(problem_id, bool) or not isinstance(problem_id, str | int) or problem_id == "":
        raise DataError(f'{where}: "id" must be a string or a whole number, found {found(problem_id)}')
    for field in ("answer", "solution"):
        if row.get(field) is not None and not isinstance(row[field], str):
            raise DataError(f'{where}: "{field}" must be a string, found {found(row[field])}')
    # A number and its digits are one id: results are kept by its text.
    return {**row, "id": str(problem_id)}
