"""Two results set against each other: every benchmark's paired test, and the flip table of one, as HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from lrbench.results.board import Board
from lrbench.results.claims.matching import runs_text
from lrbench.results.contrasts import paired_cells
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.statistics import (
    EQUIVALENCE_MARGIN,
    Comparison,
    Flips,
    Paired,
    Verdict,
    compare_average,
    compare_pairs,
    table_of,
)
from lrbench.results.web.items import BOTH, LOST, NEITHER, WON
from lrbench.results.web.text import name_html
from lrbench.results.wording import p_text
from lrbench_dashboard.numbers import NONE, points_text

VERDICTS: tuple[Verdict, ...] = ("separated", "equivalent", "inconclusive")
OF_RUNS = "McNemar's mid-p with Holm over the benchmarks; the average by sign-flip permutation."
OVER_SEEDS = (
    "Means and tests are over all seeds of both, with Holm over the benchmarks; counts of items are those of "
    "the last runs."
)
ONE_RUN = "This is about these two runs; it says nothing of training like this with other seeds."


@dataclass(frozen=True)
class Duel:
    """Two arms of one board over all their seeds; differences are first minus second, in points.

    `first` and `second` are the runs of them whose items are looked at.
    """

    board: Board
    first: Row
    second: Row
    groups: tuple[Group, Group]

    @cached_property
    def over_seeds(self) -> dict[str, Comparison]:
        """By column, the two over all seeds of both; empty where one run of each is all there is."""
        if max(len(group.rows) for group in self.groups) < 2:
            return {}
        found = self.board.against(*self.groups)
        return {column: one for column, one in found.items() if one.runs is not None}

    @cached_property
    def pairs(self) -> dict[str, Paired]:
        """Paired outcomes of the benchmarks that both answered on the same items."""
        return paired_cells(self.first.cells, self.second.cells)

    @cached_property
    def flips(self) -> dict[str, Flips]:
        """How outcomes meet, on the benchmarks of which each item was answered once."""
        tables = {benchmark: table_of(pair) for benchmark, pair in self.pairs.items()}
        return {benchmark: table for benchmark, table in tables.items() if table is not None}

    @cached_property
    def benchmarks(self) -> dict[str, Comparison]:
        """Every benchmark's test, with Holm over them."""
        if self.over_seeds:
            return {column: one for column, one in self.over_seeds.items() if column != AVERAGE}
        return compare_pairs(self.pairs)

    @cached_property
    def average(self) -> Comparison | None:
        """The test of the averages; None unless every benchmark of the board is paired."""
        if self.over_seeds:
            return self.over_seeds.get(AVERAGE)
        complete = len(self.pairs) == len(self.board.benchmarks)
        return compare_average(tuple(self.pairs.values())) if complete else None


def sentence_html(duel: Duel, names: tuple[str, str]) -> str:
    """What the averages say of the two, in one sentence."""
    first, second = (name_html(name) for name in names)
    found = duel.average
    if found is None:
        return f"<p><b>{first}</b> and <b>{second}</b> lack items in common: no difference of averages.</p>"
    certainty = f"95% interval {_range_text(found)}, {p_text(found.p)}"
    if found.separated:
        way = "above" if found.difference > 0 else "below"
        said = f"<b>{first} is {abs(found.difference):.1f} points {way} {second}</b> on average ({certainty})"
    else:
        points = f"{points_text(found.difference)} points"
        verdict = "inconclusive"
        if found.verdict == "equivalent":
            verdict = f"equivalent, within {EQUIVALENCE_MARGIN:g} points"
        said = f"<b>{first} and {second}: {verdict}</b> on average ({points}, {certainty})"
    counts = Counter(comparison.verdict for comparison in duel.benchmarks.values())
    alone = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"<p>{said}; of {counts.total()} benchmarks {alone}. {_whose(duel, names)}</p>"


def _whose(duel: Duel, names: tuple[str, str]) -> str:
    """Whether this is about two runs or about training like this, and by how many seeds."""
    if not duel.over_seeds:
        return ONE_RUN
    sides = zip(duel.groups, names, strict=True)
    seeds = [f"{len(group.rows)} of {name_html(name)}" for group, name in sides]
    average = duel.over_seeds.get(AVERAGE)
    runs = "" if average is None else f" {name_html(runs_text(average).capitalize(), 200)}."
    return f"Over all seeds, {' and '.join(seeds)}: training like this.{runs}"


def benchmarks_html(duel: Duel, names: tuple[str, str]) -> str:
    """All benchmarks with both accuracies, the difference drawn, its p, and the four counts."""
    heads = ("benchmark", "n", *names, "difference", "", "p, Holm", WON, LOST, BOTH, NEITHER)
    reach = _reach(duel)
    lines = [_average_line(duel, reach)] + [
        _line(duel, benchmark, reach) for benchmark in duel.board.benchmarks
    ]
    head = "".join(f'<th scope="col"{_wide(name)}>{name_html(name, 28)}</th>' for name in heads)
    return (
        f'<div class="lr-scroll"><table class="lr-board lr-duel" role="table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
        '<p class="lr-legend">Differences in points, first minus second, with their 95% interval drawn '
        f"around zero. {OVER_SEEDS if duel.over_seeds else OF_RUNS} Won: right where the other is wrong.</p>"
    )


def flips_html(flips: Flips, names: tuple[str, str]) -> str:
    """The four counts as a two-by-two table with its margins."""
    first, second = (name_html(name, 32) for name in names)
    return (
        '<table class="lr-plain lr-flips"><caption>Items by who is right (paper verdict)</caption>'
        f'<thead><tr><td></td><th scope="col">{second} right</th>'
        f'<th scope="col">{second} wrong</th></tr></thead>'
        f'<tbody><tr><th scope="row">{first} right</th><td>{flips.both:,} both</td>'
        f'<td class="lr-up">{flips.won:,} won</td></tr>'
        f'<tr><th scope="row">{first} wrong</th><td class="lr-down">{flips.lost:,} lost</td>'
        f"<td>{flips.neither:,} neither</td></tr></tbody></table>"
    )


def _line(duel: Duel, benchmark: str, reach: float) -> str:
    pair, flips = duel.pairs.get(benchmark), duel.flips.get(benchmark)
    cells = [("n", f"{pair.n:,}" if pair else NONE), *_values(duel, benchmark)]
    cells += _difference_cells(duel.benchmarks.get(benchmark), reach)
    counts = (flips.won, flips.lost, flips.both, flips.neither) if flips else (None,) * 4
    cells += [
        (name, NONE if count is None else f"{count:,}")
        for name, count in zip((WON, LOST, BOTH, NEITHER), counts, strict=True)
    ]
    return _table_line(name_html(benchmark, 28), cells)


def _average_line(duel: Duel, reach: float) -> str:
    cells = [("n", NONE), *_values(duel, AVERAGE), *_difference_cells(duel.average, reach)]
    cells += [(name, NONE) for name in (WON, LOST, BOTH, NEITHER)]
    return _table_line("<b>average</b>", cells)


def _values(duel: Duel, column: str) -> list[tuple[str, str]]:
    values = [group.value(column) for group in duel.groups]
    return [("value", NONE if value is None else f"{100 * value:.1f}") for value in values]


def _table_line(head: str, cells: list[tuple[str, str]]) -> str:
    shown = "".join(f'<td role="cell"{_wide(name)}><div>{text}</div></td>' for name, text in cells)
    return f'<tr role="row"><th scope="row" role="rowheader">{head}</th>{shown}</tr>'


def _wide(name: str) -> str:
    """Columns that a narrow screen has no room for; what they say stands below for one benchmark."""
    return ' class="lr-wide"' if name in ("n", "", WON, LOST, BOTH, NEITHER) else ""


def _difference_cells(found: Comparison | None, reach: float) -> list[tuple[str, str]]:
    if found is None:
        return [("difference", NONE), ("", NONE), ("p", NONE)]
    style = "lr-muted" if not found.separated else "lr-up" if found.difference > 0 else "lr-down"
    low, high, at = (
        50 + 50 * points / reach for points in (found.interval.low, found.interval.high, found.difference)
    )
    bar = (
        f'<span class="lr-bar lr-zero" style="--low:{low:.1f}%;--high:{high:.1f}%;--at:{at:.1f}%" '
        f'title="95% interval {_range_text(found)} points"></span>'
    )
    said = "" if found.separated else f" {found.verdict}"
    return [
        ("difference", f'<span class="{style}">{points_text(found.difference)}{said}</span>'),
        ("", bar),
        ("p", p_text(found.p_adjusted).removeprefix("p ")),
    ]


def _range_text(found: Comparison) -> str:
    return f"{points_text(found.interval.low)} to {points_text(found.interval.high)}"


def _reach(duel: Duel) -> float:
    """The largest bound, so that all bars share one scale with zero in its middle."""
    found = [*duel.benchmarks.values(), *([duel.average] if duel.average else [])]
    bounds = [abs(bound) for each in found for bound in (each.interval.low, each.interval.high)]
    return max([1.0, *bounds])
