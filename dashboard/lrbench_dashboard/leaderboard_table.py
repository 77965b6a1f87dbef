"""The leaderboard's table as HTML: real headers and cells, every text escaped, cards on narrow screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from lrbench.recipe.references import model_name
from lrbench.results.board import Board
from lrbench.results.reported import ReportedResult, reported_for
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.statistics import EQUIVALENCE_MARGIN, Estimate, SeedMean
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    baselines_of,
    cost_texts,
    expert_label,
    notable_uses,
    size_text,
)
from lrbench_dashboard import state
from lrbench_dashboard.boards import setting_parts
from lrbench_dashboard.numbers import (
    NONE,
    PENDING,
    Scale,
    accuracy_html,
    difference_html,
    forgetting_html,
    scale_of,
)
from lrbench_dashboard.text import name_html
from lrbench_dashboard.theme import arm_color_css

INTERVAL = "interval"
LEGEND = (
    "Accuracy in percent with its 95% interval, drawn on each column's own range. Differences are in points "
    "on the same items: of these runs by McNemar's mid-p with Holm over the benchmarks (for the average, "
    "sign-flip permutation), and one run of each says nothing of other seeds; beside a mean of seeds, of "
    "training like this, by how far the seeds of the expert's arms lie apart. <i>inconclusive</i>: not "
    f"separated at 5%, which is not equal; <i>equivalent</i>: within {EQUIVALENCE_MARGIN:g} points at 5%. "
    "<span class='lr-best'>best</span> of its expert among the rows chosen, and separated from every other "
    "arm; "
    "<span class='lr-best lr-of-runs'>best of these runs</span>: the same where one seed is all there is; "
    "<span class='lr-undecided'>inconclusive</span>: with the highest, where nothing is separated from it."
)


@dataclass(frozen=True)
class View:
    """What the table shows.

    Under each benchmark stands the difference from the arm `baseline`, or the interval. While not
    `complete`, what is estimated by random draws is left pending. Baselines are looked up in the `whole`
    board, which filters have not narrowed; without one, in `board`.
    """

    board: Board
    rows: Sequence[Row]
    baseline: str
    grouped: bool
    complete: bool
    marks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    whole: Board | None = None

    @cached_property
    def baselines(self) -> tuple[str, ...]:
        """The arms that the rows shown are set against, a column each."""
        return tuple(baselines_of(self.board, self.rows))

    @property
    def width(self) -> int:
        """How many columns there are."""
        return 2 + len(self.baselines) + len(self.board.benchmarks) + len(self.second) + len(COSTS)

    @cached_property
    def second(self) -> tuple[str, ...]:
        """The name of the column of what was forgotten, where a recipe of the rows has a second suite."""
        return (FORGETTING,) if any(row.recipe in self.board.forgetting for row in self.rows) else ()

    @property
    def second_suites(self) -> str:
        """On which suites that was measured, as HTML: where there are several, each cell says its own."""
        lost = (self.board.forgetting.get(row.recipe) for row in self.rows)
        first, *others = {each.board.suite: None for each in lost if each is not None}
        return "several suites" if others else f"on {name_html(first, 24)}"

    def forgotten(self, row: Row) -> str:
        """What the row lost on its recipe's second suite, as HTML."""
        lost = self.board.forgetting.get(row.recipe)
        return NONE if lost is None else forgetting_html(lost.board.suite, lost.of(row))

    def estimate(self, row: Row, column: str) -> Estimate | None:
        """The accuracy in a column, as far as it is known yet."""
        return None if column == AVERAGE and not self.complete else row.on(column)


def table_html(view: View) -> str:
    """The whole table with its caption and legend."""
    reported = _reported(view)
    scales = {column: _scale(view, column, reported) for column in view.board.columns}
    body = "".join(
        f"<tbody>{_group_header(view, list(rows)) if view.grouped else ''}"
        f"{_lines(view, list(rows), scales)}</tbody>"
        for rows in _groups(view)
    )
    return (
        f'<div class="lr-scroll"><table class="lr-board lr-cards" role="table"><thead>{_header(view)}</thead>'
        f"{body}{_reported_body(view, reported, scales)}</table></div>"
        f'<p class="lr-legend">{LEGEND}</p>'
    )


def _groups(view: View) -> list[list[Row]]:
    if not view.grouped:
        return [list(view.rows)]
    return [list(rows) for _, rows in groupby(view.rows, key=lambda row: (row.expert_weights, row.recipe))]


def _header(view: View) -> str:
    heads = ["<th scope='col'>result</th>", "<th scope='col'>average</th>"]
    heads += [
        f"<th scope='col'>average<br><small>against {name_html(baseline, 24)}</small></th>"
        for baseline in view.baselines
    ]
    for benchmark in view.board.benchmarks:
        size = size_text(benchmark, list(view.rows))
        heads.append(f"<th scope='col'>{name_html(benchmark, 24)}<br><small>{size}</small></th>")
    heads += [f"<th scope='col'>{name}<br><small>{view.second_suites}</small></th>" for name in view.second]
    heads += [f"<th scope='col'>{name}</th>" for name in COSTS]
    return f"<tr>{''.join(heads)}</tr>"


def _group_header(view: View, rows: list[Row]) -> str:
    expert = name_html(expert_label(rows[0], view.board))
    return (
        f'<tr class="lr-group"><th colspan="{view.width}" scope="rowgroup">{expert} '
        f'<span class="lr-muted">recipe {name_html(rows[0].recipe)}</span></th></tr>'
    )


def _lines(view: View, rows: Sequence[Row], scales: Mapping[str, Scale]) -> str:
    """The rows, and below the last seed of an arm their mean."""
    ends = {group.rows[-1].arm_id: group for group in view.board.groups if len(group.rows) > 1}
    lines = ""
    for row in rows:
        lines += _line(view, row, scales)
        if view.grouped and row.arm_id in ends:
            lines += _mean_line(view, ends[row.arm_id], scales)
    return lines


def _mean_line(view: View, group: Group, scales: Mapping[str, Scale]) -> str:
    arm = group.rows[0].arm
    name = f'<i class="lr-dot lr-hollow" style="border-color:{arm_color_css(arm)}"></i>{name_html(arm)}'
    found = {column: group.on(column) for column in view.board.columns}
    cells = [_cell(AVERAGE, _mean_html(found[AVERAGE], scales[AVERAGE]), "lr-average")]
    whole = view.board if view.whole is None else view.whole
    against = {
        baseline: whole.over_seeds(group, baseline) if view.complete else {} for baseline in view.baselines
    }
    for baseline, by_column in against.items():
        cells.append(_cell(f"average against {baseline}", difference_html(by_column.get(AVERAGE))))
    for column in view.board.benchmarks:
        shown, difference = (
            _mean_html(found[column], scales[column]),
            against.get(view.baseline, {}).get(column),
        )
        if difference is not None:
            shown += f'<span class="lr-delta">{difference_html(difference)}</span>'
        cells.append(_cell(column, shown))
    lost = view.board.forgetting.get(group.rows[0].recipe)
    forgotten = NONE if lost is None else forgetting_html(lost.board.suite, lost.over_seeds(group))
    cells += [_cell(name, forgotten) for name in view.second]
    cells += [_cell(cost, NONE, f"lr-cost lr-{cost.partition(' ')[0]}") for cost in COSTS]
    return (
        f'<tr role="row" class="lr-mean"><th scope="row" role="rowheader">{name}<br>'
        f'<small class="lr-muted">mean of {len(group.rows)} seeds</small></th>{"".join(cells)}</tr>'
    )


def _mean_html(found: SeedMean | None, scale: Scale) -> str:
    return accuracy_html(None if found is None else Estimate(found.value, found.interval), scale)


def _line(view: View, row: Row, scales: Mapping[str, Scale]) -> str:
    cells = [_cell("average", _accuracy(view, row, AVERAGE, scales), "lr-average")]
    for baseline in view.baselines:
        delta = row.against.get(baseline)
        if delta is None or not delta.complete:
            shown = NONE
        else:
            shown = difference_html(delta.average) if view.complete else PENDING
        cells.append(_cell(f"average against {baseline}", shown))
    delta = row.against.get(view.baseline)
    for benchmark in view.board.benchmarks:
        shown = _accuracy(view, row, benchmark, scales)
        if view.baseline == INTERVAL:
            shown = f'<span class="lr-show-interval">{shown}</span>'
        elif delta is not None and benchmark in delta.benchmarks:
            shown += f'<span class="lr-delta">{difference_html(delta.benchmarks[benchmark])}</span>'
        cells.append(_cell(benchmark, shown))
    cells += [_cell(name, view.forgotten(row) if view.complete else PENDING) for name in view.second]
    cells += [
        _cell(name, text, f"lr-cost lr-{name.partition(' ')[0]}")
        for name, text in zip(COSTS, cost_texts(row), strict=True)
    ]
    return f"<tr role='row'>{_row_header(view, row)}{''.join(cells)}</tr>"


def _row_header(view: View, row: Row) -> str:
    parts = [name_html(part) for part in setting_parts(row)]
    if not view.grouped:
        parts += [name_html(row.recipe), name_html(expert_label(row, view.board))]
    if row.variant:
        parts.insert(0, name_html(row.variant))
    foremost = view.board.foremost(row)
    name = f'<i class="lr-dot" style="background:{arm_color_css(row.arm)}"></i>{name_html(row.arm)}'
    if foremost:
        address = state.link(
            "compare",
            suite=view.board.suite,
            protocol=view.board.protocol_hash[:12],
            first=row.arm_id,
            second=row.against[foremost[0]].baseline,
        )
        name = f'<a href="{name_html(address, 1000)}" target="_self" title="compare item by item">{name}</a>'
    made = name_html(state.link("provenance", arm=row.arm_id), 1000)
    parts.append(f'<a href="{made}" target="_self">provenance</a>')
    more = f'<small class="lr-muted">{", ".join(parts)}</small>'
    return f'<th scope="row" role="rowheader">{name}<br>{more}{_uses(row)}</th>'


def _uses(row: Row) -> str:
    """What the arm uses beyond the pair, and one model to answer with, on a line of its own."""
    tags = "".join(f'<span class="lr-tag lr-uses">{name_html(words)}</span>' for words in notable_uses(row))
    return f'<div aria-label="uses">{tags}</div>' if tags else ""


def _accuracy(view: View, row: Row, column: str, scales: Mapping[str, Scale]) -> str:
    estimate = view.estimate(row, column)
    if estimate is None:
        value = row.value(column)
        return NONE if value is None else f'<span class="lr-value">{100 * value:.1f}</span>{PENDING}'
    return accuracy_html(estimate, scales[column], view.marks.get((row.arm_id, column), ""))


def _cell(label: str, shown: str, style: str = "") -> str:
    """A cell that knows its column's name, for cards, where no header stands above it."""
    name = f'<span class="lr-label">{name_html(label)}</span>'
    return f'<td role="cell" class="{style}">{name}<div>{shown}</div></td>'


def _scale(view: View, column: str, reported: Sequence[ReportedResult]) -> Scale:
    estimates = [found for row in view.rows if (found := view.estimate(row, column)) is not None]
    estimates += [_reported_on(row, column, view.board) for row in reported]
    if view.grouped:
        shown = {row.arm_id for row in view.rows}
        means = [group.on(column) for group in view.board.groups if group.rows[-1].arm_id in shown]
        estimates += [Estimate(mean.value, mean.interval) for mean in means if mean is not None]
    return scale_of(estimates)


def _reported(view: View) -> list[ReportedResult]:
    """What the paper reports for the experts shown, where it has all of the board's benchmarks."""
    experts = dict.fromkeys(row.expert for row in view.rows)
    return [
        row
        for expert in experts
        for row in reported_for(expert)
        if set(view.board.benchmarks) <= set(row.accuracies)
    ]


def _reported_on(row: ReportedResult, column: str, board: Board) -> Estimate:
    return row.over(board.benchmarks) if column == AVERAGE else row.on(column)


def _reported_body(view: View, reported: Sequence[ReportedResult], scales: Mapping[str, Scale]) -> str:
    if not reported:
        return ""
    lines = [
        f'<tr class="lr-group"><th colspan="{view.width}" scope="rowgroup">Reported, not measured here '
        f'<span class="lr-muted">{name_html(reported[0].source)}; another protocol, so nothing is paired and '
        "nothing is ranked; intervals from published rate and n</span></th></tr>"
    ]
    for row in reported:
        cells = [_cell("average", accuracy_html(_reported_on(row, AVERAGE, view.board), scales[AVERAGE]))]
        cells += [_cell(f"average against {baseline}", NONE) for baseline in view.baselines]
        cells += [
            _cell(benchmark, accuracy_html(row.on(benchmark), scales[benchmark]))
            for benchmark in view.board.benchmarks
        ]
        cells += [_cell(name, NONE) for name in view.second]
        cells += [_cell(name, NONE, f"lr-cost lr-{name.partition(' ')[0]}") for name in COSTS]
        lines.append(
            f'<tr role="row"><th scope="row" role="rowheader"><i class="lr-dot lr-hollow" '
            f'style="border-color:{arm_color_css(row.arm)}"></i>{name_html(row.arm)} '
            f'<span class="lr-tag lr-reported">reported</span><br>'
            f'<small class="lr-muted">{name_html(model_name(row.expert))}</small></th>{"".join(cells)}</tr>'
        )
    return f'<tbody class="lr-published">{"".join(lines)}</tbody>'
