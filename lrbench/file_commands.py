"""The commands on result files of any harness: each parses, calls one function and prints."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.errors import UserError
from lrbench.options import RUNS, Runs
from lrbench.output import complain, tell
from lrbench.store.files import write_atomically

if TYPE_CHECKING:
    from lrbench.results.claims.gates import Asked, Gate

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Result files or folders: of lm-eval, inspect_ai, Every Eval Ever, CSV or JSON lines; "
        "NAME=FILE calls a system otherwise.",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", metavar="NAME", help="What counts as the outcome, where files have several."),
]


class ComparisonFormat(StrEnum):
    """How `compare` prints."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(compare)
    app.command("import")(import_)
    app.command()(gate)


def compare(
    files: Files,
    metric: Metric = None,
    format_: Annotated[
        ComparisonFormat, typer.Option("--format", help="How to print.")
    ] = ComparisonFormat.TEXT,
) -> None:
    """Compare systems by their result files, each with the first: difference, interval, verdict, flips."""
    import json

    from lrbench.results.console import Screen
    from lrbench.results.foreign.comparing import compare_files
    from lrbench.results.foreign.contrast_words import (
        compared_to_json,
        compared_to_markdown,
        show_compared,
    )

    compared = compare_files(files, metric)
    if format_ is ComparisonFormat.TEXT:
        show_compared(compared, Screen())
    elif format_ is ComparisonFormat.MARKDOWN:
        tell(compared_to_markdown(compared), nl=False)
    else:
        tell(json.dumps(compared_to_json(compared), indent=2))


def import_(
    files: Files,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="What they stand under, as results of a recipe do.")
    ] = "imported",
    metric: Metric = None,
    claims: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="CLAIM", help="Such as 'tuned > base on average'; may be repeated."),
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Put systems of result files into the ledger: boards, tests and claims, apart from measured rows."""
    from lrbench.results.foreign.recording import import_files

    imported = import_files(files, runs, name, metric, claims or ())
    for remark in imported.remarks:
        complain(f"warning: {remark}")
    if imported.new == 0:
        tell(f"Nothing to do: {', '.join(imported.arms)} of {imported.name} are in the ledger already.")
        return
    tell(
        f"{', '.join(imported.arms)} on {', '.join(imported.benchmarks)}: recorded under {imported.name}. "
        f"`lrbench results --recipe {imported.name}` shows them."
    )


def gate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE [KEY=VALUE]... | FILE...", help="A recipe that was run, or result files."
        ),
    ],
    no_worse_than: Annotated[
        str | None,
        typer.Option("--no-worse-than", metavar="BASE", help="An arm, a system of the files, or a file."),
    ] = None,
    by: Annotated[float | None, typer.Option("--by", metavar="POINTS", help="What is allowed.")] = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="WHERE", help="A benchmark, or average (the default); may be repeated."),
    ] = None,
    arm: Annotated[
        str | None, typer.Option("--arm", help="Of a recipe, which arm; else the one it is about.")
    ] = None,
    metric: Metric = None,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", metavar="FILE", dir_okay=False, help="Write the verdict as Markdown."),
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Judge claims, or that nothing got worse, for a script: exits 0 supported, 3 refuted, 4 inconclusive."""
    from lrbench.recipe.finding import SUFFIXES, found_recipe
    from lrbench.results.claims.gates import asked_of, gate_lines, gate_markdown

    asked = asked_of(no_worse_than, by, tuple(on or ()))
    recipe = found_recipe(targets[0])
    if recipe.endswith(SUFFIXES):
        judged = _gate_recipe(Path(recipe), targets[1:], runs, asked, arm, metric)
    else:
        judged = _gate_files(targets, asked, arm, metric)
    for line in gate_lines(judged):
        tell(line)
    if summary is not None:
        write_atomically(summary, gate_markdown(judged))
    raise typer.Exit(judged.exit_code)


def _gate_recipe(
    path: Path, overrides: list[str], runs: Path, asked: Asked | None, arm: str | None, metric: str | None
) -> Gate:
    from lrbench.pipeline.gating import gate_recipe
    from lrbench.recipe.loading import load_with_warnings, telling_where

    if metric is not None:
        raise UserError("--metric is of result files; a recipe's outcomes have one verdict")
    recipe, warnings = load_with_warnings(path, overrides)
    for warning in warnings:
        complain(f"warning: {warning}")
    with telling_where(path, overrides):
        return gate_recipe(recipe, runs, shlex.join(["lrbench", "run", str(path), *overrides]), asked, arm)


def _gate_files(files: list[str], asked: Asked | None, arm: str | None, metric: str | None) -> Gate:
    from lrbench.results.foreign.gating import gate_files

    if arm is not None:
        raise UserError("--arm is of a recipe; of files, every system but the base is judged")
    if asked is None:
        raise UserError("files make no claims; say what is asked: --no-worse-than BASE --by POINTS")
    if absent := next((file for file in files if "/" not in file and not Path(file).exists()), None):
        raise UserError(
            f"{absent}: there is no such file, and no recipe of that name ships; give the recipe's file "
            f"({absent}.yaml), with the overrides that it was run with, or result files"
        )
    return gate_files(files, asked, metric)
