"""A table before it is put into the terminal, Markdown, LaTeX or HTML. No text is escaped yet.

A cell is a text, anybody's unless it is of one of the kinds below; each format has its way of writing them.
"""

from __future__ import annotations

from dataclasses import dataclass


class Number(str):
    """A cell of our own numbers, out of which nothing has to be taken."""


class Best(Number):
    """The best of its column, separated from every other arm."""


class BestOfRuns(Best):
    """The same of these runs alone, where one seed is all there is."""


class Strong(str):
    """A cell that stands out."""


@dataclass(frozen=True)
class Table:
    """Each of `lines` has as many cells as `header`; an empty line divides groups.

    The first `names` columns say what a line is about, and all others are written to the right. The last one
    `is_wide` where it takes more room than a terminal has. `note` says more than the title does. `abouts` are
    the ids of the arms that the lines are about, where it is one each.
    """

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    names: int = 1
    is_wide: bool = False
    note: str = ""
    abouts: tuple[str, ...] = ()
