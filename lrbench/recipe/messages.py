"""How a problem in a recipe is worded: where it is, what was found, what is allowed, what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrbench.errors import RecipeError

Path = tuple[str | int, ...]

LONGEST_EXCERPT = 60
OVERRIDE = "override "


@dataclass(frozen=True)
class Position:
    """A place in what the user wrote, lines and columns counted from 1.

    An override has no line; a file that cannot be read has neither line nor column.
    """

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number is not None]
        return ":".join([printable(self.source), *numbers])


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or (as a warning) one setting without effect, at one place."""

    position: Position
    path: Path
    message: str

    def __str__(self) -> str:
        field = f"{dotted(self.path)}: " if self.path else ""
        return f"{self.position}: {field}{self.message}"


def recipe_error(problems: Sequence[Problem], source: str) -> RecipeError:
    """The error that lists every problem: those of `source` first, then other files and overrides."""
    lines = [str(problem) for problem in in_reading_order(problems, source)]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return RecipeError("\n".join([*lines, f"{count}; nothing was run."]))


def in_reading_order(problems: Iterable[Problem], source: str) -> list[Problem]:
    """Problems as a reader meets them, each once: by file (`source` first), line and column."""

    def order(problem: Problem) -> tuple[bool, bool, str, int, int]:
        at = problem.position
        return at.source.startswith(OVERRIDE), at.source != source, at.source, at.line or 0, at.column or 0

    return sorted(dict.fromkeys(problems), key=order)


def dotted(path: Path) -> str:
    """`("arms", 1, "name")` as `arms.1.name`, the way overrides write it."""
    return ".".join(excerpt(str(part)) or "''" for part in path)


def printable(text: str) -> str:
    """`text` with everything escaped that could move a terminal's cursor or hide in it."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def excerpt(text: str) -> str:
    """The printable beginning of something a user wrote."""
    shown = printable(text[:LONGEST_EXCERPT])
    return shown if len(text) <= LONGEST_EXCERPT else shown + "..."


def found(value: object) -> str:
    """A value the way a message shows it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if value != value:
            return ".nan"
        case float() if value in (float("inf"), float("-inf")):
            return ".inf" if value > 0 else "-.inf"
        case int() | float():
            return excerpt(str(value))
        case str():
            return f'the text "{excerpt(value)}"'
        case dict():
            return "a mapping" if value else "an empty mapping"
        case _:
            return "a list" if value else "an empty list"


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """`; did you mean ...?` where a valid name is near enough, otherwise nothing."""
    suggestion = nearest(name, valid)
    return f"; did you mean `{suggestion}`?" if suggestion is not None else ""


def nearest(name: str, valid: Iterable[str], edits: int | None = None) -> str | None:
    """The valid name that `name` was most likely meant to be, or None where none is near.

    Near is one edit, or one edit for every three letters of the valid name, unless `edits` says how
    many. Letter case and the choice between `-` and `_` are not counted.
    """

    def folded(text: str) -> str:
        return re.sub("[- ]", "_", text.casefold())

    best: tuple[int, str] | None = None
    for candidate in valid:
        allowed = max(1, len(candidate) // 3) if edits is None else edits
        if abs(len(candidate) - len(name)) > allowed:
            continue
        distance = edit_distance(folded(name), folded(candidate))
        if distance <= allowed and (best is None or distance < best[0]):
            best = distance, candidate
    return best[1] if best else None


def edit_distance(first: str, second: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that turn `first` into `second`.

    The optimal string alignment distance (Damerau 1964); no place is edited twice.
    """
    before_last: list[int] = []
    last = list(range(len(second) + 1))
    for i, letter in enumerate(first):
        row = [i + 1]
        for j, other in enumerate(second):
            cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != other))
            if i and j and letter == second[j - 1] and first[i - 1] == other:
                cost = min(cost, before_last[j - 1] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]
