"""The Python face of lrbench: the same functions the command line calls."""

from __future__ import annotations

import os
from pathlib import Path

from lrbench.evaluation.grading import grade
from lrbench.pipeline.plan import Plan, plan_recipe
from lrbench.pipeline.progress import Reporter
from lrbench.pipeline.run import RunReport, run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe

__all__ = ["grade", "load_recipe", "plan", "run", "runs_folder"]


def runs_folder() -> Path:
    """Where artifacts, the ledger and MLflow's store live: $LRBENCH_RUNS, or `runs` here."""
    return Path(os.environ.get("LRBENCH_RUNS", "runs"))


def plan(recipe: Recipe, runs: Path | None = None) -> Plan:
    """The stages `recipe` needs; fetches and loads nothing. See `lrbench.pipeline.plan.plan_recipe`."""
    return plan_recipe(recipe, runs or runs_folder(), fetch=False)


def run(recipe: Recipe, runs: Path | None = None, reporter: Reporter | None = None) -> RunReport:
    """Make and measure every arm of `recipe`. See `lrbench.pipeline.run.run_recipe`."""
    return run_recipe(recipe, runs or runs_folder(), reporter)
