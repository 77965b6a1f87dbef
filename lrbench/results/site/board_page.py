"""The first page: contents, what was asked and found, the boards, their sweeps, claims and what to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.choosing import sweeps_of
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.ledger import LedgerContents
from lrbench.results.rendering.layout import Scores, taken_table
from lrbench.results.rendering.sections import Section, Sheet, sheets_of
from lrbench.results.site.arm_index import ArmIndexed, anchor_of, arm_index
from lrbench.results.site.pages import INDEX, HtmlTable, Page
from lrbench.results.site.sweep_charts import SweepChart, sweep_chart
from lrbench.results.wording import LEGEND

# Differences from so many baselines stand open, those that matter most to the recipe; the others unfold.
MOST_OPEN = 2
OF_ONE = "Of an arm that was run once, that run, with an interval that allows for other items alone."


@dataclass(frozen=True)
class Claims:
    """The verdicts at one point of a sweep, or of a recipe without one: each with what it rests on."""

    point: str
    judged: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Shown:
    """Accuracies, and the differences from every baseline, each with whether it stands open."""

    accuracies: HtmlTable
    differences: list[tuple[HtmlTable, bool]]


@dataclass(frozen=True)
class SectionShown:
    """One expert and recipe on one board, at the place `anchor`. `runs` are of every run by itself.

    `means` are over seeds and None where no arm has several. `taken` are the points that were chosen on other
    problems, `sweeps` the arms that stand at several points here.
    """

    section: Section
    anchor: str
    arms: list[ArmIndexed]
    claims: list[Claims]
    taken: HtmlTable | None
    sweeps: list[SweepChart]
    means: Shown | None
    runs: Shown
    beside: list[HtmlTable]

    @property
    def has_points(self) -> bool:
        """Whether an arm stands at points, or was made in several ways."""
        return any(point.where for arm in self.arms for point in arm.points)

    @property
    def has_tokens(self) -> bool:
        """Whether what an arm learnt from is there to be seen."""
        return any(point.tokens for arm in self.arms for point in arm.points)


@dataclass(frozen=True)
class BoardShown:
    """One suite under one protocol, at the place `anchor`."""

    sheet: Sheet
    anchor: str
    sections: list[SectionShown]
    reported: list[HtmlTable]


def board_page(
    title: str,
    boards: Sequence[Board],
    contents: LedgerContents,
    links: Mapping[str, str],
    tokens: Mapping[str, str],
) -> Page:
    """The page; `links` lead from an arm's id to its own page, `tokens` to what it learnt from."""
    shown = []
    for number, sheet in enumerate(sheets_of(boards, contents.recipes), 1):
        anchor = f"board-{number}"
        sections = [
            _section(section, links, tokens, f"{anchor}-{place}")
            for place, section in enumerate(sheet.sections, 1)
        ]
        shown.append(BoardShown(sheet, anchor, sections, list(map(HtmlTable.of, sheet.reported))))
    return Page(INDEX, title, "board.html.jinja", {"boards": shown, "legend": LEGEND})


def _section(
    section: Section, links: Mapping[str, str], tokens: Mapping[str, str], anchor: str
) -> SectionShown:
    # A mean leads to the runs that it is of.
    of_arms = {row.arm_id: f"#{anchor_of(section.board, row)}" for row in section.rows}
    means, taken = section.means(), taken_table(section.board, section.rows)
    sweeps = sweeps_of(section.board, section.rows)
    title = f"{section.of_means} {OF_ONE}"
    return SectionShown(
        section,
        anchor,
        arm_index(section.board, section.rows, links, tokens),
        claims=list(_claims(section)),
        taken=None if taken is None else HtmlTable.of(taken, of_arms),
        sweeps=[chart for sweep in sweeps if (chart := sweep_chart(sweep)) is not None],
        means=None if means is None else _shown(section, _with_single(section, means), title, of_arms),
        runs=_shown(section, section.runs(), "Accuracy and cost", links),
        beside=[HtmlTable.of(table, links) for table in section.beside()],
    )


def _shown(section: Section, scores: Scores, title: str, links: Mapping[str, str]) -> Shown:
    differences = list(scores.differences())
    foremost = _foremost(section) or [baseline for baseline, _ in differences]
    return Shown(
        HtmlTable.of(scores.accuracies(title), links),
        [(HtmlTable.of(table, links), baseline in foremost[:MOST_OPEN]) for baseline, table in differences],
    )


def _with_single(section: Section, means: Scores) -> Scores:
    """The means with the arms of one run among them: what has no seed, and what is not yet run again."""
    several = {row.arm_id for group in section.board.groups if len(group.rows) > 1 for row in group.rows}
    single = [
        replace(line, against={}, best={}, costs=())
        for line in section.runs().lines
        if line.about not in several
    ]
    # The order of the board, in which what others are set against stands first.
    place = {row.arm_id: number for number, row in enumerate(section.rows)}
    lines = sorted([*single, *means.lines], key=lambda line: place[line.about])
    return replace(means, lines=tuple(lines))


def _foremost(section: Section) -> list[str]:
    """What the arm that the recipe is about is set against, what matters most first."""
    about = next((row for row in section.rows if section.board.is_subject(row)), None)
    return [] if about is None else section.board.foremost(about)


def _claims(section: Section) -> Iterator[Claims]:
    if section.unread:
        yield Claims("", [(line, []) for line in section.unread])
    for point, judgements in section.claims:
        judged = [claim_lines(judgement) for judgement in judgements]
        lines = [(claim, [reason.strip() for reason in reasons]) for claim, *reasons in judged]
        yield Claims(point_text(point), lines)
