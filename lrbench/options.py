"""What several commands take: the recipe, its overrides, the folder of runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one that ships: quickstart.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Fields to set, such as seed=1.")
]
Runs = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar="LRBENCH_RUNS",
        file_okay=False,
        help="Folder of artifacts, ledger and MLflow store.",
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray[=ADDRESS]",
        help="Have workers on a Ray cluster make the stages; without an address on one started here.",
    ),
]
RUNS = Path("runs")
EXPERIMENTS = Path("experiments")


class EditionName(StrEnum):
    """The editions of a study."""

    PAPER = "paper"
    EMBEDDED = "embedded"
