"""A new folder to work in: the recipes and studies that ship, to read, change and run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import UserError
from lrbench.shipped.places import HERE, RECIPES, STUDIES, recipe_names
from lrbench.store.files import storage_errors
from lrbench.store.outside import check_target, publish, working_beside

# Beside this file; the targets of the Makefile are those that the recipes' comments name.
GUIDES = ("Makefile", "README.md")


@dataclass(frozen=True)
class LaidOut:
    """What was written, in numbers."""

    folder: Path
    recipes: int
    studies: int

    def __str__(self) -> str:
        return f"{self.folder}: {self.recipes} recipes, {self.studies} studies, a Makefile and README.md"


def lay_out(folder: Path) -> LaidOut:
    """Write it all into `folder`, which appears whole or not at all.

    Raises `UserError` where there is something already, which is never overwritten, and `StoreError` where
    the system refuses.
    """
    to = folder.absolute()
    if to == Path.cwd():
        raise UserError("you stand in this folder; name a new one, for example `lrbench init reasoning`")
    check_target(to)
    with storage_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    with working_beside(to) as unfinished, storage_errors(unfinished):
        whole = unfinished / "whole"
        shutil.copytree(RECIPES, whole / "recipes", copy_function=shutil.copyfile)
        (whole / "experiments").mkdir()
        studies = sorted(STUDIES.glob("*.yaml"))
        for file in studies:
            shutil.copyfile(file, whole / "experiments" / file.name)
        for name in GUIDES:
            shutil.copyfile(HERE / name, whole / name)
        publish(whole, to)
    return LaidOut(folder, len(recipe_names()), len(studies))
