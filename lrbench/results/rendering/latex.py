"""The leaderboard in LaTeX: booktabs tables that compile whatever names and model output hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrbench.results.board import Board
from lrbench.results.rendering.layout import Scores
from lrbench.results.rendering.sections import Section, sheets_of
from lrbench.results.rendering.sheet import Best, BestOfRuns, Strong, Table
from lrbench.results.text import plain
from lrbench.results.wording import LEGEND, NOTHING, pool_text

PREAMBLE = (
    r"% Needs \usepackage{booktabs}, \usepackage{graphicx} and \usepackage[T1]{fontenc}; "
    "letters beyond ASCII want LuaLaTeX."
)
LONGEST = 4000
# As wide as it is, or as the text where it would stand out.
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    # Two of these in a row, or one before a bracket, would be read as more than themselves.
    "-": r"{-}",
    "[": r"{[}",
    "]": r"{]}",
    "*": r"{*}",
    "…": r"\ldots{}",
}


def latex(text: str, longest: int = 200) -> str:
    """`text` for a LaTeX table cell: no command, no maths, no cell or line border."""
    return "".join(_SPECIAL.get(character, character) for character in plain(text, longest))


def latex_table(table: Table, where: str = "") -> str:
    """A booktabs table, its title behind `where` it is from; an empty line is a rule between groups.

    The first columns are left-aligned, the others right.
    """
    title = f"{where}: {table.title}" if where else table.title
    note = f" ({table.note})" if table.note else ""
    lines = [
        " " + " & ".join(map(_cell, cells)) + r" \\" if cells else r" \midrule"
        for cells in (table.header, (), *table.lines)
    ]
    columns = "l" * table.names + "r" * (len(table.header) - table.names)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{latex(title + note, LONGEST)}}}",
            _FITTED,
            rf"\begin{{tabular}}{{{columns}}}",
            r" \toprule",
            *lines,
            r" \bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    )


def paragraph(text: str) -> str:
    """A paragraph of its own."""
    return rf"\noindent {latex(text.strip(), LONGEST)}\par"


def boards_to_latex(boards: Sequence[Board]) -> str:
    """The boards as booktabs tables: accuracies and costs, then the differences from each baseline.

    Last what the paper reports for the experts.
    """
    if not boards:
        return f"% {NOTHING}\n"
    parts = [PREAMBLE]
    for sheet in sheets_of(boards):
        for section in sheet.sections:
            parts += _section(section, f"{sheet.board.suite}, protocol {sheet.protocol}")
        parts += map(latex_table, sheet.reported)
        parts += map(paragraph, sheet.notes)
    parts += map(paragraph, LEGEND)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, board: str) -> Iterator[str]:
    where = f"{board}, {section.expert}, recipe {section.first.recipe}"
    runs, means = section.runs(), section.means()
    yield latex_table(runs.accuracies("Accuracy in percent"), where)
    yield from (latex_table(table, where) for table in section.beside())
    yield from _differences(runs, where)
    if means is not None:
        yield latex_table(means.accuracies("Training like this, means over seeds in percent"), where)
        yield from _differences(means, where)
        yield paragraph(pool_text(section.board, section.rows))
    yield from map(paragraph, (*section.noise, *section.chosen))


def _differences(scores: Scores, where: str) -> Iterator[str]:
    return (latex_table(table, where) for _, table in scores.differences())


def _cell(cell: str) -> str:
    text = latex(cell, LONGEST)
    if isinstance(cell, Best):
        mark = "$^{(*)}$" if isinstance(cell, BestOfRuns) else "$^*$"
        return rf"\textbf{{{text}}}{mark}"
    return rf"\textbf{{{text}}}" if isinstance(cell, Strong) and cell else text
