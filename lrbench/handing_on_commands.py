"""The commands that hand on what was made: each parses, calls one function and prints."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrbench.errors import UserError
from lrbench.options import EXPERIMENTS, RUNS, EditionName, Runs
from lrbench.output import tell


class ModelDtype(StrEnum):
    """What `export --merge` and `convert` write."""

    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (export, convert, judge, bundle, verify):
        app.command()(command)
    app.command("export-site")(export_site)


def _refuse_format(given: str | None) -> None:
    """Whoever asks for a format wants numbers, which another command has."""
    if given is not None:
        raise UserError(
            "`export` writes a model: an adapter or, with --merge, a whole one, as safetensors; it has no "
            "--format. Numbers are written by `lrbench results --format csv` (or json, markdown, latex, ...)"
        )


def export(
    result: Annotated[
        str,
        typer.Argument(
            metavar="RESULT", help="Its id or the start of it, ARM, RECIPE/ARM or RECIPE/ARM/SEED."
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder to write into.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="A whole model, checked against expert and adapter.")
    ] = False,
    dtype: Annotated[
        ModelDtype | None, typer.Option("--dtype", help="Of the merged model; else as it was measured.")
    ] = None,
    _format: Annotated[
        str | None, typer.Option("--format", hidden=True, is_eager=True, callback=_refuse_format)
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Write a trained arm as an adapter or, with --merge, as a standalone model, with its model card."""
    from lrbench.pipeline.exporting.publishing import export_result

    tell(str(export_result(result, runs, to, merge=merge, dtype=dtype, say=tell)))


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE.gguf", help="A model in the GGUF format.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder to write into.")],
    dtype: Annotated[
        ModelDtype, typer.Option("--dtype", help="Of the weights that are written.")
    ] = ModelDtype.BFLOAT16,
) -> None:
    """Write the model of a GGUF file, dequantised, as a folder that a recipe can name."""
    from lrbench.models.conversion.converting import convert_file

    tell(str(convert_file(file, to, dtype.value, say=tell)))


def judge(
    results: Annotated[
        list[str],
        typer.Argument(metavar="RESULT...", help="Whose graded answers judges are shown; as of `export`."),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder: a suite for recipes.")],
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Which of two answers is right, asked in both orders.")
    ] = False,
    on: Annotated[
        list[str] | None, typer.Option("--on", metavar="BENCHMARK", help="Else all; may be repeated.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="At most so many right answers, or pairs.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which answers are chosen, and their order.")] = 0,
    runs: Runs = RUNS,
) -> None:
    """Write a suite that asks models whether answers are right, made from answers that were graded here."""
    from lrbench.pipeline.exporting.judge_suite import write_judge_suite

    tell(write_judge_suite(results, runs, to, pairs=pairs, benchmarks=on or (), count=count, seed=seed))


def bundle(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... [KEY=VALUE]...",
            help="A study, or recipes with results; with overrides, one run with them.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file, such as results.tar.gz.")],
    edition: Annotated[EditionName, typer.Option("--edition", help="Of a study.")] = EditionName.EMBEDDED,
    runs: Runs = RUNS,
) -> None:
    """Pack everything behind the tables of a study, or of recipes, into one file for `verify`."""
    from lrbench.results.bundle.contents import bundle_by_name

    tell(str(bundle_by_name(names, edition.value, EXPERIMENTS, runs, to)))


def export_site(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="A study, or recipes with results.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder to write into.")],
    edition: Annotated[EditionName, typer.Option("--edition", help="Of a study.")] = EditionName.EMBEDDED,
    runs: Runs = RUNS,
) -> None:
    """Write results as web pages that open from a file and need no server."""
    from lrbench.results.site.exporting import export_site as write

    tell(str(write(names, edition.value, EXPERIMENTS, runs, to)))


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file that `bundle` wrote.")],
) -> None:
    """Check a bundle without models or network: every hash, verdict, key and table is derived again."""
    from lrbench.results.bundle.verifying import verify_bundle

    verification = verify_bundle(bundle)
    for finding in verification.findings:
        tell(finding)
    tell(str(verification))
    if verification.findings:
        raise typer.Exit(1)
