"""`lrbench study` and `lrbench tables`: what they print, write and refuse."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer

from lrbench.cli import app
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.study import EDITIONS, load_study, study_files
from lrbench.results.ledger import LedgerContents
from lrbench.results.reported import reported_costs, reported_results
from lrbench.results.studies.rendering import report_to_csv, report_to_latex, report_to_markdown
from lrbench.results.studies.report import build_report
from tests.commands import ROOT, lrbench

STUDIES = [file.stem for file in study_files(ROOT / "experiments")]
NOTHING = LedgerContents(recipes=(), arms=(), scores=(), broken=())
RUNS = Path("runs")
SMALL = """\
name: small
pair: {expert: {model: embedded/expert}, amateur: {model: embedded/amateur}}
data: {train: embedded/multi_step, problems: 16}
training: {updates: 2, rollouts_per_update: 4}
arms: [base, sft, lightr]
evaluation: {suite: embedded7, benchmarks: [formal, choice], limit: 5}
"""
STUDY = """\
title: Small
table: main_results
editions:
  paper: {recipes: [../small.yaml]}
  embedded: {recipes: [../small.yaml], claims: [lightr > base on average by 90]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one small study."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "experiments" / "small.yaml").write_text(STUDY)
    return tmp_path


@pytest.mark.slow
def test_a_study_runs_what_is_missing_then_shows_and_writes_its_tables(project: Path) -> None:
    found = lrbench("study", "small", cwd=project, LRBENCH_MLFLOW="off")
    assert found.returncode == 0, found.stderr
    assert "small: lrbench run small.yaml" in found.stdout
    assert "done    base on formal (5 items)" in found.stdout
    assert "embedded/expert: accuracy in percent" in found.stdout
    assert "lightr > base on average by 90" in found.stdout
    assert "small, embedded: 9 files in tables/embedded/small, complete" in found.stdout
    files = {path: path.read_bytes() for path in sorted(project.glob("tables/*/*/[!.]*"))}
    assert len(files) == 9
    again = lrbench("study", "small", cwd=project, LRBENCH_MLFLOW="off")
    assert "done " not in again.stdout
    assert files == {path: path.read_bytes() for path in files}
    one = lrbench("tables", "small", "--edition", "paper", cwd=project)
    assert "small, paper: 9 files in tables/paper/small, complete" in one.stdout


@pytest.mark.slow
def test_tables_of_an_empty_ledger_name_the_commands_and_leave_the_runs_folder_alone(project: Path) -> None:
    found = lrbench("tables", cwd=project)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("    lrbench run small.yaml\n") == 2
    assert "small, paper: 9 files in tables/paper/small, 1 command to run" in found.stdout
    assert not (project / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("study", "smal"),
            "no study `smal` in experiments/, and none that ships; known are ablations, ",
        ),
        (("tables", "absent.yaml"), "absent.yaml: no such file"),
    ],
)
def test_a_study_that_is_not_there_is_one_message(
    project: Path, arguments: tuple[str, ...], message: str
) -> None:
    found = lrbench(*arguments, cwd=project)
    assert (found.returncode, found.stdout) == (2, "")
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (project / "tables").exists()


def test_without_any_study_it_says_where_it_looked(tmp_path: Path) -> None:
    found = lrbench("tables", cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr.strip() == (
        "no study in experiments/; name one, such as `lrbench tables main_results`, or change to a folder "
        "that `lrbench init` has laid out"
    )


def test_without_a_name_studies_are_listed(project: Path) -> None:
    lines = lrbench("study", cwd=project).stdout.splitlines()
    assert lines == sorted(lines)
    assert {"small: Small", "ablations: Ablations"} <= set(lines)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("edition", EDITIONS)
def test_every_command_for_a_missing_result_is_one_that_lrbench_takes(
    study: str, edition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load_study(Path("experiments") / f"{study}.yaml", (edition,))[edition]
    report = build_report(loaded, NOTHING, Path("my runs"))
    declared = [source.recipe for source in loaded.recipes]
    found = []
    for missing in report.missing:
        program, command, *arguments = shlex.split(missing.command)
        assert (program, command) == ("lrbench", "run")
        group = typer.main.get_command(app)
        parsed = group.commands[command].make_context(command, arguments).params  # type: ignore[attr-defined]
        assert parsed["runs"] == Path("my runs")
        found.append(load_recipe(parsed["recipe"], parsed["overrides"] or []))
    assert found == [recipe for recipe in declared if recipe in found]
    assert len(found) == len(declared)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("edition", EDITIONS)
def test_every_study_renders_of_an_empty_ledger(
    study: str, edition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load_study(Path("experiments") / f"{study}.yaml", (edition,))[edition]
    report = build_report(loaded, NOTHING, RUNS)
    assert loaded.recipes[0].path in report_to_markdown(report)
    assert loaded.recipes[0].path in report_to_latex(report)
    assert loaded.recipes[0].path in report_to_csv(report)


@pytest.mark.parametrize("table", ["main_results", "ablations", "expertise_gap"])
def test_the_paper_edition_shows_every_reported_number_before_anything_is_measured(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load_study(Path("experiments") / f"{table}.yaml", ("paper",))["paper"]
    report = build_report(loaded, NOTHING, RUNS)
    shown = {
        (row["expert"], str(row["arm"]).partition(" ")[0], row["amateur"], row["benchmark"]): row["reported"]
        for row in report.rows
    }
    for row in reported_results(table):
        for benchmark, value in (*row.accuracies.items(), ("average", row.average)):
            assert shown[row.expert, row.arm, row.amateur, benchmark] == value
    cells = [line for found in report.tables for line in found.lines]
    printed = [line for line in cells if ", reported" in line[0]]
    assert len(printed) == len(reported_results(table))
    assert all(row["accuracy"] is None and row["command"] for row in report.rows)


def test_the_paper_edition_shows_every_reported_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load_study(Path("experiments/efficiency.yaml"), ("paper",))["paper"]
    report = build_report(loaded, NOTHING, RUNS)
    shown = {(row["expert"], row["arm"]): row for row in report.rows}
    assert len(shown) == len(reported_costs())
    for costs in reported_costs():
        row = shown[costs.expert, costs.arm]
        assert row["time_seconds_reported"] == 3600 * costs.hours
        assert row["problems_reported"] == costs.problems
        assert row["tuned_tokens_reported"] == costs.tuned_tokens
        assert row["gain_reported"] == costs.gain
