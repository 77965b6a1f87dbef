"""The leaderboard's table as HTML: a line per arm, its seeds and points inside, cards on narrow screens.

Every text is escaped. What unfolds does so by the style sheet alone: no script stands behind the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lrbench.recipe.references import model_name
from lrbench.results.board import Board
from lrbench.results.board_arms import BoardArm, Section, declared_baseline, estimate_of
from lrbench.results.ranks import Ranks
from lrbench.results.reported import ReportedResult
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.statistics import EQUIVALENCE_MARGIN, Estimate
from lrbench.results.web.text import name_html
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    expert_label,
    reported_beside,
    reported_on,
    size_text,
)
from lrbench_dashboard import state
from lrbench_dashboard.arm_lines import AGAINST, RANK, arm_html, cell_html
from lrbench_dashboard.numbers import NONE, Scale, accuracy_html, scale_of
from lrbench_dashboard.theme import arm_mark_html

LEGEND = (
    "A line is an arm: the mean over its seeds with its 95% interval, drawn on each column's own range. "
    "Ranks are those that tests of every two arms of the experiment leave open, all together at 95% (Holm). "
    "Three verdicts: <b>▲ better</b> or <b>▼ worse</b>, separated at 5%; <b>≈ equivalent</b>, within "
    f"{EQUIVALENCE_MARGIN:g} points at 5%; <b>? inconclusive</b>, neither, which is not equal. Differences "
    "are in points on the same items: of one run each by McNemar's mid-p with Holm over the benchmarks (for "
    "the average, sign-flip permutation), which says nothing of other seeds; with seeds, of training like "
    "this, by how far the seeds of the expert's arms lie apart. Costs are those of one run. "
    "<span class='lr-best'>best</span> of its expert among the arms chosen, and separated from every other; "
    "<span class='lr-best lr-of-runs'>best of these runs</span>: the same where one seed is all there is; "
    "<span class='lr-undecided'>inconclusive</span>: with the highest, where nothing is separated from it."
)


@dataclass(frozen=True)
class View:
    """What the table shows: `sections` of arms, or where an order was asked for, `arms` without any.

    `columns` are those shown between the arm's name and its end, in this order. `under` is what stands under
    each benchmark: the difference from the declared or a named baseline, the interval, or the difference from
    what the paper reports. While not `complete`, what takes long is left pending. `scored` are the arms whose
    tokens can be looked at; `order` is the column that decides the order, and whether that is ascending.
    """

    board: Board
    sections: Sequence[Section]
    arms: Sequence[BoardArm]
    columns: Sequence[str]
    under: str
    complete: bool
    marks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    ranks: Mapping[str, Ranks] = field(default_factory=dict)
    scored: frozenset[str] = frozenset()
    order: tuple[str, bool] = ("declared", False)

    @cached_property
    def shown(self) -> list[BoardArm]:
        """All arms of the page."""
        return [arm for section in self.sections for arm in section.arms] + list(self.arms)

    def baseline(self, group: Group) -> str | None:
        """What an arm is set against: the one asked for, else what its recipe declares."""
        if self.under in self.board.baselines:
            return self.under if self.under in group.rows[-1].against else None
        return declared_baseline(self.board, group)

    @cached_property
    def reported(self) -> dict[str, tuple[ReportedResult, ...]]:
        """By expert, what the paper reports of those shown."""
        experts = {arm.first.expert for arm in self.shown}
        return {name: rows for name, rows in reported_beside(self.board).items() if name in experts}

    def published(self, arm: BoardArm) -> ReportedResult | None:
        """What the paper reports of this arm."""
        own = self.reported.get(arm.first.expert, ())
        return next((row for row in own if row.arm == arm.first.arm), None)

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """The range of every column's bars."""
        return {column: self._scale(column) for column in (AVERAGE, *self.board.benchmarks)}

    def _scale(self, column: str) -> Scale:
        groups = [group for arm in self.shown for group in arm.groups]
        estimates = [found for group in groups if (found := self.estimate(group, column)) is not None]
        for rows in self.reported.values():
            estimates += [reported_on(row, column, self.board) for row in rows]
        return scale_of(estimates)

    def estimate(self, group: Group, column: str) -> Estimate | None:
        """An arm's accuracy, as far as it is known yet."""
        if column == AVERAGE and not self.complete:
            return None
        return estimate_of(group, column)


def table_html(view: View) -> str:
    """The whole table with its legend."""
    body = "".join(_section_html(view, section) for section in view.sections)
    body += "".join(arm_html(view, arm, named=True) for arm in view.arms)
    return (
        f'<div class="lr-scroll lr-held" tabindex="0" role="region" aria-label="The leaderboard">'
        f'<table class="lr-board lr-cards" role="table"><thead>{_header(view)}</thead>'
        f"{body}{_reported_body(view)}</table></div>"
        f'<details class="lr-legend"><summary>What the numbers and marks mean</summary>{LEGEND}</details>'
    )


def _header(view: View) -> str:
    cells = [_head(view, "declared", "arm")]
    for column in view.columns:
        if column == AVERAGE:
            cells.append(_head(view, AVERAGE, "average"))
        elif column == RANK:
            cells.append('<th scope="col">rank</th>')
        elif column == AGAINST:
            named = view.under if view.under in view.board.baselines else None
            said = "its baseline" if named is None else name_html(named, 24)
            token = None if named is None else f"difference {named}"
            cells.append(_head(view, token, "verdict", f"against {said}"))
        elif column == FORGETTING:
            cells.append(f'<th scope="col">{FORGETTING}<br><small>{_second_suites(view)}</small></th>')
        elif column in COSTS:
            cells.append(_head(view, column, column))
        else:
            size = size_text(column, [row for arm in view.shown for row in arm.rows])
            cells.append(_head(view, column, column, size))
    return f"<tr>{''.join(cells)}</tr>"


def _head(view: View, token: str | None, name: str, small: str = "") -> str:
    """A column's header, which leads to the same page in the order of that column."""
    more = f"<br><small>{small}</small>" if small else ""
    if token is None:
        return f'<th scope="col">{name_html(name, 24)}{more}</th>'
    column, ascending = view.order
    own = column == token
    # A second click turns the order round.
    turned = "up" if own and not ascending else "down"
    address = state.here(sort=token, order=turned, page=())
    sign = (
        f' <span aria-hidden="true">{"▲" if ascending else "▼"}</span>' if own and token != "declared" else ""
    )
    sort = f' aria-sort="{"ascending" if ascending else "descending"}"' if sign else ""
    return (
        f'<th scope="col"{sort}><a href="{name_html(address, 2000)}" target="_self" '
        f'title="order by {name_html(name)}">{name_html(name, 24)}{sign}</a>{more}</th>'
    )


def _second_suites(view: View) -> str:
    """On which suites that was measured: where there are several, each cell says its own."""
    lost = (view.board.forgetting.get(arm.first.recipe) for arm in view.shown)
    first, *others = {each.board.suite: None for each in lost if each is not None}
    return "several suites" if others else f"on {name_html(first, 24)}"


def _section_html(view: View, section: Section) -> str:
    """An experiment: its name, its arms, and which of its arms are models that stand elsewhere."""
    row = (section.arms[0] if section.arms else section.elsewhere[0][0]).first
    alone = name_html(state.link(state.FIRST_PAGE, recipe=section.recipe), 1000)
    head = (
        f'<tbody><tr class="lr-group"><th colspan="{1 + len(view.columns)}" scope="rowgroup">'
        f'<a href="{alone}" target="_self" title="this experiment alone">{name_html(section.recipe)}</a> '
        f'<span class="lr-muted">{name_html(expert_label(row, view.board))}</span></th></tr></tbody>'
    )
    arms = "".join(arm_html(view, arm, named=False) for arm in section.arms)
    if not section.elsewhere:
        return head + arms
    same = "; ".join(
        f"{name_html(arm.first.arm)}, {_percent(arm)} ({_called(home.first, arm.first)})"
        for arm, home in section.elsewhere
    )
    return (
        f'{head}{arms}<tbody><tr class="lr-same"><td colspan="{1 + len(view.columns)}">'
        f"Also of this experiment, and shown once: {same}</td></tr></tbody>"
    )


def _percent(arm: BoardArm) -> str:
    value = arm.value(AVERAGE)
    return "no average" if value is None else f"{100 * value:.1f}"


def _called(row: Row, other: Row) -> str:
    """`base of quickstart`, or the recipe alone where the arm has the same name."""
    recipe = f"recipe {name_html(row.recipe)}"
    return f"as in {recipe}" if row.arm == other.arm else f"as {name_html(row.arm)} of {recipe}"


def _reported_body(view: View) -> str:
    """What the paper reports of the experts shown."""
    reported = [row for rows in view.reported.values() for row in rows]
    if not reported:
        return ""
    lines = [
        f'<tr class="lr-group"><th colspan="{1 + len(view.columns)}" scope="rowgroup">Reported, not measured '
        f'here <span class="lr-muted">{name_html(reported[0].source)}; another protocol, so nothing is '
        "paired and nothing is ranked; intervals from published rate and n</span></th></tr>"
    ]
    for row in reported:
        cells = "".join(
            cell_html(
                column,
                accuracy_html(reported_on(row, column, view.board), view.scales[column])
                if column in view.scales
                else NONE,
                "lr-average" if column == AVERAGE else "",
            )
            for column in view.columns
        )
        lines.append(
            f'<tr role="row"><th scope="row" role="rowheader">{arm_mark_html(row.arm)}{name_html(row.arm)} '
            f'<span class="lr-tag lr-reported">reported</span><br>'
            f'<small class="lr-muted">{name_html(model_name(row.expert))}</small></th>{cells}</tr>'
        )
    return f'<tbody class="lr-published">{"".join(lines)}</tbody>'
