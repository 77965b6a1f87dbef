"""Plain tables of outcomes, as CSV or as JSON lines: system, benchmark, item, correct, and a few more.

`group` names items that belong together, `draw` counts the samples of one item from 0, `text` is what was
asked. `correct` is 0 or 1, true or false, or a part of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError
from lrbench.results.foreign.files import read_table, sha256_of
from lrbench.results.foreign.outcomes import Gathering, Measured, Origin, Outcome, name_at, shown, text_hash
from lrbench.results.foreign.reader import Glimpse, NoSuchMetricError

NEEDED = ("system", "benchmark", "item", "correct")
OPTIONAL = ("group", "draw", "text")
_MOST_DIGITS = 9
_WORDS = {"true": 1.0, "false": 0.0}


class Tables:
    """The reader of plain tables."""

    kind = "table"
    files = f"CSV or JSON lines with {', '.join(NEEDED)}"

    def knows(self, glimpse: Glimpse) -> bool:
        """A CSV file by its name, JSON lines by their fields."""
        return _is_csv(glimpse.path) or set(NEEDED) <= glimpse.first.keys()

    def read(self, path: Path, metric: str | None) -> list[Measured]:
        """Systems on benchmarks. See `Reader.read`; there is one metric, `correct`."""
        if metric not in (None, "correct"):
            known = "a table has `correct` alone"
            raise NoSuchMetricError(f"{path}: has no metric {shown(metric or '')}; {known}")
        gathering, unread = Gathering(path), dict[str, None]()
        for number, line in _csv(path) if _is_csv(path) else _objects(path):
            place = f"{path}:{number}"
            missing = [name for name in NEEDED if name not in line]
            if missing:
                raise DataError(
                    f"{place}: has no {', '.join(map(shown, missing))}; needed are {', '.join(NEEDED)}"
                )
            unread |= dict.fromkeys(name for name in line if name not in (*NEEDED, *OPTIONAL))
            system, benchmark = (name_at(place, name, line[name]) for name in ("system", "benchmark"))
            gathering.add(place, system, benchmark, _outcome(place, line))
        remarks = (f"{path.name}: not read: {', '.join(map(shown, unread))}",) if unread else ()
        digest = sha256_of(path)

        def origin(_system: str, benchmark: str) -> Origin:
            protocol = {"harness": None, "harness_version": None, "task": benchmark}
            return Origin(self.kind, path, digest, protocol, "correct", remarks=remarks)

        return gathering.measured(origin)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines of a CSV file; what is empty and may be is left out."""
    for number, line in read_table(path):
        yield number, {name: value for name, value in line.items() if value.strip() or name not in OPTIONAL}


def _objects(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in read_json_lines(path):
        if not isinstance(line, dict):
            raise DataError(f"{path}:{number}: is no JSON object; needed are {', '.join(NEEDED)}")
        yield number, {name: value for name, value in line.items() if value is not None or name in NEEDED}


def _outcome(place: str, line: Mapping[str, Any]) -> Outcome:
    text = line.get("text")
    if text is not None and not isinstance(text, str):
        raise DataError(f"{place}: `text` is not text")
    return Outcome(
        item=name_at(place, "item", line["item"]),
        value=_correct(place, line["correct"]),
        draw=_draw(place, line.get("draw", 0)),
        group=name_at(place, "group", line["group"]) if "group" in line else None,
        text=None if text is None else text_hash(text),
    )


def _correct(place: str, value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _WORDS:
            return _WORDS[word]
        try:
            return float(word)
        except ValueError:
            pass
    raise DataError(f"{place}: `correct` is {shown(str(value))}, allowed is 0 (wrong) to 1 (right)")


def _draw(place: str, value: object) -> int:
    text = str(value).strip()
    whole = isinstance(value, int | str) and not isinstance(value, bool)
    if whole and text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS:
        return int(text)
    raise DataError(f"{place}: `draw` is {shown(text)}, allowed is a whole number from 0")
