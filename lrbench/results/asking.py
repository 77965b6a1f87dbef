"""What a recipe asked of an expert and what was found: its claims, else what it compares, and its controls.

A point of a sweep answers nothing: it was chosen, or stands for none of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lrbench.evaluation.statistics import Comparison
from lrbench.methods.controls import CONTROLS, SFT
from lrbench.methods.presets import UNTRAINED
from lrbench.results.board import Board
from lrbench.results.board_arms import compared_with
from lrbench.results.choosing import Sweep, sweeps_of
from lrbench.results.claims import Judgement, claims_of, judge_recipe
from lrbench.results.claims.in_words import unheld_line
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import AVERAGE, Group, Row
from lrbench.results.telling import spoken_of
from lrbench.results.wording import sections

# What stands beside a claim: the baselines that every arm is set against are no further question.
CONTROLS_BEYOND = frozenset(control.name for control in CONTROLS) - {UNTRAINED.name, SFT}


@dataclass(frozen=True)
class Held:
    """The subject set against one of its baselines or controls, on average."""

    baseline: str
    compared: Comparison


@dataclass(frozen=True)
class Asked:
    """A recipe with one expert, its `rows`, and what they answer.

    `subject` is None where nothing that the recipe asks of was measured, or stands at points alone. `judged`
    are the verdicts on its claims where it is no sweep, and `judged_at` those at every point where it is one;
    `held` are its baselines and controls, that which matters most first. `unheld` says which controls its
    claims lack.
    """

    rows: tuple[Row, ...]
    subject: Group | None
    judged: tuple[Judgement, ...]
    judged_at: tuple[tuple[Judgement, ...], ...]
    held: tuple[Held, ...]
    sweeps: tuple[Sweep, ...]
    unheld: str | None

    @property
    def first(self) -> Row:
        """A row that says which recipe and expert this is."""
        return self.rows[0]


def asked_of(board: Board, declared: Mapping[str, RecipeRecord]) -> Iterator[list[Row]]:
    """The rows of every recipe and expert of a board, the latest measured first.

    What a recipe measures on a second suite, or to choose points by, answers nothing there.
    """
    found = [section for section in sections(board) if not board.answers_nothing(section[0].recipe)]
    yield from sorted(
        found,
        key=lambda rows: (rows[0].recipe in declared, max(row.recorded_at for row in rows)),
        reverse=True,
    )


def answer_to(board: Board, rows: Sequence[Row], declared: Mapping[str, RecipeRecord]) -> Asked:
    """What the rows of one recipe and expert, all of the board's, answer."""
    record = declared.get(rows[0].recipe)
    meant = frozenset() if record is None else frozenset(record.arm_ids)
    spoken = spoken_of(board, rows, meant)
    subject = None
    if spoken:
        own = {row.arm_id for row in spoken}
        subject = next(group for group in reversed(board.groups) if own >= {row.arm_id for row in group.rows})
    judged = [] if record is None else judge_recipe(record, board, list(rows))
    is_one = len(judged) == 1 and not judged[0][0]
    # What the recipe is about comes first.
    sweeps = sorted(sweeps_of(board, rows), key=lambda sweep: not board.is_subject(sweep.first))
    return Asked(
        rows=tuple(rows),
        subject=subject,
        judged=judged[0][1] if is_one else (),
        judged_at=() if is_one else tuple(judgements for _, judgements in judged),
        held=tuple(_held(board, subject)) if subject is not None else (),
        sweeps=tuple(sweeps),
        unheld=None if record is None or not record.claims else unheld_line(record),
    )


def asked_first(board: Board, rows: Sequence[Row], declared: Mapping[str, RecipeRecord]) -> list[Row]:
    """The rows of a board, those before the others that a reader looks for first.

    Of the recipe measured last, the arm that its first claim speaks of, else its subject, else what was
    trained; of an arm what was measured last.
    """
    latest: dict[str, str] = {}
    for row in rows:
        latest[row.recipe] = max(row.recorded_at, latest.get(row.recipe, ""))
    claimed = {
        name: [claim.first for claim in claims_of(declared[name])[0]] for name in latest if name in declared
    }

    def place(row: Row) -> tuple[int, int]:
        firsts = claimed.get(row.recipe, [])
        if row.arm in firsts:
            return 0, firsts.index(row.arm)
        trained = row.costs is not None and row.costs.updates > 0
        return (1 if board.is_subject(row) else 2 if trained else 3), 0

    # Each sort keeps the order of the one before among equals.
    found = sorted(rows, key=lambda row: row.recorded_at, reverse=True)
    found.sort(key=place)
    return sorted(found, key=lambda row: latest[row.recipe], reverse=True)


def _held(board: Board, subject: Group) -> Iterator[Held]:
    for baseline in board.foremost(subject.rows[-1]):
        compared = compared_with(board, subject, baseline).get(AVERAGE)
        if compared is not None:
            yield Held(baseline, compared)
