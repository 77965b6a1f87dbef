"""Runs of a recipe in processes of their own, to be killed or to compete, and what runs have left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrbench.pipeline.stages.base import Stage
    from lrbench.store.artifact import Artifact


def artifact_of(runs: Path, stage: Stage) -> Artifact:
    """What a finished stage has made."""
    from lrbench.store.store import Store

    found = Store(runs / "store").look(stage.name, stage.key)
    assert found is not None
    return found


def run_noting_commits(recipe: Path, runs: Path, log: Path) -> None:
    """Run a recipe, with a line in `log` for every commit of a draft, and the stages worked on beside it."""
    from lrbench.pipeline.run import run_recipe
    from lrbench.pipeline.stages.solutions import CheckedSolutions
    from lrbench.recipe.loading import load_recipe
    from lrbench.store.draft import Draft

    os.environ["LRBENCH_MLFLOW"] = "off"
    # Random models solve nothing; let every third sampled solution count as right.
    CheckedSolutions.is_right = lambda _self, index, _ids, _workspace: index % 3 == 0  # type: ignore[method-assign]
    commit = Draft.commit

    def noted(self: Draft, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> Path:
        path = commit(self, name, write, seconds)
        with log.open("a") as stream:
            stream.write(f"{self._origin.stage} {self._origin.key} {name}\n")
        return path

    Draft.commit = noted  # type: ignore[method-assign]
    worked = run_recipe(load_recipe(recipe), runs).worked
    with log.with_name(f"{log.name}.worked").open("a") as stream:
        stream.write(f"{worked}\n")
