"""The first page: what was asked and found, the boards, their claims and what a reader has to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lrbench.recipe.expanding import point_text
from lrbench.results.board import Board
from lrbench.results.claim_words import claim_lines, unheld_line, unread_lines
from lrbench.results.claims import judge_recipe
from lrbench.results.declarations import notes_on_declarations, standing
from lrbench.results.layout import (
    accuracy_cells,
    answers_cells,
    difference_cells,
    draws_cells,
    mean_cells,
    reported_cells,
    training_cells,
    uses_cells,
)
from lrbench.results.ledger import LedgerContents
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import Row
from lrbench.results.site.pages import INDEX, SCRIPT, Page, Table
from lrbench.results.telling import Words, words_on
from lrbench.results.wording import (
    LEGEND,
    MEANS,
    REPORTED,
    TOOK,
    baselines_of,
    chosen_texts,
    draws_text,
    expert_label,
    noise_texts,
    notes_on,
    only_seed,
    pool_text,
    reported_beside,
    row_label,
    sections,
    seed_means,
)


@dataclass(frozen=True)
class Claims:
    """The verdicts at one point of a sweep, or of a recipe without one: each with what it rests on."""

    point: str
    judged: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Section:
    """One expert and recipe on one board. `tables` come first, `runs` are of every run by itself."""

    expert: str
    recipe: str
    seed: str
    words: Words | None
    claims: list[Claims]
    unheld: str | None
    tables: list[Table]
    runs: list[Table]
    remarks: list[str]


@dataclass(frozen=True)
class BoardShown:
    """One suite under one protocol."""

    suite: str
    protocol: str
    sections: list[Section]
    reported: list[Table]
    notes: list[str]


def board_page(
    title: str, boards: Sequence[Board], contents: LedgerContents, links: Mapping[str, str]
) -> Page:
    """The page; `links` lead from an arm's id to its own page."""
    declared = standing(contents.recipes)
    shown = [
        BoardShown(
            suite=board.suite,
            protocol=board.protocol_hash[:8],
            sections=[_section(board, rows, declared, links) for rows in sections(board)],
            reported=[
                Table.of(
                    f"{expert}, reported, not measured here: {reported[0].source}; {REPORTED}",
                    reported_cells(board, reported, SCRIPT),
                )
                for expert, reported in reported_beside(board).items()
            ],
            notes=[
                *notes_on(board, boards[0] if place else None),
                *notes_on_declarations(board.rows, contents.recipes),
            ],
        )
        for place, board in enumerate(boards)
    ]
    told = {"boards": shown, "legend": LEGEND}
    return Page(INDEX, title, "board.html.jinja", told)


def _section(
    board: Board, section: list[Row], declared: Mapping[str, RecipeRecord], links: Mapping[str, str]
) -> Section:
    recipe = declared.get(section[0].recipe)
    own = {SCRIPT.text(row_label(row, section)): links[row.arm_id] for row in section if row.arm_id in links}
    means = seed_means(board, section)
    tables = list(_over_seeds(board, section)) if means else []
    runs = list(_of_runs(board, section, own))
    return Section(
        expert=expert_label(section[0], board),
        recipe=section[0].recipe,
        seed=only_seed(section),
        words=words_on(board, section, recipe),
        claims=[] if recipe is None else list(_claims(recipe, board, section)),
        unheld=None if recipe is None else unheld_line(recipe),
        tables=tables or runs,
        runs=runs if tables else [],
        remarks=[*noise_texts(board, section), *chosen_texts(board, section)],
    )


def _of_runs(board: Board, section: list[Row], links: Mapping[str, str]) -> Iterator[Table]:
    yield Table.of("Accuracy and cost", accuracy_cells(board, section, SCRIPT), links)
    for baseline in baselines_of(board, section):
        cells = difference_cells(board, section, baseline, SCRIPT)
        yield Table.of(f"Difference from {baseline} in points, these runs", cells, links)
    if (used := uses_cells(section, SCRIPT)) is not None:
        yield Table.of(TOOK, used, links)
    if (sampled := draws_cells(board.columns, section, SCRIPT)) is not None:
        yield Table.of(draws_text(section), sampled, links)
    for title, cells in answers_cells(section, SCRIPT):
        yield Table.of(title, cells, links)


def _over_seeds(board: Board, section: list[Row]) -> Iterator[Table]:
    means = seed_means(board, section)
    yield Table.of(f"{MEANS} {pool_text(board, section)}", mean_cells(board, means, SCRIPT))
    for baseline in baselines_of(board, section):
        cells = training_cells(board, means, baseline, SCRIPT)
        if cells is not None:
            yield Table.of(f"Difference from {baseline} in points, training like this", cells)


def _claims(recipe: RecipeRecord, board: Board, section: list[Row]) -> Iterator[Claims]:
    if unread := unread_lines(recipe):
        yield Claims("", [(line, []) for line in unread])
    for point, judgements in judge_recipe(recipe, board, section):
        judged = [claim_lines(judgement) for judgement in judgements]
        lines = [(claim, [reason.strip() for reason in reasons]) for claim, *reasons in judged]
        yield Claims(point_text(point), lines)
