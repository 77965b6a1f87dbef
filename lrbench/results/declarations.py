"""What a recipe's name stands for, where it was declared several times.

`lrbench run RECIPE` declares the recipe of a file, and the same with overrides declares a variation of it.
The name stands for the file: for the latest declaration without overrides. Variations are named by theirs.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.results.ledger import LedgerContents
from lrbench.results.records import RecipeRecord
from lrbench.results.text import plain
from lrbench.results.variations import PLAIN, called, variations

if TYPE_CHECKING:
    from lrbench.results.rows import Row

RUN = ("lrbench", "run")
DEFAULT_RUNS = Path("runs")


def overrides_of(record: RecipeRecord) -> tuple[str, ...]:
    """The overrides that a recipe was declared with, in order; none where it came from no file."""
    try:
        words = shlex.split(record.command)
    except ValueError:
        return ()
    return tuple(words[3:]) if tuple(words[:2]) == RUN else ()


def whole_command(command: str, runs: Path) -> str:
    """A recorded `command` with the folder `runs` that its results are in: records do not hold that one.

    The default folder is left out, as whoever gave the command did.
    """
    return command if runs == DEFAULT_RUNS else shlex.join([*shlex.split(command), "--runs", str(runs)])


def standing(records: Iterable[RecipeRecord]) -> dict[str, RecipeRecord]:
    """What every recipe's name stands for; where each declaration has overrides, the latest.

    One that came from no file (from Python) stands for the name only where there is none from a file.
    """
    found: dict[str, RecipeRecord] = {}
    for record in sorted(records, key=_weight):
        found[record.recipe] = record
    return found


def declared_with(
    overrides: Sequence[str], name: str, records: Iterable[RecipeRecord]
) -> RecipeRecord | None:
    """The latest declaration of `name` with exactly these overrides, whatever their order."""
    found = [
        record
        for record in records
        if record.recipe == name and sorted(overrides_of(record)) == sorted(overrides)
    ]
    return found[-1] if found else None


def latest_of_each(records: Iterable[RecipeRecord], name: str) -> list[RecipeRecord]:
    """The latest declaration of `name` for each set of overrides, in the order first declared."""
    found: dict[tuple[str, ...], RecipeRecord] = {}
    for record in records:
        if record.recipe == name:
            found[tuple(sorted(overrides_of(record)))] = record
    return list(found.values())


def meaning_of(records: Iterable[RecipeRecord]) -> Mapping[str, RecipeRecord]:
    """arm_id -> the last declaration that means the arm."""
    return {arm_id: record for record in records for arm_id in record.arm_ids}


def notes_on_declarations(rows: Iterable[Row], records: Iterable[RecipeRecord]) -> Iterator[str]:
    """Which of the rows their recipe's name does not stand for, and what they are of; plain text."""
    records = list(records)
    names, meaning = standing(records), meaning_of(records)
    apart = [row for row in rows if row.recipe in names and row.arm_id not in names[row.recipe].arm_ids]
    named = [
        (row.recipe, meaning.get(row.arm_id), called(row.arm, row.point, row.variant), row.seed)
        for row in apart
    ]
    for recipe, origin, labels in _by_declaration(named):
        yield f"{recipe} stands for {_declaration(names[recipe])}. Of {origin} alone: {labels}"


def left_out(names: Collection[str], packed: Collection[str], contents: LedgerContents) -> list[str]:
    """The measured results of these recipes that are not among the arms `packed`, a line per declaration."""
    weights = {score.arm_id: score.expert_weights for score in contents.scores}
    varied = variations(contents.arms, weights)
    meaning = meaning_of(contents.recipes)
    named = [
        (
            arm.recipe,
            meaning.get(arm.arm_id),
            called(arm.arm, arm.point, varied.get(arm.arm_id, PLAIN).words),
            arm.seed,
        )
        for arm in contents.arms
        if arm.recipe in names and arm.arm_id not in packed and arm.arm_id in weights
    ]
    return [f"{plain(recipe)}, {origin}: {labels}" for recipe, origin, labels in _by_declaration(named)]


def _by_declaration(
    named: Iterable[tuple[str, RecipeRecord | None, str, int | None]],
) -> Iterator[tuple[str, str, str]]:
    """Recipe, declaration and the labels of its results with their seeds, from one of each by result."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for recipe, record, label, seed in named:
        seeds = found.setdefault((recipe, _declaration(record)), {}).setdefault(label, [])
        seeds += [] if seed is None else [str(seed)]
    for (recipe, declaration), labels in found.items():
        yield recipe, declaration, "; ".join(starmap(_with_seeds, labels.items()))


def _with_seeds(label: str, seeds: Sequence[str]) -> str:
    return f"{label} seed{'s' if seeds[1:] else ''} {', '.join(seeds)}" if seeds else label


def _declaration(record: RecipeRecord | None) -> str:
    if record is None:
        return "no declaration that was recorded"
    return f"`{plain(record.command)}`" if record.command else "a declaration from Python"


def _weight(record: RecipeRecord) -> tuple[bool, bool]:
    """Sorting is stable: among equals the order of the ledger decides, and the last counts."""
    return (not overrides_of(record), bool(record.command))
