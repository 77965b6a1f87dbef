"""What a board shows of the arm that a recipe is about, and what it does not, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lrbench.errors import RecipeError
from lrbench.evaluation.statistics import EQUIVALENCE_MARGIN, Comparison
from lrbench.recipe.controlling import absent_controls
from lrbench.recipe.expanding import point_text
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.references import EMBEDDED
from lrbench.recipe.schema import Recipe
from lrbench.results.board import Board
from lrbench.results.board_arms import compared_with
from lrbench.results.choosing import Chosen, Sweep, sweeps_of
from lrbench.results.records import RecipeRecord
from lrbench.results.rows import AVERAGE, Row, grouped
from lrbench.results.text import plain
from lrbench.results.variations import called
from lrbench.results.wording import accuracy_text, difference_text, taken_text

_LONGEST = 60
_AT_POINTS = {
    "ahead": "above it",
    "behind": "below it",
    "equivalent": "equivalent",
    "inconclusive": "not decided",
}


@dataclass(frozen=True)
class Words:
    """Sentences on one recipe's part of a board: what its rows show, and what they leave open."""

    shown: tuple[str, ...]
    left_open: tuple[str, ...]


def words_on(board: Board, section: Sequence[Row], declared: RecipeRecord | None) -> Words | None:
    """What the rows of `section` say of the arm that their recipe is about; None where it is not among them.

    `declared` is what the recipe's name stands for: without it nothing is known of its items and controls.
    """
    rows, swept = asked_about(board, section), _swept(board, section)
    if not rows and not swept:
        return None
    shown = (*_shown(board, rows), *_chosen(board, rows), *_forgotten(board, rows)) if rows else ()
    of_points = (sentence for sweep in swept for sentence in _of_points(sweep))
    about = rows or list(swept[0].groups[0].rows)
    return Words((*of_points, *shown), tuple(_left_open(about, _recipe(declared))))


def has_words(board: Board, section: Sequence[Row]) -> bool:
    """Whether `words_on` has any, which takes far less than these."""
    return bool(asked_about(board, section) or _swept(board, section))


def asked_about(board: Board, section: Sequence[Row]) -> list[Row]:
    """The rows of `section` that its recipe is about; none where that was neither declared nor leads."""
    # What shows on a second suite, or on what points are chosen on, is told where the first suite is.
    rows = [] if board.answers_nothing(section[0].recipe) else spoken_of(board, section)
    return rows if rows and board.is_meant(rows[-1]) else []


def spoken_of(board: Board, rows: Sequence[Row], meant: Collection[str] = ()) -> list[Row]:
    """The last measured subject, of the arms `meant` before others, and what differs from it by the seed.

    A point of a sweep is none: whoever spoke of one would have chosen it.
    """
    candidates = [row for row in rows if board.is_subject(row) and not row.point]
    if not candidates:
        return []
    latest = max(candidates, key=lambda row: (board.is_meant(row), row.arm_id in meant, row.recorded_at))
    return [row for row in candidates if row.group == latest.group]


def _swept(board: Board, section: Sequence[Row]) -> list[Sweep]:
    """The sweeps of what the recipe is about."""
    recipe = section[0].recipe
    if board.answers_nothing(recipe):
        return []
    # Where its points are chosen elsewhere, those that were measured here before answer nothing.
    selection = board.selections.get(recipe)
    return [
        sweep
        for sweep in sweeps_of(board, section)
        if board.is_meant(sweep.first) and (selection is None or selection.of(sweep.first.arm) is None)
    ]


def _of_points(sweep: Sweep) -> Iterator[str]:
    """The best point and what choosing it is worth, then at how many the arm is above its baselines."""
    board, arm = sweep.board, plain(sweep.first.arm, _LONGEST)
    swept = "; ".join(
        f"{plain(name.rpartition('.')[2], _LONGEST)} {plain(', '.join(map(str, values)), _LONGEST)}"
        for name, values in sweep.fields.items()
    )
    yield f"{arm} was measured at {len(sweep.groups)} points: {swept}."
    chosen = sweep.chosen
    if chosen is None:
        yield f"No point of {arm} is called the best: {sweep.why_none}."
    else:
        best = chosen.group
        average = best.on(AVERAGE) or best.rows[0].on(AVERAGE)
        shown = "" if average is None else f" with {accuracy_text(average)}"
        yield (
            f"The best point on average is {plain(point_text(best.rows[0].point), _LONGEST)}{shown}. It was "
            "chosen by the items that it is measured on, so it looks about "
            f"{chosen.optimism:.1f} points better than it is."
        )
    for baseline in board.foremost(sweep.first):
        found = [compared_with(board, group, baseline).get(AVERAGE) for group in sweep.groups]
        counted = Counter(_verdict(compared) for compared in found if compared is not None)
        if counted:
            counts = ", ".join(
                f"{words} at {counted[verdict]}" for verdict, words in _AT_POINTS.items() if counted[verdict]
            )
            lead = "" if chosen is None else _by_luck(board, chosen, baseline)
            yield f"Against {plain(baseline, _LONGEST)}, each point by itself: {counts}{lead}."


def _by_luck(board: Board, chosen: Chosen, baseline: str) -> str:
    """Where the best point leads by no more than choosing it adds: that it does."""
    compared = compared_with(board, chosen.group, baseline).get(AVERAGE)
    if compared is None or not 0 < compared.difference <= chosen.optimism:
        return ""
    return f"; the best one leads by {compared.difference:.1f}, no more than choosing it adds"


def _recipe(declared: RecipeRecord | None) -> Recipe | None:
    if declared is None:
        return None
    try:
        return recorded_recipe(declared.recipe_yaml, declared.recipe)
    except RecipeError:  # what another version wrote may have words that this one does not know
        return None


def _shown(board: Board, rows: Sequence[Row]) -> Iterator[str]:
    """Against every baseline, those of one verdict together."""
    subject, (group,) = rows[-1], grouped(rows)
    several = len(rows) > 1
    where = f"over {len(rows)} seeds" if several else "in these runs"
    found: dict[str, list[str]] = {"ahead": [], "behind": [], "equivalent": [], "inconclusive": []}
    for baseline in board.foremost(subject):
        delta = subject.against.get(baseline)
        beside = None if delta is None else delta.average
        compared = board.over_seeds(group, baseline).get(AVERAGE) if several else beside
        if compared is not None:
            found[_verdict(compared)].append(
                f"{plain(baseline, _LONGEST)} ({difference_text(compared.difference)})"
            )
    name = plain(called(subject.arm, subject.point, subject.variant), _LONGEST)
    around = {
        "ahead": (f"{name} is above", f"on average {where}."),
        "behind": (f"{name} is below", f"on average {where}."),
        "equivalent": (f"{name} is equivalent to", f"within {EQUIVALENCE_MARGIN:g} points {where}."),
        "inconclusive": (f"Not decided {where}: {name} against", "(neither a difference nor equality)."),
    }
    for verdict, (before, after) in around.items():
        if found[verdict]:
            yield f"{before} {_listed(found[verdict])} {after}"
    if not any(found.values()):
        yield f"{name} has no baseline measured on the same items."


def _chosen(board: Board, rows: Sequence[Row]) -> Iterator[str]:
    """At which point the arm is, where that was chosen on other problems."""
    text = taken_text(board, rows[-1])
    if text is not None:
        yield f"{plain(rows[-1].arm, _LONGEST)} is at {text}."


def _forgotten(board: Board, rows: Sequence[Row]) -> Iterator[str]:
    """What the arm lost on the second suite, where there is one."""
    subject, (group,) = rows[-1], grouped(rows)
    lost = board.forgetting.get(subject.recipe)
    if lost is None:
        return
    compared = lost.over_seeds(group) if len(rows) > 1 else lost.of(subject)
    if compared is None:
        return
    words = {
        "ahead": "it is above the untrained expert",
        "behind": "it is below the untrained expert",
        "equivalent": f"it is equivalent to the untrained expert within {EQUIVALENCE_MARGIN:g} points",
        "inconclusive": "it is not decided whether it differs from the untrained expert",
    }
    difference = difference_text(compared.difference)
    yield f"Elsewhere, on {plain(lost.board.suite, _LONGEST)}, {words[_verdict(compared)]} ({difference})."


def _left_open(rows: Sequence[Row], recipe: Recipe | None) -> Iterator[str]:
    if len(rows) == 1 and rows[0].seed is not None:
        yield "Other seeds: each arm was trained once. `seeds: [0, 1, 2]` trains three times."
    if recipe is None:
        return
    absent = absent_controls(recipe)
    if absent and not recipe.claims:
        controls = "; ".join(f"{control.name} ({control.asks})" for control in absent)
        yield f"Whether simpler things do as well: {controls}. `controls: {rows[0].arm}` adds them."
    limit = recipe.evaluation.limit
    if limit is not None:
        yield f"Other items: the first {limit} of each benchmark were answered (`evaluation.limit`)."
    if recipe.pair.expert.model.startswith(EMBEDDED):
        yield "Real models: the embedded world was designed so that the method can be seen at work."


def _verdict(compared: Comparison) -> str:
    if not compared.separated:
        return compared.verdict
    return "ahead" if compared.difference > 0 else "behind"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
