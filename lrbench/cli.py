"""The command line: each command parses, calls one function and prints.

Heavy packages are imported inside the commands, so that `lrbench --help` answers at once.
"""

from __future__ import annotations

import gc
import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lrbench import file_commands, handing_on_commands, keeping_commands, mlflow_commands
from lrbench.board_printing import TableFormat, print_results
from lrbench.dashboard_command import dashboard
from lrbench.ending import run_to_end, write_crash_report
from lrbench.errors import InterruptedRunError, LrbenchError, OutputError, UserError
from lrbench.init_command import init
from lrbench.mirror_command import mirror
from lrbench.options import EXPERIMENTS, RUNS, EditionName, On, Overrides, RecipePath, Runs
from lrbench.output import complain, tell
from lrbench.pipeline.probing import ITEMS
from lrbench.status_command import status

if TYPE_CHECKING:
    from lrbench.pipeline.failures import Failure
    from lrbench.recipe.schema import Recipe
    from lrbench.recipe.study import LoadedEdition
    from lrbench.results.records import ArmRecord, ScoreRecord

app = typer.Typer(
    name="lrbench",
    help="Did this fine-tuning trick really help? Declared experiments, measured side by side.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Tables = Annotated[Path, typer.Option("--out", file_okay=False, help="Folder of tables and figures.")]
TABLES = Path("tables")
BETWEEN_COLLECTIONS = 100_000


class SamplesFormat(StrEnum):
    """How `samples` prints."""

    JSONL = "jsonl"
    REFERENCE = "reference"


def _tell_version(asked: bool) -> None:
    if asked:
        from lrbench import __version__

        tell(f"lrbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which this is.")
    ] = False,
) -> None:
    """Did this fine-tuning trick really help? Declared experiments, measured side by side."""


app.command()(init)


@app.command()
def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Say what needs saying and the results, nothing of progress.")
    ] = False,
    on: On = None,
    runs: Runs = RUNS,
) -> None:
    """Make and measure every arm of a recipe; what is finished already is not done again."""
    from lrbench.pipeline.bars import TerminalReporter
    from lrbench.pipeline.run import run_recipe
    from lrbench.recipe.loading import telling_where
    from lrbench.results.console import Screen

    loaded = _load(recipe, overrides)
    command = shlex.join(["lrbench", "run", str(recipe), *(overrides or [])])
    where = [] if on is None else ["--on", on]
    again = shlex.join([*shlex.split(command), *where, *([] if runs == RUNS else ["--runs", str(runs)])])
    console = Screen()
    try:
        with telling_where(recipe, overrides or ()), TerminalReporter(console, quiet) as reporter:
            report = run_recipe(loaded, runs, reporter, command, on)
    except (KeyboardInterrupt, OutputError) as stop:
        raise _stopped(stop, runs, again) from None
    if report.worked == 0 and not report.failures:
        console.print(f"Nothing to do: all {report.cached} stages of {loaded.name} are finished.")

    def is_of_run(record: ArmRecord | ScoreRecord) -> bool:
        return record.arm_id in report.arm_ids and (
            record.kind == "arm" or record.identity in report.score_ids
        )

    print_results(runs, is_of_run, TableFormat.TABLE, as_run_last=True)
    _tell_failures(report.failures, again)


@app.command()
def worker(recipe: RecipePath, overrides: Overrides = None, runs: Runs = RUNS) -> None:
    """Make stages of a recipe beside others on the same --runs; `lrbench run` records and shows results."""
    from lrbench.pipeline.bars import TerminalReporter
    from lrbench.pipeline.workers import work_from_anywhere
    from lrbench.recipe.loading import telling_where
    from lrbench.results.console import Screen

    loaded = _load(recipe, overrides)
    elsewhere = [] if runs == RUNS else ["--runs", str(runs)]
    words = [str(recipe), *(overrides or []), *elsewhere]
    again = shlex.join(["lrbench", "worker", *words])
    console = Screen()
    try:
        with telling_where(recipe, overrides or ()), TerminalReporter(console) as reporter:
            report = work_from_anywhere(loaded, runs, reporter)
    except (KeyboardInterrupt, OutputError) as stop:
        raise _stopped(stop, runs, again) from None
    parts = f", and parts of others {report.helped} times" if report.helped else ""
    console.print(
        f"Made {report.worked} of {report.stages} stages here{parts}; nothing is left to make. "
        f"`{shlex.join(['lrbench', 'run', *words])}` records and shows the results."
    )
    _tell_failures(report.failures, again)


@app.command()
def plan(
    recipe: RecipePath,
    overrides: Overrides = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="Where it would run, such as h200; else this machine."),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="A line for every benchmark, with its stage's key.")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """Show the stages of a recipe: what is finished, what will run, its tokens, time and memory."""
    from lrbench.pipeline.preflight import foreseen
    from lrbench.pipeline.requirements import checked_plan
    from lrbench.pipeline.showing import show_plan
    from lrbench.recipe.loading import telling_where
    from lrbench.store.store import Store

    loaded, store = _load(recipe, overrides), Store(runs / "store")
    with telling_where(recipe, overrides or ()):
        planned = checked_plan(loaded, runs, store, elsewhere=device is not None)
    show_plan(planned, runs, device, each)
    failures = foreseen(planned.phases[0], store)
    for failure in failures:
        tell(f"cannot  {failure}")
    if failures:
        raise typer.Exit(1)


@app.command()
def check(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE... [KEY=VALUE]...", help="Recipes to check, and fields to set in all."
        ),
    ],
    runs: Runs = RUNS,
) -> None:
    """Say everything that is wrong with recipes and their data, without running anything."""
    from lrbench.pipeline.data import check_data
    from lrbench.pipeline.hazards import remarks_on_fidelity
    from lrbench.pipeline.preflight import foreseen
    from lrbench.pipeline.requirements import checked_plan
    from lrbench.recipe.controlling import missing_controls
    from lrbench.recipe.loading import telling_where
    from lrbench.recipe.references import is_there
    from lrbench.store.store import Store

    overrides = [word for word in recipes if "=" in word and not is_there(Path(word))]
    paths = [Path(word) for word in recipes if word not in overrides]
    if not paths:
        raise UserError("`check` takes one or more recipes; name them before the fields to set")
    wrong, store = 0, Store(runs / "store")
    for path in paths:
        try:
            recipe = _load(path, overrides)
            with telling_where(path, overrides):
                planned = checked_plan(recipe, runs, store)
            check_data(recipe)
        except UserError as error:
            wrong += 1
            complain(str(error))
            continue
        failures = foreseen(planned.phases[0], store)
        wrong += bool(failures)
        for failure in failures:
            complain(f"{path}: cannot {failure}")
        if not failures:
            tell(f"{path}: valid")
            for remark in remarks_on_fidelity(planned.phases[0].arms):
                tell(f"{path}: {remark}")
            if recipe.controls is not None and (missing := missing_controls(recipe)):
                tell(f"{path}: controls that are missing: {'; '.join(missing)}")
    if wrong:
        raise typer.Exit(UserError.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, with which an editor completes fields and underlines mistakes."""
    import json

    from lrbench.recipe.editor_schema import editor_schema

    # Data for a program, in ASCII alone.
    print(json.dumps(editor_schema(), indent=1))


@app.command()
def probe(
    recipe: RecipePath,
    overrides: Overrides = None,
    items: Annotated[
        int, typer.Option("--items", min=1, metavar="N", help="How many training problems are asked.")
    ] = ITEMS,
    runs: Runs = RUNS,
) -> None:
    """Ask before any training whether a recipe's pair has anything to teach; records nothing."""
    from lrbench.pipeline.bars import TerminalReporter
    from lrbench.pipeline.probing.probe import probe_recipe
    from lrbench.pipeline.probing.telling import lines_of
    from lrbench.recipe.loading import load_with_warnings, telling_where
    from lrbench.results.console import Screen

    # Warnings are of fields that no arm reads, and arms are no matter here: the probe reads alpha and beta.
    loaded, _ = load_with_warnings(recipe, overrides or [])
    with telling_where(recipe, overrides or ()), TerminalReporter(Screen()) as reporter:
        probes = probe_recipe(loaded, runs, items, reporter)
    for line in lines_of(probes):
        tell(line)


@app.command()
def results(
    recipe: Annotated[str | None, typer.Option("--recipe", help="Only this recipe, by its name.")] = None,
    format_: Annotated[TableFormat, typer.Option("--format", help="How to print.")] = TableFormat.TABLE,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="PATH", help="Where parquet (a file) or every-eval-ever (a folder) go."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every recipe, where a table would otherwise show the latest.")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """Print the leaderboard: arms x benchmarks with intervals and paired tests."""
    print_results(
        runs,
        lambda record: recipe in (None, record.recipe),
        format_,
        recipe=recipe,
        to=to,
        everything=everything or recipe is not None,
    )


file_commands.add_to(app)
keeping_commands.add_to(app)
app.command()(status)


@app.command()
def study(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="A study's name or file; lists them if not given.")
    ] = None,
    edition: Annotated[EditionName, typer.Option("--edition", help="Which models.")] = EditionName.EMBEDDED,
    out: Tables = TABLES,
    on: On = None,
    runs: Runs = RUNS,
) -> None:
    """Run what is missing of a study, then make its tables."""
    from lrbench.pipeline.bars import TerminalReporter
    from lrbench.pipeline.studying import run_edition
    from lrbench.recipe.study import find_study, known_studies, load_study
    from lrbench.results.console import Screen

    if study is None:
        for name, file in sorted(known_studies(EXPERIMENTS).items()):
            tell(f"{name}: {load_study(file, (edition.value,))[edition.value].title}")
        return
    loaded = load_study(find_study(study, EXPERIMENTS), (edition.value,))[edition.value]
    where = [] if on is None else ["--on", on]
    elsewhere = [*where, *([] if runs == RUNS else ["--runs", str(runs)])]
    again = shlex.join(["lrbench", "study", study, "--edition", edition.value, *elsewhere])
    try:
        with TerminalReporter(Screen()) as reporter:
            failures = run_edition(loaded, runs, reporter, on)
    except (KeyboardInterrupt, OutputError) as stop:
        raise _stopped(stop, runs, again) from None
    _print_tables([loaded], runs, out)
    _tell_failures(failures, again)


@app.command()
def tables(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY]...", help="Studies; else all in experiments/.")
    ] = None,
    edition: Annotated[
        EditionName | None, typer.Option("--edition", help="Which models; both if not given.")
    ] = None,
    out: Tables = TABLES,
    runs: Runs = RUNS,
) -> None:
    """Make the tables and figures of studies from the ledger, measured beside reported; runs nothing."""
    from lrbench.recipe.study import EDITIONS, find_study, load_study, study_files

    names = (edition.value,) if edition else EDITIONS
    files = [find_study(name, EXPERIMENTS) for name in studies or ()] or study_files(EXPERIMENTS)
    if not files:
        raise UserError(
            f"no study in {EXPERIMENTS}/; name one, such as `lrbench tables main_results`, or change to a "
            "folder that `lrbench init` has laid out"
        )
    loaded = [load_study(file, names) for file in files]
    _print_tables([editions[name] for name in names for editions in loaded], runs, out)


@app.command()
def samples(
    recipe: RecipePath,
    overrides: Overrides = None,
    arm: Annotated[str | None, typer.Option("--arm", help="Whose kept steps; else the subject's.")] = None,
    format_: Annotated[
        SamplesFormat,
        typer.Option("--format", help="With problem ids, or as files of the paper's public scripts."),
    ] = SamplesFormat.JSONL,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Of those scripts; say how the steps differ."),
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Export an arm's kept steps, one JSON object a line, in the fields of the paper's public scripts."""
    import json

    from lrbench.pipeline.exporting.samples import compared_samples, exported_samples
    from lrbench.recipe.comparing import comparisons_of

    loaded = _load(recipe, overrides)
    whose = arm or comparisons_of(loaded).subject
    if whose is None:
        raise UserError(f"{loaded.name} has no arm that learns anything, so it has no samples")
    if against is not None:
        tell(compared_samples(loaded, whose, runs, against))
        return
    for row in exported_samples(loaded, whose, runs, scripted=format_ is SamplesFormat.REFERENCE):
        # Data for a program, in ASCII alone.
        print(json.dumps(row))


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Compare names and sizes, read no content.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move what is damaged aside, remove what killed commands left.")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """Look over this machine and the runs folder: versions, devices, damage, loss, unfinished work."""
    from lrbench.pipeline.doctor import examine

    well = True
    for finding in examine(runs, quick, repair):
        tell(f"{'ok     ' if finding.well else 'PROBLEM'} {finding.text}")
        well = well and finding.well
    if not well:
        raise typer.Exit(1)


handing_on_commands.add_to(app)
mlflow_commands.add_to(app)
app.command()(mirror)
app.command()(dashboard)


def main() -> NoReturn:
    """Run the command line to its end."""
    # What a command imports stays. Looking it through again after every 700 new objects, as Python does
    # unless told, is a seventh of the time of `plan`.
    gc.set_threshold(BETWEEN_COLLECTIONS)
    try:
        run_to_end(app)
    finally:
        # Nor is it looked through once more at the end, which takes a second and a half once torch is there.
        gc.freeze()


def _load(path: Path, overrides: list[str] | None) -> Recipe:
    from lrbench.recipe.loading import load_with_warnings

    recipe, warnings = load_with_warnings(path, overrides or [])
    for warning in warnings:
        complain(f"warning: {warning}")
    return recipe


def _print_tables(editions: list[LoadedEdition], runs: Path, out: Path) -> None:
    from lrbench.pipeline.studying import make_tables
    from lrbench.results.console import Screen
    from lrbench.results.studies.printing import show_files, show_report

    reports, broken = make_tables(editions, runs, out)
    for line in broken:
        complain(f"warning: {line}")
    console = Screen()
    for report, _ in reports:
        show_report(report, console)
        console.print()
    show_files(reports, console)


def _stopped(stop: BaseException, runs: Path, again: str) -> LrbenchError:
    """What to say of a run that was stopped, or whose output could no longer be written."""
    how_on = f"Everything finished is kept in {runs}; go on with:\n  {again}"
    if isinstance(stop, OutputError):
        return OutputError(f"Stopped, since {stop}. {how_on}")
    return InterruptedRunError(f"Stopped. {how_on}")


def _tell_failures(failures: Sequence[Failure], again: str) -> None:
    """Raise the error that lists them, where there are any; what was not foreseen gets a report besides."""
    from lrbench.pipeline.failures import incomplete

    for failure in failures:
        if failure.details:
            complain(f"{failure}\n{write_crash_report(failure.details)}")
    if failures:
        raise incomplete(failures, again)
