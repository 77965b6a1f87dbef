"""The Python face of lrbench: the same functions the command line calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.grading import grade
from lrbench.pipeline.lines import LineReporter
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.progress import Reporter
from lrbench.pipeline.run import RunReport, run_recipe
from lrbench.recipe.loading import load_fields, load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results import frames
from lrbench.results.foreign.comparing import FilesCompared, compare_files

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

__all__ = [
    "LineReporter",
    "compare",
    "curves",
    "grade",
    "items",
    "leaderboard",
    "load_recipe",
    "plan",
    "rollouts",
    "run",
    "runs_folder",
    "scores",
    "steps",
]

AnyRecipe = Recipe | str | Path | Mapping[str, Any]


def runs_folder() -> Path:
    """Where artifacts, the ledger and MLflow's store live: $LRBENCH_RUNS, or `runs` here."""
    return Path(os.environ.get("LRBENCH_RUNS", "runs"))


def plan(recipe: AnyRecipe, runs: Path | str | None = None) -> Plan:
    """The stages that a recipe, its file or its fields need; fetches and loads nothing.

    See `lrbench.pipeline.planning.plan_recipe`.
    """
    return plan_recipe(recipe_of(recipe), _folder(runs), fetch=False)


def run(
    recipe: AnyRecipe,
    runs: Path | str | None = None,
    reporter: Reporter | None = None,
    on: str | None = None,
) -> RunReport:
    """Make and measure every arm of a recipe, given as such, as its file or as its fields.

    `reporter` is told how the work goes; `LineReporter()` prints a line of it every few seconds. `on` is
    where: `ray` or `ray=ADDRESS`. See `lrbench.pipeline.run.run_recipe`.

    What could not be done for some arms, seeds or points is in the report's `failures`, and logged as
    warnings; running again tries it once more. An exception says why nothing more could be done at all.
    """
    report = run_recipe(recipe_of(recipe), _folder(runs), reporter, on=on)
    for failure in report.failures:
        logger.warning("not done: %s", failure)
    return report


def recipe_of(given: AnyRecipe) -> Recipe:
    """The recipe itself, that of a file, or that of fields as a file would have them.

    Raises `RecipeError`, which says what is wrong with it and where.
    """
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str | Path):
        return load_recipe(given)
    return load_fields(given)


def leaderboard(recipe: str | None = None, *, runs: Path | str | None = None) -> pa.Table:
    """The leaderboard's numbers as an Arrow table. See `lrbench.results.frames.leaderboard`."""
    return frames.leaderboard(_folder(runs), recipe)


def scores(recipe: str | None = None, arm: str | None = None, *, runs: Path | str | None = None) -> pa.Table:
    """What each arm scored on each benchmark. See `lrbench.results.frames.scores`."""
    return frames.scores(_folder(runs), recipe, arm)


def items(
    recipe: str | None = None,
    arm: str | None = None,
    benchmark: str | None = None,
    *,
    runs: Path | str | None = None,
) -> pa.Table:
    """Every graded answer. See `lrbench.results.frames.items`."""
    return frames.items(_folder(runs), recipe, arm, benchmark)


def rollouts(
    recipe: str | None = None, arm: str | None = None, *, runs: Path | str | None = None
) -> pa.Table:
    """Every scored rollout. See `lrbench.results.frames.rollouts`."""
    return frames.rollouts(_folder(runs), recipe, arm)


def steps(recipe: str | None = None, arm: str | None = None, *, runs: Path | str | None = None) -> pa.Table:
    """Every scored step. See `lrbench.results.frames.steps`."""
    return frames.steps(_folder(runs), recipe, arm)


def curves(recipe: str | None = None, arm: str | None = None, *, runs: Path | str | None = None) -> pa.Table:
    """What training measured, update by update. See `lrbench.results.frames.curves`."""
    return frames.curves(_folder(runs), recipe, arm)


def _folder(runs: Path | str | None) -> Path:
    return runs_folder() if runs is None else Path(runs)


def compare(*files: Path | str, metric: str | None = None) -> FilesCompared:
    """Compare the systems in result files or folders with the first of them.

    See `lrbench.results.foreign.comparing.compare_files`; `contrast_words` beside it puts it into words.
    """
    return compare_files(map(str, files), metric)
