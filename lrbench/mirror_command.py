"""The command `mirror`: the ledger in another tracker than MLflow, which every run is mirrored to anyway."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lrbench.options import RUNS, Runs
from lrbench.output import tell


class Tracker(StrEnum):
    """The trackers that `mirror` knows."""

    TRACKIO = "trackio"


def mirror(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECIPE]...", help="Recipes with results, by their names; else all."),
    ] = None,
    to: Annotated[Tracker, typer.Option("--to", help="The tracker.")] = Tracker.TRACKIO,
    runs: Runs = RUNS,
) -> None:
    """Mirror results to another tracker than MLflow; doing it again adds nothing."""
    from lrbench.results.mirrors.keeping import mirror_to
    from lrbench.results.mirrors.trackio import Trackio

    keepers = {Tracker.TRACKIO: Trackio}
    tell(mirror_to(keepers[to](runs), runs, recipes or ()).sentence)
