"""Where a result leads in one click: the items it won and lost, its tokens, its cost, where it comes from."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

from lrbench.results.rows import Row
from lrbench.results.web.text import name_html
from lrbench_dashboard import state

# What a reader follows a result for, as the link says it.
FLIPS, TOKENS, COST, PROVENANCE, SWEEP = "flips", "tokens", "cost", "provenance", "sweep"

# Name, address and what the link is for, as HTML.
Link = tuple[str, str, str]


def links_html(row: Row, baseline: str | None, scored: Collection[str]) -> str:
    """The links of one result: to its flips where it is set against the arm `baseline`, and to its tokens
    where it is among the arms `scored`.
    """
    links: list[Link] = []
    if baseline is not None and baseline in row.against:
        where = state.link("compare", first=row.arm_id, second=row.against[baseline].baseline)
        links.append((FLIPS, where, f"item by item against {name_html(baseline)}"))
    if row.arm_id in scored:
        links.append((TOKENS, state.link("microscope", arm=row.arm_id), "token by token"))
    links.append((COST, state.link("cost", of=row.arm_id), "what it cost, beside what it scores"))
    links.append((PROVENANCE, state.link("provenance", arm=row.arm_id), "where it comes from"))
    return _shown(links)


def sweep_link_html(row: Row, **there: str) -> str:
    """The link of an arm that stands at several points, on this board or, by its tokens, on another one."""
    where = state.link("sweep", of=sweep_token(row), **there)
    return _shown([(SWEEP, where, "every point with its interval")])


def sweep_token(row: Row) -> str:
    """What stands for the sweep of a row's arm in an address."""
    return f"{row.expert_weights} {row.recipe} {row.arm}"


def _shown(links: Sequence[Link]) -> str:
    shown = " ".join(
        f'<a href="{html.escape(where)}" target="_self" title="{title}">{name}</a>'
        for name, where, title in links
    )
    return f'<small class="lr-links">{shown}</small>'
