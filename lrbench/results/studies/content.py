"""What a study says, before it is put into Markdown, LaTeX, CSV or the terminal. Text is not escaped yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lrbench.recipe.study import LoadedEdition
from lrbench.results.rendering.sheet import Table
from lrbench.results.studies.figures import Figure

Number = float | int | str | bool | None


@dataclass(frozen=True)
class Passage:
    """Longer texts that belong together, by what they are: a problem, its answer, completions."""

    title: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Judged:
    """Claims judged together: per claim its verdict and, in further lines, what that rests on."""

    title: str
    claims: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Missing:
    """Something declared that the ledger does not hold, and the command that measures it."""

    what: str
    command: str


@dataclass(frozen=True)
class Report:
    """A study's edition as the ledger has it.

    `rows` are the numbers behind the tables, one mapping per line of the CSV file, all with the same names.
    `figures` go by the name of their files.
    """

    edition: LoadedEdition
    tables: tuple[Table, ...]
    rows: tuple[Mapping[str, Number], ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    claims: tuple[Judged, ...] = ()
    passages: tuple[Passage, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
