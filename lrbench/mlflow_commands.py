"""The commands on MLflow's mirror of the ledger: each parses, calls one function and prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lrbench.options import RUNS, Runs
from lrbench.output import tell, tell_own


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (rebuild, register, mlflow):
        app.command()(command)


def rebuild(runs: Runs = RUNS) -> None:
    """Bring MLflow up to date with the ledger, or make it anew after it was deleted."""
    from lrbench.results.mlflow.mirror import mirror

    tell(mirror(runs).sentence)


def register(
    result: Annotated[
        str,
        typer.Argument(
            metavar="RESULT", help="Its id or the start of it, ARM, RECIPE/ARM or RECIPE/ARM/SEED."
        ),
    ],
    runs: Runs = RUNS,
) -> None:
    """Register a trained arm's adapter as a model in MLflow, with its model card and signature."""
    from lrbench.pipeline.exporting.registering import register_result

    tell(str(register_result(result, runs)))


def mlflow(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where, on this machine.")] = 5000,
    runs: Runs = RUNS,
) -> None:
    """Open MLflow's pages on the store of the runs folder, for this machine alone."""
    from lrbench.results.mlflow.serving import check_servable, opening, serve

    check_servable(runs, port)
    tell_own(opening(runs, port))
    sys.stdout.flush()
    serve(runs, port)
