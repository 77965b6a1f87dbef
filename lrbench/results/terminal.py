"""The leaderboard in the terminal.

A board is a matrix of arms x benchmarks where the window is wide enough, and otherwise one block
per benchmark with a line per arm. Names are shown as text whatever they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.console import Group as Stack
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lrbench.evaluation.statistics import Comparison
from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board, Forgetting
from lrbench.results.claim_words import claim_lines, unheld_line, unread_lines
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import notes_on_declarations, standing
from lrbench.results.layout import Cells, Script, answers_cells, draws_cells
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.telling import asked_about, words_on
from lrbench.results.text import plain
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    LEGEND,
    LONGEST_NAME,
    MEANS,
    NOTHING,
    TOOK,
    UNKNOWN,
    USES,
    accuracy_text,
    baselines_of,
    chosen_texts,
    comparison_text,
    cost_texts,
    draws_text,
    expert_label,
    forgetting_text,
    interval_text,
    noise_texts,
    notes_on,
    only_seed,
    pool_text,
    row_label,
    sections,
    seed_means,
    size_text,
    uses_texts,
)

UNBOUNDED = 10_000
_SCRIPT = Script(text=lambda text: plain(text, LONGEST_NAME), number=str, best=str, best_of_runs=str)
# Of one line per arm: what its columns mostly need, and how many baselines stand side by side in any window.
LABEL_WIDTH, ACCURACY_WIDTH, DIFFERENCE_WIDTH = 22, 20, 20
FEWEST_BASELINES = 2
# `[8.2, 9.3]` with what stands between columns.
LEAST_CELL = 12
# More rows than anybody reads in a terminal, where no recipe is asked for.
MOST_ROWS = 100
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
    recipes = list(recipes)
    declared = standing(recipes)
    shown = _shown(boards, most_rows)
    if not boards:
        console.print(Text(NOTHING))
        return
    for position, board in enumerate(boards):
        console.print(_title(board))
        for section in sections(board):
            if section[0].arm_id not in shown:
                continue
            console.print()
            console.print(_section_title(board, section))
            console.print()
            matrix = _fitting_matrix(board, section, console)
            fits = matrix is not None
            console.print(_blocks(board, section, console.width) if matrix is None else matrix)
            if any(row.uses.notable for row in section):
                console.print()
                console.print(Text(TOOK, style="bold"))
                console.print()
                console.print(_uses(section))
            if any(row.of_draws(AVERAGE) for row in section):
                console.print()
                console.print(Text(draws_text(section), style="bold"))
                console.print()
                # Where there is no room for all benchmarks, files of numbers have them.
                columns = board.columns if fits else (AVERAGE,)
                console.print(_lines(draws_cells(columns, section, _SCRIPT), 2))
            for title, cells in answers_cells(section, _SCRIPT):
                console.print()
                console.print(Text(title, style="bold"))
                console.print()
                narrow = len(cells.header) - cells.is_wide
                lines = [line[:narrow] for line in cells.lines]
                console.print(_lines(Cells(cells.header[:narrow], lines), 1))
            means = seed_means(board, section)
            if means:
                console.print()
                console.print(Text(f"{MEANS} {pool_text(board, section)}"))
                console.print()
                console.print(
                    _means_matrix(board, means) if fits else _means_blocks(board, means, console.width)
                )
            for line in (*noise_texts(board, section), *chosen_texts(board, section)):
                console.print()
                console.print(Text(line))
            if section[0].recipe in declared:
                _show_claims(declared[section[0].recipe], board, section, console)
        _name_others(board, shown, console)
        console.print()
        notes = [
            *notes_on(board, boards[0] if position else None),
            *notes_on_declarations(board.rows, recipes),
            *_without_result(board, declared),
        ]
        for note in notes:
            console.print(Text(note, style="yellow"))
        if notes:
            console.print()
    for line in LEGEND:
        console.print(Text(line, style="dim"))
    _tell(boards, declared, console)


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


def _tell(boards: Sequence[Board], declared: Mapping[str, RecipeRecord], console: Console) -> None:
    """In words what the boards show and leave open, where that is about few recipes."""
    asked = [
        (board, section) for board in boards for section in sections(board) if asked_about(board, section)
    ]
    for board, section in asked if len(asked) <= MOST_TOLD else ():
        recipe = section[0].recipe
        words = words_on(board, section, declared.get(recipe))
        assert words is not None
        of_recipe = f" of {plain(recipe, LONGEST_NAME)}" if len(asked) > 1 else ""
        for title, sentences in (("What this shows", words.shown), ("What it leaves open", words.left_open)):
            if sentences:
                console.print()
                console.print(Text(f"{title}{of_recipe}", style="bold"))
                for sentence in sentences:
                    console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def _without_result(board: Board, declared: Mapping[str, RecipeRecord]) -> Iterator[str]:
    """Of every recipe on the board, how many of the arms that it means are not."""
    shown = {row.arm_id for row in board.rows}
    for name in dict.fromkeys(row.recipe for row in board.rows):
        meant = declared[name].arm_ids if name in declared else ()
        absent = len(set(meant) - shown)
        if absent:
            yield (
                f"{absent} of the {len(meant)} arms that {plain(name, LONGEST_NAME)} means "
                f"{'has' if absent == 1 else 'have'} no result on this board"
            )


def _show_claims(recipe: RecipeRecord, board: Board, section: list[Row], console: Console) -> None:
    """The verdicts on the recipe's claims by the rows of `section`, which are those of the recipe."""
    for line in unread_lines(recipe):
        console.print()
        console.print(Text(line, style="yellow"))
    for point, judgements in judge_recipe(recipe, board, section):
        of_point = f" at {plain(point_text(point), LONGEST_NAME)}" if point else ""
        console.print()
        console.print(Text(f"Claims{of_point}", style="bold"))
        for judgement in judgements:
            for line in claim_lines(judgement):
                console.print(Text(f"  {line}"))
    if recipe.claims and (unheld := unheld_line(recipe)):
        console.print()
        console.print(Text(unheld, style="dim"))


def _title(board: Board) -> Text:
    return Text.assemble(
        (plain(board.suite, LONGEST_NAME), "bold"), (f"  protocol {board.protocol_hash[:8]}", "dim")
    )


def _section_title(board: Board, section: list[Row]) -> Text:
    first = section[0]
    title = Text.assemble((expert_label(first, board), "bold cyan"), f"  {plain(first.recipe, LONGEST_NAME)}")
    seed = only_seed(section)
    return title.append(f"  {seed}") if seed else title


def _fitting_matrix(board: Board, section: list[Row], console: Console) -> Table | None:
    """The matrix, where the console is wide enough for it."""
    # An interval is wider than anything above or below it; to lay out what cannot fit takes longest.
    if len(board.columns) * LEAST_CELL > console.width:
        return None
    matrix = _matrix(board, section)
    wanted = Measurement.get(console, console.options.update(max_width=UNBOUNDED), matrix)
    return matrix if wanted.maximum <= console.width else None


def _matrix(board: Board, section: list[Row]) -> Table:
    """Arms down, benchmarks across; under each accuracy its interval and the differences."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in board.columns:
        table.add_column(_heading(column, section, "\n"), justify="right", no_wrap=True)
    lost = board.forgetting.get(section[0].recipe)
    if lost is not None:
        table.add_column(_second_heading(lost, "\n"), justify="right", no_wrap=True)
    for name in COSTS:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in section:
        if row is not section[0]:
            table.add_row()
        label = [Text(row_label(row, section), style="bold"), Text()]
        label += [Text(f"  {_versus(baseline)}", style="dim") for baseline in row.against]
        cells = [Text("\n").join(_matrix_cell(board, row, column)) for column in board.columns]
        if lost is not None:
            cells.append(Text(forgetting_text(lost.of(row)).replace(" [", "\n[", 1)))
        table.add_row(Text("\n").join(label), *cells, *cost_texts(row))
    return table


def _matrix_cell(board: Board, row: Row, column: str) -> Iterator[Text]:
    estimate = row.on(column)
    if estimate is None:
        yield Text(UNKNOWN, style="dim")
        yield Text()
    else:
        yield _marked(board, row, column, f"{100 * estimate.value:.1f}")
        yield Text(interval_text(estimate), style="dim")
    for delta in row.against.values():
        yield _compared(delta.on(column))


def _means_matrix(board: Board, means: list[tuple[str, Group]]) -> Table:
    """Arms down, benchmarks across: each arm's mean over its seeds with the interval beneath."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in board.columns:
        table.add_column(Text(plain(column, LONGEST_NAME)), justify="right", no_wrap=True)
    lost = board.forgetting.get(means[0][1].rows[0].recipe)
    if lost is not None:
        table.add_column(_second_heading(lost, "\n"), justify="right", no_wrap=True)
    for label, group in means:
        found = _against_baselines(board, group)
        cells = []
        for column in board.columns:
            mean = group.on(column)
            value = UNKNOWN if mean is None else f"{100 * mean.value:.1f}"
            lines = [Text(value), Text("" if mean is None else interval_text(mean), style="dim")]
            lines += [_compared(differences.get(column)) for differences in found.values()]
            cells.append(Text("\n").join(lines))
        names = [Text(label, style="bold"), Text()]
        names += [Text(f"  {_versus(baseline)}", style="dim") for baseline in found]
        if lost is not None:
            cells.append(Text(forgetting_text(lost.over_seeds(group)).replace(" [", "\n[", 1)))
        table.add_row(Text("\n").join(names), *cells)
    return table


def _against_baselines(board: Board, group: Group) -> dict[str, dict[str, Comparison]]:
    """By baseline and column, the difference over seeds, as far as there is any."""
    found = {baseline: board.over_seeds(group, baseline) for baseline in board.baselines}
    return {baseline: by_column for baseline, by_column in found.items() if by_column}


def _means_blocks(board: Board, means: list[tuple[str, Group]], width: int) -> Stack:
    """Every arm's mean on the average, then on every benchmark, a line each."""
    lost = board.forgetting.get(means[0][1].rows[0].recipe)
    against = [(label, group, _against_baselines(board, group)) for label, group in means]
    baselines, *further = _side_by_side(
        baselines_of(board, (row for _, group in means for row in group.rows)), width
    )
    table = _block_table(["accuracy", *map(_versus, baselines)])
    for column in board.columns:
        if column != AVERAGE:
            table.add_row()
        elif lost is not None:
            table.add_row(_second_heading(lost, "  "))
            for label, group, _ in against:
                table.add_row(Text(f"  {label}"), forgetting_text(lost.over_seeds(group)))
            table.add_row()
        table.add_row(Text(plain(column, LONGEST_NAME), style="bold"))
        for label, group, found in against:
            mean = group.on(column)
            differences = (found.get(baseline, {}).get(column) for baseline in baselines)
            shown = UNKNOWN if mean is None else accuracy_text(mean)
            table.add_row(Text(f"  {label}"), Text(shown), *map(_compared, differences))
    lines = [
        (label, {name: by_column.get for name, by_column in found.items()}) for label, _, found in against
    ]
    return Stack(table, *_further_blocks(board, lines, further))


def _blocks(board: Board, section: list[Row], width: int) -> Stack:
    """The average, the costs, then every benchmark: a heading and one line per arm."""
    baselines, *further = _side_by_side(baselines_of(board, section), width)
    table = _block_table(["accuracy", *map(_versus, baselines)])
    for column in board.columns:
        if column != AVERAGE:
            table.add_row()
        table.add_row(_heading(column, section, "  "))
        for row in section:
            estimate = row.on(column)
            table.add_row(
                _indented_label(row, section),
                Text(UNKNOWN, style="dim")
                if estimate is None
                else _marked(board, row, column, accuracy_text(estimate)),
                *(_comparison(row, baseline, column) for baseline in baselines),
            )
        if column == AVERAGE:
            table.add_row()
            table.add_row(Text("cost", style="bold"), *(Text(name, style="dim") for name in COSTS))
            for row in section:
                table.add_row(_indented_label(row, section), *cost_texts(row))
            lost = board.forgetting.get(section[0].recipe)
            if lost is not None:
                table.add_row()
                table.add_row(_second_heading(lost, "  "))
                for row in section:
                    table.add_row(_indented_label(row, section), forgetting_text(lost.of(row)))
    lines = [
        (row_label(row, section), {name: delta.on for name, delta in row.against.items()}) for row in section
    ]
    return Stack(table, *_further_blocks(board, lines, further))


def _lines(cells: Cells | None, names: int) -> Table:
    """Cells as lines; the first columns are `names`, and numbers the others."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    assert cells is not None
    for place, name in enumerate(cells.header):
        side: Literal["left", "right"] = "left" if place < names else "right"
        table.add_column(name if place else "", overflow="fold", justify=side)
    for line in cells.lines:
        table.add_row(*map(Text, line))
    return table


def _uses(section: list[Row]) -> Table:
    """What answers took and what arms use, a line per arm; headings of two lines keep it narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    *numbers, names = USES
    for name in numbers:
        table.add_column(name.replace(" ", "\n", 1), justify="right", vertical="bottom")
    table.add_column(names.replace(" ", "\n", 1), overflow="fold")
    for row in section:
        table.add_row(_indented_label(row, section), *map(Text, uses_texts(row.uses)))
    return table


def _side_by_side(baselines: list[str], width: int) -> list[list[str]]:
    """The baselines in groups, each of as many as there is room for beside labels and accuracies."""
    size = max(FEWEST_BASELINES, (width - LABEL_WIDTH - ACCURACY_WIDTH) // DIFFERENCE_WIDTH)
    return [baselines[start : start + size] for start in range(0, len(baselines), size)] or [[]]


def _further_blocks(
    board: Board,
    lines: Sequence[tuple[str, Mapping[str, Callable[[str], Comparison | None]]]],
    groups: list[list[str]],
) -> Iterator[Table | Text]:
    """Of each further group of baselines the differences alone; `lines` give them by baseline and column."""
    for baselines in groups:
        yield Text()
        table = _block_table([_versus(baseline) for baseline in baselines])
        for column in board.columns:
            if column != AVERAGE:
                table.add_row()
            table.add_row(Text(plain(column, LONGEST_NAME), style="bold"))
            for label, against in lines:
                found = [against[name](column) if name in against else None for name in baselines]
                if any(found):
                    table.add_row(Text(f"  {label}"), *map(_compared, found))
        yield table


def _block_table(names: list[str]) -> Table:
    """A table of one line per arm; the costs need three columns beside that of the labels."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", *names, *[""] * (len(COSTS) - len(names))):
        table.add_column(Text(name), overflow="fold")
    return table


def _versus(baseline: str) -> str:
    return f"vs {plain(baseline, LONGEST_NAME)}"


def _indented_label(row: Row, section: list[Row]) -> Text:
    return Text(f"  {row_label(row, section)}")


def _heading(column: str, section: list[Row], between: str) -> Text:
    heading = Text(plain(column, LONGEST_NAME), style="bold")
    size = size_text(column, section)
    if size:
        heading.append(f"{between}{size}", style="not bold dim")
    return heading


def _second_heading(lost: Forgetting, between: str) -> Text:
    suite = f"{between}on {plain(lost.board.suite, LONGEST_NAME)}"
    return Text(FORGETTING, style="bold").append(suite, style="not bold dim")


def _marked(board: Board, row: Row, column: str, text: str) -> Text:
    if (row.arm_id, column) not in board.best_of(row.expert_weights):
        return Text(text)
    of_runs = board.races_of(row.expert_weights)[column].of_runs
    return Text(f"{text} {'(*)' if of_runs else '*'}", style="bold green")


def _comparison(row: Row, baseline: str, column: str) -> Text:
    delta = row.against.get(baseline)
    return _compared(None if delta is None else delta.on(column))


def _compared(comparison: Comparison | None) -> Text:
    style = "dim"
    if comparison is not None and comparison.separated:
        style = "green" if comparison.difference > 0 else "red"
    return Text(comparison_text(comparison), style=style)
