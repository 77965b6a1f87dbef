"""Studies: running what is missing of one, and making its tables from the ledger."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from lrbench.errors import LrbenchError
from lrbench.pipeline.failures import Failure, ends_run
from lrbench.pipeline.progress import Reporter
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import telling_where
from lrbench.recipe.study import LoadedEdition
from lrbench.results.ledger import Ledger
from lrbench.results.studies.content import Report
from lrbench.results.studies.report import build_report
from lrbench.results.studies.writing import write_report


def run_edition(
    edition: LoadedEdition, runs: Path, reporter: Reporter, on: str | None = None
) -> tuple[Failure, ...]:
    """Run every recipe of `edition`, doing only what no earlier run has done; returns what could not be done.

    A recipe that cannot be run at all is one failure, and the others are run. Raises `LrbenchError`
    subclasses for what ends every run; what is finished stays.
    """
    failures: list[Failure] = []
    for source in edition.recipes:
        command = shlex.join(["lrbench", "run", source.path, *source.overrides])
        reporter.say(f"{edition.study}: {command}")
        try:
            with telling_where(source.path, source.overrides):
                own = run_recipe(source.recipe, runs, reporter, command, on).failures
        except LrbenchError as error:
            if ends_run(error):
                raise
            reporter.say(f"failed  {source.recipe.name}: {error}")
            own = (Failure(("every arm",), ("before work",), str(error)),)
        failures += [failure.of_recipe(source.recipe.name) for failure in own]
    return tuple(failures)


def make_tables(
    editions: Iterable[LoadedEdition], runs: Path, folder: Path
) -> tuple[list[tuple[Report, list[Path]]], list[str]]:
    """The report of each edition with the files written for it below `folder`, and the ledger's broken lines.

    Raises `StoreError` or `LedgerError` when the ledger cannot be read or a file not be written.
    """
    contents = Ledger(runs / "ledger").read()
    reports = [build_report(edition, contents, runs) for edition in editions]
    written = [(report, write_report(report, folder)) for report in reports]
    return written, [str(broken) for broken in contents.broken]
