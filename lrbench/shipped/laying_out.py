"""A new folder to work in: the recipes and studies that ship, to read, change and run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lrbench.shipped.places import HERE, RECIPES, STUDIES, recipe_names
from lrbench.store.files import storage_errors
from lrbench.store.outside import check_target, paths_beside, publish, working_beside

# Beside this file; the targets of the Makefile are those that the recipes' comments name.
GUIDES = ("Makefile", "README.md")


@dataclass(frozen=True)
class LaidOut:
    """What was written, in numbers."""

    folder: Path
    recipes: int
    studies: int

    def __str__(self) -> str:
        here = "this folder" if self.folder.resolve() == Path.cwd() else self.folder
        return f"{here}: {self.recipes} recipes, {self.studies} studies, a Makefile and README.md"


def lay_out(folder: Path) -> LaidOut:
    """Write it all into `folder`, which appears whole or not at all; one that is there is filled at the end.

    Raises `UserError` where there is something already, which is never overwritten, and `StoreError` where
    the system refuses.
    """
    to = folder.absolute()
    if to.is_dir() and not to.is_symlink():
        # Somebody may stand in it, or it may be a mount, and neither can be replaced.
        inside = to / "work"
        check_target(to, but=paths_beside(inside))
        with working_beside(inside) as unfinished, storage_errors(unfinished):
            # Another process may have filled it meanwhile.
            check_target(to, but=paths_beside(inside))
            whole = unfinished / "whole"
            _write(whole)
            for made in sorted(whole.iterdir()):
                made.rename(to / made.name)
    else:
        check_target(to)
        with storage_errors(to):
            to.parent.mkdir(parents=True, exist_ok=True)
        with working_beside(to) as unfinished, storage_errors(unfinished):
            _write(unfinished / "whole")
            publish(unfinished / "whole", to)
    return LaidOut(folder, len(recipe_names()), len(_studies()))


def _write(whole: Path) -> None:
    shutil.copytree(RECIPES, whole / "recipes", copy_function=shutil.copyfile)
    (whole / "experiments").mkdir()
    for file in _studies():
        shutil.copyfile(file, whole / "experiments" / file.name)
    for name in GUIDES:
        shutil.copyfile(HERE / name, whole / name)


def _studies() -> list[Path]:
    return sorted(STUDIES.glob("*.yaml"))
