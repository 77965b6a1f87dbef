"""The command that says how runs are going."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from lrbench.options import RUNS, Runs
from lrbench.output import tell

SECONDS_BETWEEN_LOOKS = 2.0


def status(
    recipe: Annotated[str | None, typer.Option("--recipe", help="Only this recipe, by its name.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Say it again whenever it changes, until all have ended.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, a process each.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Say how runs on this --runs are going: the stage, how far it is, what is left, what failed."""
    said: list[str] = []
    while True:
        lines, is_running = _lines(recipe, as_json, runs)
        if lines != said:
            for line in lines:
                tell(line)
            said = lines
        if not follow or not is_running:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _lines(recipe: str | None, as_json: bool, runs: Path) -> tuple[list[str], bool]:
    """What there is to say now, and whether any process is at work."""
    from lrbench.results.run_status import STATUS, now, statuses, views
    from lrbench.results.status_words import view_lines

    at = now()
    found = [status for status in statuses(runs) if recipe in (None, status.recipe)]
    is_running = any(status.is_at_work(at) for status in found)
    if as_json:
        return [STATUS.dump_json(status).decode() for status in found], is_running
    if not found:
        whose = "No run" if recipe is None else f"No run of {recipe}"
        return [f"{whose} has left a word in {runs}; `lrbench run RECIPE` starts one."], False
    return [line for view in views(found, at) for line in view_lines(view, at)], is_running
