"""The command that lays out a folder to work in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrbench.output import tell


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or an empty one.")],
) -> None:
    """Lay out a folder to work in: every recipe and study that ships, and what to type."""
    from lrbench.shipped.laying_out import lay_out

    tell(str(lay_out(folder)))
    enter = "" if folder.resolve() == Path.cwd() else f"  cd {shlex.quote(str(folder))}\n"
    tell(f"Go on with:\n{enter}  lrbench run recipes/quickstart.yaml\n  lrbench dashboard")
