"""Training problems: what a model is asked, and, apart from it, what the right answer is.

The `greedy` source reads problem texts alone; answers and solutions are separate values, hashed
separately, so that no label can reach an arm that claims to use none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.embedded import assets
from lrbench.errors import DataError
from lrbench.recipe.references import EMBEDDED, Origin, local_path, origin_of_problems
from lrbench.recipe.schema import Data
from lrbench.store.keys import stable_hash


@dataclass(frozen=True)
class Problems:
    """Parallel lists over problems; `answers` and `solutions` hold None where the set has none.

    Answers are checked as those of `benchmark` are.
    """

    benchmark: str
    ids: list[str]
    texts: list[str]
    answers: list[str | None]
    solutions: list[str | None]

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


def load_problems(data: Data) -> Problems:
    """The first `data.problems` problems of the set that `data.train` names.

    Raises `DataError` when the set is missing, malformed (with its line number) or too small.
    """
    if origin_of_problems(data.train) is Origin.EMBEDDED:
        family = data.train.removeprefix(EMBEDDED)
        rows: list[Mapping[str, Any]] = list(assets.problems(family, "train"))
    else:
        family = "math"
        rows = _read_jsonl(local_path(data.train))
    if len(rows) < data.problems:
        raise DataError(
            f"{data.train}: has {len(rows)} problems, data.problems asks for {data.problems}; "
            f"set data.problems to {len(rows)} or fewer"
        )
    rows = rows[: data.problems]
    return Problems(
        benchmark=family,
        ids=[str(row["id"]) for row in rows],
        texts=[row["problem"] for row in rows],
        answers=[row.get("answer") for row in rows],
        solutions=[row.get("solution") for row in rows],
    )


def _read_jsonl(path: Path) -> list[Mapping[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    rows = [_read_line(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row["id"] in seen:
            raise DataError(f"{path}: id {row['id']!r} of problem {number} repeats problem {seen[row['id']]}")
        seen[row["id"]] = number
    return rows


def _read_line(path: Path, number: int, line: str) -> Mapping[str, Any]:
    where = f"{path}:{number}"
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.colno}: is not valid JSON ({error.msg})") from error
    if not isinstance(row, dict) or not isinstance(row.get("problem"), str) or not row["problem"].strip():
        raise DataError(f'{where}: each line must be an object with a non-empty string "problem"')
    for field in ("answer", "solution"):
        if row.get(field) is not None and not isinstance(row[field], str):
            raise DataError(f'{where}: "{field}" must be a string, found {json.dumps(row[field])[:40]}')
    return {"id": f"line-{number}", **row}
