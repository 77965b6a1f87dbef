"""The leaderboard in LaTeX: booktabs tables that compile whatever names and model output hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrbench.results.board import Board
from lrbench.results.layout import (
    Script,
    accuracy_cells,
    answers_cells,
    difference_cells,
    draws_cells,
    mean_cells,
    reported_cells,
    training_cells,
    uses_cells,
)
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import Row
from lrbench.results.text import plain
from lrbench.results.wording import (
    LEGEND,
    NOTHING,
    REPORTED,
    TOOK_WITHIN,
    baselines_of,
    chosen_texts,
    draws_text,
    expert_label,
    noise_texts,
    notes_on,
    pool_text,
    reported_beside,
    sections,
    seed_means,
)

PREAMBLE = (
    r"% Needs \usepackage{booktabs}, \usepackage{graphicx} and \usepackage[T1]{fontenc}; "
    "letters beyond ASCII want LuaLaTeX."
)
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


_SCRIPT = Script(
    text=latex,
    number=latex,
    best=lambda text: rf"\textbf{{{text}}}$^*$",
    best_of_runs=lambda text: rf"\textbf{{{text}}}$^{{(*)}}$",
)


def latex_table(header: Sequence[str], lines: Sequence[Sequence[str]], caption: str) -> str:
    """A booktabs table of cells that are LaTeX already; the first column is left-aligned, the others right.

    Each line has as many cells as the header; an empty line is a rule between groups.
    """
    body = [r" \midrule" if not cells else f" {' & '.join(cells)} \\\\" for cells in lines]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{caption}}}",
            _FITTED,
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r" \toprule",
            f" {' & '.join(header)} \\\\",
            r" \midrule",
            *body,
            r" \bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    )


def boards_to_latex(boards: Sequence[Board]) -> str:
    """The boards as booktabs tables: accuracies and costs, then the differences from each baseline.

    Last what the paper reports for the experts.
    """
    if not boards:
        return f"% {NOTHING}\n"
    parts = [PREAMBLE]
    for position, board in enumerate(boards):
        for section in sections(board):
            first = section[0]
            where = (
                f"{latex(board.suite)}, protocol {board.protocol_hash[:8]}, "
                f"{latex(expert_label(first, board))}, recipe {latex(first.recipe)}"
            )
            parts.append(_accuracies(board, section, where))
            used = uses_cells(section, _SCRIPT)
            if used is not None:
                parts.append(latex_table(used.header, used.lines, f"{where}: {TOOK_WITHIN}"))
            sampled = draws_cells(board.columns, section, _SCRIPT)
            if sampled is not None:
                parts.append(latex_table(sampled.header, sampled.lines, f"{where}: {draws_text(section)}"))
            for title, cells in answers_cells(section, _SCRIPT):
                parts.append(latex_table(cells.header, cells.lines, f"{where}: {title}"))
            for baseline in baselines_of(board, section):
                parts.append(_differences(board, section, baseline, where))
            parts += _over_seeds(board, section, where)
            lines = (*noise_texts(board, section), *chosen_texts(board, section))
            parts += [rf"\noindent {latex(line, 1000)}\par" for line in lines]
        parts += [_reported(board, expert, rows) for expert, rows in reported_beside(board).items()]
        notes = list(notes_on(board, boards[0] if position else None))
        parts += [rf"\noindent {latex(note.strip(), 1000)}\par" for note in notes]
    parts += [rf"\noindent {latex(line, 1000)}\par" for line in LEGEND]
    return "\n\n".join(parts) + "\n"


def _accuracies(board: Board, section: list[Row], where: str) -> str:
    cells = accuracy_cells(board, section, _SCRIPT)
    return latex_table(cells.header, cells.lines, f"{where}: accuracy in percent")


def _differences(board: Board, section: list[Row], baseline: str, where: str) -> str:
    cells = difference_cells(board, section, baseline, _SCRIPT)
    return latex_table(
        cells.header, cells.lines, f"{where}: difference from {latex(baseline)} in points, these runs"
    )


def _over_seeds(board: Board, section: list[Row], where: str) -> Iterator[str]:
    """Means over seeds and their differences, where an arm has several."""
    means = seed_means(board, section)
    if not means:
        return
    cells = mean_cells(board, means, _SCRIPT)
    yield latex_table(cells.header, cells.lines, f"{where}: training like this, means over seeds in percent")
    for baseline in baselines_of(board, section):
        found = training_cells(board, means, baseline, _SCRIPT)
        if found is not None:
            caption = f"{where}: difference from {latex(baseline)} in points, training like this"
            yield latex_table(found.header, found.lines, caption)
    yield rf"\noindent {latex(pool_text(board, section), 1000)}\par"


def _reported(board: Board, expert: str, reported: Sequence[ReportedResult]) -> str:
    cells = reported_cells(board, reported, _SCRIPT)
    caption = f"{latex(expert)}: accuracy in percent as reported, not measured here"
    return latex_table(cells.header, cells.lines, f"{caption} ({latex(reported[0].source)}; {REPORTED})")
