"""The leaderboard in the terminal, in which names are shown as text whatever they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.claims.point_tables import point_tables
from lrbench.results.records import RecipeRecord
from lrbench.results.rendering.layout import Scores
from lrbench.results.rendering.sections import Section, Sheet, columns_shown, sheets_of
from lrbench.results.rendering.terminal_tables import blocks, matrix, show_table
from lrbench.results.rows import Row
from lrbench.results.telling import has_words
from lrbench.results.text import plain
from lrbench.results.wording import LEGEND, LONGEST_NAME, NOTHING, expert_label, only_seed, sections

# More rows than anybody reads in a terminal, where no recipe is asked for.
MOST_ROWS = 100
LONGEST_TITLE = 1000
# Of how many recipes it is said in words what their rows show.
MOST_TOLD = 3


def show_boards(
    boards: Sequence[Board],
    console: Console,
    recipes: Iterable[RecipeRecord] = (),
    most_rows: int | None = None,
) -> None:
    """Print the boards to fit `console`, with the claims of `recipes`; plain text where it is no terminal.

    Of several records of one recipe the one counts that its name stands for. Of more than `most_rows` those
    measured last are shown, by whole recipes, and the others are named.
    """
    shown = _shown(boards, most_rows)
    if not boards:
        console.print(Text(NOTHING))
        return
    sheets = list(sheets_of(boards, recipes))
    for sheet in sheets:
        console.print(_title(sheet.board))
        for section in sheet.sections:
            if section.first.arm_id in shown:
                _show_section(section, console)
        _name_others(sheet.board, shown, console)
        console.print()
        notes = [*sheet.notes, *_without_result(sheet)]
        for note in notes:
            console.print(Text(note, style="yellow"))
        if notes:
            console.print()
    for line in LEGEND:
        console.print(Text(line, style="dim"))
    _tell(sheets, console)


def _show_section(section: Section, console: Console) -> None:
    columns = columns_shown(section.board)
    console.print()
    console.print(_section_title(section.board, section.rows))
    console.print()
    fits = _show_scores(section.runs(columns), console)
    # Where there is no room for all benchmarks, files of numbers have them.
    for table in section.beside(columns if fits else columns[:1]):
        console.print()
        console.print(Text(plain(table.title, LONGEST_TITLE), style="bold"))
        console.print()
        show_table(table, console)
    means = section.means(columns)
    if means is not None:
        console.print()
        console.print(Text(section.of_means))
        console.print()
        _show_scores(means, console)
    for line in (*section.noise, *section.chosen):
        console.print()
        console.print(Text(line))
    _show_claims(section, console)


def _show_scores(scores: Scores, console: Console) -> bool:
    """Print a matrix of arms x benchmarks where that fits, else a block per benchmark; whether it fits."""
    whole = matrix(scores, console)
    console.print(blocks(scores, console.width) if whole is None else whole)
    return whole is not None


def _shown(boards: Sequence[Board], most_rows: int | None) -> frozenset[str]:
    """The arms of the sections that are shown: those measured last, and one at least."""
    found = [section for board in boards for section in sections(board)]
    found.sort(key=lambda section: max(row.recorded_at for row in section), reverse=True)
    totals = accumulate(map(len, found))
    return frozenset(
        row.arm_id
        for place, (section, total) in enumerate(zip(found, totals, strict=True))
        if most_rows is None or not place or total <= most_rows
        for row in section
    )


def _name_others(board: Board, shown: Collection[str], console: Console) -> None:
    """A line for each section that is not shown, and how to see it."""
    others = [section for section in sections(board) if section[0].arm_id not in shown]
    if not others:
        return
    console.print()
    console.print(Text("Measured before these and not shown", style="bold"))
    console.print()
    for section in others:
        latest = max(row.recorded_at for row in section)[:10]
        line = _section_title(board, section)
        line.append(f"  {len(section)} {'result' if len(section) == 1 else 'results'}, {latest}", style="dim")
        console.print(line)
    console.print()
    console.print(Text("`lrbench results --recipe NAME` shows those of a recipe, `--all` everything."))


def _tell(sheets: Sequence[Sheet], console: Console) -> None:
    """In words what the boards show and leave open, where that is about few recipes."""
    asked = [
        section for sheet in sheets for section in sheet.sections if has_words(section.board, section.rows)
    ]
    for section in asked if len(asked) <= MOST_TOLD else ():
        words = section.words
        assert words is not None
        of_recipe = f" of {plain(section.first.recipe, LONGEST_NAME)}" if len(asked) > 1 else ""
        for title, sentences in (("What this shows", words.shown), ("What it leaves open", words.left_open)):
            if sentences:
                console.print()
                console.print(Text(f"{title}{of_recipe}", style="bold"))
                for sentence in sentences:
                    console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def _without_result(sheet: Sheet) -> Iterator[str]:
    """Of every recipe on the board, how many of the arms that it means are not."""
    shown = {row.arm_id for row in sheet.board.rows}
    declared = {section.first.recipe: section.recipe for section in sheet.sections}
    for name, recipe in declared.items():
        meant = () if recipe is None else recipe.meant_on(sheet.board.protocol_hash)
        absent = len(set(meant) - shown)
        if absent:
            yield (
                f"{absent} of the {len(meant)} arms that {plain(name, LONGEST_NAME)} means "
                f"{'has' if absent == 1 else 'have'} no result on this board"
            )


def _show_claims(section: Section, console: Console) -> None:
    """The verdicts on the recipe's claims: one table of each where they are judged at several points."""
    for line in section.unread:
        console.print()
        console.print(Text(line, style="yellow"))
    if len(section.claims) > 1:
        for table, notes in point_tables(section.claims):
            console.print()
            console.print(Text(table.title, style="bold"))
            show_table(table, console)
            for note in notes:
                console.print(Padding(Text(note), (0, 0, 0, 2), expand=False))
        console.print()
        console.print(Text("`lrbench results --format markdown` says of each what it rests on.", style="dim"))
    else:
        for point, judgements in section.claims:
            of_point = f" at {plain(point_text(point), LONGEST_NAME)}" if point else ""
            console.print()
            console.print(Text(f"Claims{of_point}", style="bold"))
            for judgement in judgements:
                for line in claim_lines(judgement):
                    console.print(Text(f"  {line}"))
    if section.recipe is not None and section.recipe.claims and section.unheld:
        console.print()
        console.print(Text(section.unheld, style="dim"))


def _title(board: Board) -> Text:
    return Text.assemble(
        (plain(board.suite, LONGEST_NAME), "bold"), (f"  protocol {board.protocol_hash[:8]}", "dim")
    )


def _section_title(board: Board, section: list[Row]) -> Text:
    first = section[0]
    title = Text.assemble((expert_label(first, board), "bold cyan"), f"  {plain(first.recipe, LONGEST_NAME)}")
    seed = only_seed(section)
    return title.append(f"  {seed}") if seed else title
