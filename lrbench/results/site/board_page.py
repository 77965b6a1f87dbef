"""The first page: what was asked and found, the boards, their claims and what a reader has to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.ledger import LedgerContents
from lrbench.results.rendering.layout import Scores
from lrbench.results.rendering.sections import Section, Sheet, sheets_of
from lrbench.results.rendering.sheet import Table
from lrbench.results.site.pages import INDEX, HtmlTable, Page
from lrbench.results.wording import LEGEND


@dataclass(frozen=True)
class Claims:
    """The verdicts at one point of a sweep, or of a recipe without one: each with what it rests on."""

    point: str
    judged: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class SectionShown:
    """One expert and recipe on one board. `tables` come first, `runs` are of every run by itself."""

    section: Section
    claims: list[Claims]
    tables: list[HtmlTable]
    runs: list[HtmlTable]


@dataclass(frozen=True)
class BoardShown:
    """One suite under one protocol."""

    sheet: Sheet
    sections: list[SectionShown]
    reported: list[HtmlTable]


def board_page(
    title: str, boards: Sequence[Board], contents: LedgerContents, links: Mapping[str, str]
) -> Page:
    """The page; `links` lead from an arm's id to its own page."""
    shown = [
        BoardShown(
            sheet,
            [_section(section, links) for section in sheet.sections],
            [HtmlTable.of(table) for table in sheet.reported],
        )
        for sheet in sheets_of(boards, contents.recipes)
    ]
    return Page(INDEX, title, "board.html.jinja", {"boards": shown, "legend": LEGEND})


def _section(section: Section, links: Mapping[str, str]) -> SectionShown:
    means = section.means()
    scores = section.runs()
    runs = [
        HtmlTable.of(table, links) for table in (*_tables(scores, "Accuracy and cost"), *section.beside())
    ]
    over_seeds = [] if means is None else list(map(HtmlTable.of, _tables(means, section.of_means)))
    return SectionShown(
        section,
        claims=list(_claims(section)),
        tables=over_seeds or runs,
        runs=runs if over_seeds else [],
    )


def _tables(scores: Scores, title: str) -> Iterator[Table]:
    yield scores.accuracies(title)
    yield from (table for _, table in scores.differences())


def _claims(section: Section) -> Iterator[Claims]:
    if section.unread:
        yield Claims("", [(line, []) for line in section.unread])
    for point, judgements in section.claims:
        judged = [claim_lines(judgement) for judgement in judgements]
        lines = [(claim, [reason.strip() for reason in reasons]) for claim, *reasons in judged]
        yield Claims(point_text(point), lines)
