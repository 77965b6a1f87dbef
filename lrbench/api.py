"""The Python face of lrbench: the same functions the command line calls."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from lrbench.grading import grade
from lrbench.pipeline.plan import Plan, plan_recipe
from lrbench.pipeline.progress import Reporter
from lrbench.pipeline.run import RunReport, run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.foreign.comparing import FilesCompared, compare_files

logger = logging.getLogger(__name__)

__all__ = ["compare", "grade", "load_recipe", "plan", "run", "runs_folder"]


def runs_folder() -> Path:
    """Where artifacts, the ledger and MLflow's store live: $LRBENCH_RUNS, or `runs` here."""
    return Path(os.environ.get("LRBENCH_RUNS", "runs"))


def plan(recipe: Recipe, runs: Path | None = None) -> Plan:
    """The stages `recipe` needs; fetches and loads nothing. See `lrbench.pipeline.plan.plan_recipe`."""
    return plan_recipe(recipe, runs or runs_folder(), fetch=False)


def run(recipe: Recipe, runs: Path | None = None, reporter: Reporter | None = None) -> RunReport:
    """Make and measure every arm of `recipe`. See `lrbench.pipeline.run.run_recipe`.

    What could not be done for some arms, seeds or points is in the report's `failures`, and logged as
    warnings; running again tries it once more. An exception says why nothing more could be done at all.
    """
    report = run_recipe(recipe, runs or runs_folder(), reporter)
    for failure in report.failures:
        logger.warning("not done: %s", failure)
    return report


def compare(*files: Path | str, metric: str | None = None) -> FilesCompared:
    """Compare the systems in result files or folders with the first of them.

    See `lrbench.results.foreign.comparing.compare_files`; `contrast_words` there puts the answer into words.
    """
    return compare_files(map(str, files), metric)
