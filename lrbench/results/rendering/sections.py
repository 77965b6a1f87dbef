"""What is written of boards, in order: every format walks through it, and leaves out what it cannot show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrbench.results.board import Board
from lrbench.results.claims import Judgement, judge_recipe
from lrbench.results.claims.in_words import unheld_line, unread_lines
from lrbench.results.declarations import notes_on_declarations, standing
from lrbench.results.records import RecipeRecord
from lrbench.results.rendering.layout import (
    Scores,
    answers_tables,
    draws_table,
    mean_scores,
    reported_table,
    run_scores,
    uses_table,
)
from lrbench.results.rendering.sheet import Table
from lrbench.results.rows import Row
from lrbench.results.telling import Words, words_on
from lrbench.results.wording import (
    MEANS,
    chosen_texts,
    expert_label,
    noise_texts,
    notes_on,
    only_seed,
    pool_text,
    reported_beside,
    sections,
    seed_means,
)


@dataclass(frozen=True)
class Section:
    """The rows of one expert and recipe on one board. All of it is worked out when it is asked for.

    `recipe` is what the recipe's name stands for, where that is known.
    """

    board: Board
    rows: list[Row]
    recipe: RecipeRecord | None

    @property
    def first(self) -> Row:
        """A row that says whose and which recipe this is."""
        return self.rows[0]

    @property
    def expert(self) -> str:
        """What the expert is called."""
        return expert_label(self.first, self.board)

    @property
    def seed(self) -> str:
        """`seed 0` where all rows have the same; else nothing."""
        return only_seed(self.rows)

    def runs(self, columns: Sequence[str] | None = None) -> Scores:
        """Every run by itself."""
        return run_scores(self.board, self.rows, columns or self.board.columns)

    def means(self, columns: Sequence[str] | None = None) -> Scores | None:
        """Arms over their seeds; None where none has several."""
        means = seed_means(self.board, self.rows)
        return mean_scores(self.board, means, columns or self.board.columns) if means else None

    @property
    def of_means(self) -> str:
        """What the means are, and what their intervals rest on."""
        return f"{MEANS} {pool_text(self.board, self.rows)}"

    def beside(self, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """What answers took, sampled answers, and what is known of answers besides whether they are right."""
        found = (uses_table(self.rows), draws_table(self.rows, columns or self.board.columns))
        yield from filter(None, found)
        yield from answers_tables(self.rows)

    @property
    def noise(self) -> list[str]:
        """A sentence of every arm that was measured once more."""
        return noise_texts(self.board, self.rows)

    @property
    def chosen(self) -> list[str]:
        """A sentence of every sweep's best point."""
        return chosen_texts(self.board, self.rows)

    @cached_property
    def claims(self) -> list[tuple[Mapping[str, Any], tuple[Judgement, ...]]]:
        """The verdicts on the recipe's claims at every point of its sweep."""
        return [] if self.recipe is None else judge_recipe(self.recipe, self.board, self.rows)

    @property
    def unread(self) -> list[str]:
        """A sentence of every claim that this version does not understand."""
        return [] if self.recipe is None else unread_lines(self.recipe)

    @property
    def unheld(self) -> str | None:
        """The controls that the recipe's claims are not held against; nothing where those are not judged."""
        if self.recipe is None or self.board.answers_nothing(self.recipe.recipe):
            return None
        return unheld_line(self.recipe)

    @property
    def words(self) -> Words | None:
        """What the rows show of what the recipe is about, and leave open."""
        return words_on(self.board, self.rows, self.recipe)


@dataclass(frozen=True)
class Sheet:
    """One board: its `sections`, what the paper `reported`, and the `notes` that a reader has to know."""

    board: Board
    sections: list[Section]
    notes: list[str]

    @property
    def protocol(self) -> str:
        """The beginning of the protocol's hash."""
        return self.board.protocol_hash[:8]

    @property
    def reported(self) -> Iterator[Table]:
        """A table for each expert that the paper reports on."""
        for expert, rows in reported_beside(self.board).items():
            yield reported_table(self.board, expert, rows)


def sheets_of(boards: Sequence[Board], recipes: Iterable[RecipeRecord] = ()) -> Iterator[Sheet]:
    """All there is to write of `boards`; of several records of one recipe, its name stands for one."""
    recipes = list(recipes)
    declared = standing(recipes)
    for place, board in enumerate(boards):
        yield Sheet(
            board,
            [Section(board, rows, declared.get(rows[0].recipe)) for rows in sections(board)],
            [*notes_on(board, boards[0] if place else None), *notes_on_declarations(board.rows, recipes)],
        )


def columns_shown(board: Board) -> tuple[str, ...]:
    """The columns for who reads: the average of one benchmark is that benchmark."""
    return board.columns if len(board.benchmarks) > 1 else board.benchmarks
