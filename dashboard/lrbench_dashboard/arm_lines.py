"""One arm of the leaderboard as lines of its table: the arm, and folded under it its seeds or points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrbench.recipe.expanding import point_text
from lrbench.recipe.selecting import VALIDATION
from lrbench.results.board_arms import BoardArm, compared_with, run_costs
from lrbench.results.choosing import Sweep
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.statistics import Comparison
from lrbench.results.web.text import name_html
from lrbench.results.wording import (
    COSTS,
    FORGETTING,
    UNKNOWN,
    cost_texts,
    duration_text,
    expert_label,
    notable_uses,
    reported_on,
    taken_point,
    too_high_text,
)
from lrbench_dashboard.context import PROTOCOL, SUITE, TOKEN_LENGTH
from lrbench_dashboard.links import links_html, sweep_link_html
from lrbench_dashboard.numbers import (
    NONE,
    PENDING,
    accuracy_html,
    difference_html,
    forgetting_html,
    points_text,
    verdict_html,
)
from lrbench_dashboard.theme import arm_mark_html

if TYPE_CHECKING:
    from lrbench_dashboard.leaderboard_table import View

RANK, AGAINST = "rank", "against"
# What stands under each benchmark, and decides what the verdict is against.
INTERVAL, OWN, REPORTED = "interval", "declared", "reported"


def arm_html(view: View, arm: BoardArm, named: bool) -> str:
    """The arm's line and those folded under it; `named` says of which recipe and expert it is."""
    baseline = view.baseline(arm.groups[-1])
    found: dict[str, Comparison] = {}
    if arm.group is not None and baseline is not None and view.complete:
        found = compared_with(view.board, arm.group, baseline)
    cells = ""
    for column in view.columns:
        if column == AVERAGE:
            cells += cell_html(column, _average_html(view, arm), "lr-average")
        elif column == RANK:
            cells += cell_html(column, _rank_html(view, arm), "lr-rank")
        elif column == AGAINST:
            cells += cell_html("verdict", _against_html(view, arm, baseline, found), "lr-against")
        elif column == FORGETTING:
            cells += cell_html(column, _forgotten_html(view, arm) if view.complete else PENDING)
        elif column in COSTS:
            cells += cell_html(column, _cost_text(arm, column), f"lr-cost lr-{column.partition(' ')[0]}")
        else:
            cells += cell_html(column, _benchmark_html(view, arm, column, found))
    line = f'<tr role="row">{_header_html(view, arm, baseline, named)}{cells}</tr>'
    # What is folded nobody sees while the rest is still pending.
    inside = _inside_html(view, arm) if view.complete else ""
    return f'<tbody class="lr-arm">{line}{inside}</tbody>'


def cell_html(label: str, shown: str, style: str = "") -> str:
    """A cell that knows its column's name, for cards, where no header stands above it."""
    name = f'<span class="lr-label">{name_html(label)}</span>'
    return f'<td role="cell" class="{style}">{name}<div>{shown}</div></td>'


def _header_html(view: View, arm: BoardArm, baseline: str | None, named: bool) -> str:
    """The arm's name, what else it is called, where it leads, what it uses, and what unfolds."""
    row = arm.first
    parts = [name_html(row.variant)] if row.variant else []
    if named:
        parts += [name_html(row.recipe), name_html(expert_label(row, view.board))]
    for same in arm.same:
        other = same.rows[0]
        recipe = "" if other.recipe == row.recipe else f" of {name_html(other.recipe)}"
        parts.append(f"also {name_html(other.arm)}{recipe}")
    more = f'<small class="lr-muted">{", ".join(parts)}</small>' if parts else ""
    tags = "".join(f'<span class="lr-tag lr-uses">{name_html(words)}</span>' for words in notable_uses(row))
    uses = f'<div aria-label="uses">{tags}</div>' if tags else ""
    last = arm.groups[-1].rows[-1]
    links = sweep_link_html(last) if arm.is_swept else links_html(last, baseline, view.scored)
    point, selection = taken_point(view.board, row), view.board.selections.get(row.recipe)
    taken = ""
    if point is not None and selection is not None:
        there = {SUITE: VALIDATION, PROTOCOL: selection.protocol[:TOKEN_LENGTH]}
        links += sweep_link_html(row, **there)
        taken = f'<div class="lr-muted"><small>{name_html(point, 160)}</small></div>'
    return (
        f'<th scope="row" role="rowheader">{arm_mark_html(row.arm)}{name_html(row.arm)} {more} {taken}{uses}'
        f"{_folded_html(arm)}{links}</th>"
    )


def _folded_html(arm: BoardArm) -> str:
    """What unfolds the lines under an arm, where there are any."""
    if arm.is_swept:
        said = f"{len(arm.groups)} points"
    elif len(arm.rows) > 1:
        said = f"{len(arm.rows)} seeds"
    else:
        seed = arm.first.seed
        return "" if seed is None else f'<small class="lr-muted">seed {seed}</small> '
    return f'<details class="lr-fold"><summary>{said}</summary></details>'


def _average_html(view: View, arm: BoardArm) -> str:
    if arm.is_swept:
        return _range_html(arm, AVERAGE)
    return _accuracy_html(view, arm.groups[0], AVERAGE) + _beside_reported(view, arm, AVERAGE, always=True)


def _benchmark_html(view: View, arm: BoardArm, column: str, found: dict[str, Comparison]) -> str:
    if arm.is_swept:
        return _range_html(arm, column)
    shown = _accuracy_html(view, arm.groups[0], column)
    if view.under == INTERVAL:
        return f'<span class="lr-show-interval">{shown}</span>'
    if view.under == REPORTED:
        return shown + _beside_reported(view, arm, column)
    return shown + (
        f'<span class="lr-delta">{difference_html(found[column])}</span>' if column in found else ""
    )


def _accuracy_html(view: View, group: Group, column: str) -> str:
    estimate = view.estimate(group, column)
    if estimate is None:
        value = group.value(column)
        # Of some seeds on other items there is a mean, and nothing that says how far it carries.
        waiting = PENDING if not view.complete else ""
        return NONE if value is None else f'<span class="lr-value">{100 * value:.1f}</span>{waiting}'
    # A point of a sweep was chosen or stands for none of the others: it wins no mark.
    mark = "" if group.rows[0].point else view.marks.get((group.rows[0].arm_id, column), "")
    return accuracy_html(estimate, view.scales[column], mark)


def _range_html(arm: BoardArm, column: str) -> str:
    """From the lowest to the highest of a sweep's points."""
    values = [value for group in arm.groups if (value := group.value(column)) is not None]
    if not values:
        return NONE
    low, high = (f"{100 * value:.1f}" for value in (min(values), max(values)))
    shown = low if low == high else f"{low}–{high}"
    return f'<span class="lr-value lr-muted">{shown}</span>'


def _beside_reported(view: View, arm: BoardArm, column: str, always: bool = False) -> str:
    """Measured minus reported, where the paper reports this arm of this expert."""
    published = view.published(arm)
    value = arm.groups[0].value(column)
    if published is None or value is None:
        return ""
    reported = reported_on(published, column, view.board).value
    points = points_text(100 * (value - reported))
    of = f"{100 * reported:.1f} reported" if always else "reported"
    return (
        f'<span class="lr-delta lr-muted" title="measured minus reported: another protocol, nothing is '
        f'paired">{points} <small>from {of}</small></span>'
    )


def _rank_html(view: View, arm: BoardArm) -> str:
    """`2–4 of 6`: the ranks that the tests leave open."""
    if not view.complete:
        return PENDING
    found = view.ranks.get(arm.first.arm_id)
    if found is None:
        return NONE
    ranks = f"{found.first}" if found.first == found.last else f"{found.first}–{found.last}"
    return f'<span class="lr-value">{ranks}</span><small>of {found.of}</small>'


def _against_html(view: View, arm: BoardArm, baseline: str | None, found: dict[str, Comparison]) -> str:
    if arm.is_swept:
        return _optimism_html(view, arm)
    if baseline is None:
        return NONE
    if not view.complete:
        return PENDING
    return verdict_html(found[AVERAGE], baseline) if AVERAGE in found else NONE


def _optimism_html(view: View, arm: BoardArm) -> str:
    """Of a sweep no point is the arm's own; its best is too good by so much."""
    chosen = Sweep(view.board, arm.groups).chosen if view.complete and len(arm.groups) > 1 else None
    if chosen is None:
        return NONE
    point = name_html(point_text(chosen.group.rows[0].point), 60)
    said = "chosen from" if chosen.is_taken else "best of"
    return (
        f'<span class="lr-said lr-muted">{said} {chosen.points}: {point}</span>'
        f'<small class="lr-muted">{too_high_text(chosen)}</small>'
    )


def _forgotten_html(view: View, arm: BoardArm) -> str:
    """What the arm lost on its recipe's second suite."""
    lost = view.board.forgetting.get(arm.first.recipe)
    if lost is None or arm.group is None:
        return NONE
    found = lost.over_seeds(arm.group) if len(arm.group.rows) > 1 else lost.of(arm.first)
    return forgetting_html(lost.board.suite, found)


def _cost_text(arm: BoardArm, column: str) -> str:
    costs = None if arm.is_swept else run_costs(arm.groups[0])
    if costs is None:
        return NONE
    texts = (f"{costs.tuned_tokens:,.0f}", f"{costs.sampled_problems:,.0f}", duration_text(costs.seconds))
    return dict(zip(COSTS, texts, strict=True))[column]


def _inside_html(view: View, arm: BoardArm) -> str:
    """The points of a sweep, or the seeds, each a line; nothing where one run is all there is."""
    if arm.is_swept:
        return "".join(
            _inner_line(view, point_text(group.rows[0].point), group.rows[-1], group, True)
            for group in arm.groups
        )
    group = arm.groups[0]
    if len(group.rows) == 1:
        return ""
    return "".join(_inner_line(view, f"seed {row.seed}", row, group, False) for row in group.rows)


def _inner_line(view: View, name: str, row: Row, group: Group, whole: bool) -> str:
    """One seed of the `group`, or the `whole` of it with its mean, a point of a sweep."""
    cells = ""
    for column in view.columns:
        style = "lr-average" if column == AVERAGE else ""
        if column in view.scales:
            if whole:
                shown = _accuracy_html(view, group, column)
            else:
                value = row.value(column)
                shown = NONE if value is None else f'<span class="lr-value">{100 * value:.1f}</span>'
        elif column in COSTS:
            shown = name_html(dict(zip(COSTS, cost_texts(row), strict=True))[column].replace(UNKNOWN, "–"))
            style = "lr-cost"
        elif column == FORGETTING:
            lost, shown = view.board.forgetting.get(row.recipe), NONE
            if lost is not None and view.complete:
                shown = forgetting_html(lost.board.suite, lost.of(row))
        else:
            shown = ""
        cells += cell_html(column, shown, style)
    variant = f", {name_html(row.variant)}" if row.variant and whole else ""
    links = links_html(row, view.baseline(group), view.scored)
    return (
        f'<tr role="row" class="lr-inside"><th scope="row" role="rowheader">{name_html(name)}{variant} '
        f"{links}</th>{cells}</tr>"
    )
