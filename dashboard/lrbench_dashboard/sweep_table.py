"""A sweep as tables: every point with its interval and verdict, and the recipe's claims at all points."""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lrbench.recipe.expanding import point_text, value_text
from lrbench.results.board import Board
from lrbench.results.board_arms import compared_with, declared_baseline, estimate_of
from lrbench.results.choosing import Sweep
from lrbench.results.claims import Judgement
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.selection import edges_text
from lrbench.results.web.sweep_baselines import fields_of
from lrbench.results.web.text import name_html
from lrbench.results.wording import accuracy_text, too_high_text
from lrbench_dashboard import state
from lrbench_dashboard.answers import VERDICTS
from lrbench_dashboard.context import PROTOCOL, SUITE, latest_moment, token_of
from lrbench_dashboard.links import links_html
from lrbench_dashboard.look import table_html
from lrbench_dashboard.numbers import NONE, points_text, verdict_html

NO_ANSWER = "No point is the recipe's answer."
TAKEN = "That point was then measured on the recipe's suite, where nothing was chosen and this luck is gone."
Judged = Sequence[tuple[Mapping[str, Any], Sequence[Judgement]]]


def summary_html(board: Board, sweep: Sweep, column: str, scored: Collection[str]) -> str:
    """Every point with where it leads, the highest first; the tokens of those `scored` can be looked at."""
    fields = fields_of(sweep)
    ranked = sorted(sweep.groups, key=lambda group: -(group.value(column) or -1.0))
    chosen = sweep.chosen
    lines = []
    for group in ranked:
        row = group.rows[-1]
        is_best = chosen is not None and chosen.group is group and column == AVERAGE
        best = ' <span class="lr-best lr-of-runs">highest</span>' if is_best else ""
        if sweep.is_taken(group):
            best += ' <span class="lr-tag">chosen</span>'
        values = [_value_html(group, name) for name in fields]
        values[0] += best
        links = links_html(row, declared_baseline(board, group), scored)
        shown = [_accuracy(group, column), str(len(group.rows)), _against(board, group, column), links]
        lines.append([*values, *shown])
    head = [*map(name_html, fields.values()), f"{name_html(column)}, percent", "runs"]
    head += ["against its baseline", "leads to"]
    return table_html(head, lines, "Every point of the sweep")


def none_html(rows: Iterable[Row], boards: Iterable[Board]) -> str:
    """That no arm stands at several points here, and where those are that its point was chosen among."""
    recipes = {row.recipe for row in rows}
    found = [board for board in boards if board.validation_of & recipes]
    said = "No arm here stands at several points."
    if not found:
        return f'<p class="lr-note" role="status">{said} A recipe asks for them with <code>sweep</code>.</p>'
    last = max(found, key=latest_moment)
    where = html.escape(state.here(**{SUITE: last.suite, PROTOCOL: token_of(last)}))
    names = ", ".join(name_html(name, 40) for name in sorted(last.validation_of & recipes))
    return (
        f'<p class="lr-note" role="status">{said} Those that the points of {names} were chosen among were '
        f'measured on training problems: <a href="{where}" target="_self">see them there</a>.</p>'
    )


def best_html(sweep: Sweep) -> str:
    """The best point in a sentence, with its optimism."""
    chosen = sweep.chosen
    if chosen is None:
        return f'<p class="lr-note">No point is the highest: {sweep.why_none}.</p>'
    value = chosen.group.value(AVERAGE) or 0.0
    point = name_html(point_text(chosen.group.rows[0].point), 120)
    name = f"{name_html(sweep.first.arm)} at {point}"
    after = TAKEN if chosen.is_taken else NO_ANSWER
    edges = f" Its {name_html(edges_text(chosen.edges), 120)}." if chosen.edges else ""
    return (
        f"<p><b>{name}</b> is the highest of {chosen.points} points on average: {100 * value:.1f}. The items "
        f"that it is measured on chose it, so it is <b>{too_high_text(chosen)}</b>: so "
        f"much is the luck of the best of {chosen.points} equal points. {after}{edges}</p>"
    )


def claims_html(judged: Judged) -> str:
    """A line for every point, a column for every claim: all of it is one family."""
    claims = judged[0][1]
    head = ["point", *(name_html(judgement.claim.text, 120) for judgement in claims)]
    lines = [
        [name_html(point_text(point), 60), *map(_verdict_html, judgements)] for point, judgements in judged
    ]
    return (
        "<h2>Claims at every point</h2>"
        + table_html(head, lines, "Claims at every point")
        + f'<p class="lv-caption">The {claims[0].family} claims of all points are one family (Holm): whoever '
        "looks at every point and speaks of one has chosen among all of them.</p>"
    )


def _verdict_html(judgement: Judgement) -> str:
    found = judgement.evidence
    points = "" if found is None else f" {points_text(found.difference)}"
    return f'<b class="lr-{VERDICTS[judgement.verdict]}">{judgement.verdict}</b>{points}'


def _value_html(group: Group, name: str) -> str:
    point = group.rows[0].point
    return name_html(value_text(point[name])) if name in point else NONE


def _accuracy(group: Group, column: str) -> str:
    estimate = estimate_of(group, column)
    if estimate is not None:
        return accuracy_text(estimate)
    value = group.value(column)
    return NONE if value is None else f"{100 * value:.1f}"


def _against(board: Board, group: Group, column: str) -> str:
    baseline = declared_baseline(board, group)
    found = {} if baseline is None else compared_with(board, group, baseline)
    if baseline is None or column not in found:
        return NONE
    return f'<span class="lr-one-line">{verdict_html(found[column], baseline)}</span>'
