"""The command line: exit codes, one clear message, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_recipe
from lrbench.sampling.problems import load_problems
from tests.commands import LRBENCH, QUICKSTART, ROOT, SMALL, lrbench, started


@pytest.fixture
def runs(quickstart_runs: Path) -> Path:
    return quickstart_runs


@pytest.mark.slow
def test_a_run_says_what_it_does_and_shows_its_results(runs: Path) -> None:
    said = runs.with_name(f"{runs.name}.said").read_text()
    assert "done    base on multi_step (8 items)" in said
    assert "average" in said


@pytest.mark.slow
def test_a_finished_recipe_says_so_and_shows_its_results(runs: Path) -> None:
    found = lrbench("run", QUICKSTART, *SMALL, "--runs", runs)
    assert found.returncode == 0
    assert "Nothing to do: all 45 stages of quickstart are finished." in found.stdout
    assert "average" in found.stdout
    assert "\x1b[" not in found.stdout


@pytest.mark.slow
def test_plan_shows_what_is_finished_and_what_is_not(runs: Path) -> None:
    finished = lrbench("plan", QUICKSTART, *SMALL, "--runs", runs)
    assert "45 stages: 45 finished, 0 to run (at most 0 new tokens)." in finished.stdout
    changed = lrbench("plan", QUICKSTART, *SMALL, "divergence.beta=0.8", "--runs", runs)
    assert "45 stages: 27 finished, 18 to run" in changed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv"])
def test_results_print_in_every_format(runs: Path, form: str) -> None:
    found = lrbench("results", "--format", form, "--runs", runs)
    assert found.returncode == 0
    plain = found.stdout.replace(r"\_", "_")
    assert all(word in plain for word in ("lightr", "sft", "base", "multi_step"))


@pytest.mark.slow
def test_results_load_no_framework(runs: Path) -> None:
    code = (
        "import sys; from lrbench.cli import app\n"
        f"app(['results', '--runs', {str(runs)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'mlflow', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_samples_are_exported_in_the_references_fields(runs: Path) -> None:
    found = lrbench("samples", QUICKSTART, *SMALL, "--format", "jsonl", "--runs", runs)
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert rows
    assert set(rows[0]) == {
        "prompt_id", "step", "prefix", "tokens", "token_ids", "weights", "kl_divergence",
    }  # fmt: skip
    assert all(row["kl_divergence"] > 0.4 for row in rows)


@pytest.mark.slow
def test_samples_are_files_of_the_public_scripts_and_are_compared_with_such(
    runs: Path, tmp_path: Path
) -> None:
    of_arm = ("samples", QUICKSTART, *SMALL, "--runs", runs)
    found = lrbench(*of_arm, "--format", "reference")
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    texts = load_problems(load_recipe(QUICKSTART, SMALL).data, None).texts
    assert {row["prompt_id"] for row in rows} <= set(texts)
    assert all((row["step"] == 0) == (row["prefix"] == "") for row in rows)
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows[1:]))
    compared = lrbench(*of_arm, "--against", file)
    both = f"{len(rows) - 1:,}"
    assert compared.stdout.rstrip() == (
        f"{both} steps are in both, 1 of lightr alone and 0 of {file} alone; {both} of those in both have "
        "the same tokens, weights of these differ by at most 0, divergences differ by at most 0."
    )
    file.write_text(f"{json.dumps(rows[0])}\n{{}}\n")
    refused = lrbench(*of_arm, "--against", file)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"{file}:2: has no `prompt_id`; a line holds prompt_id, step, prefix")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (
            "ligthr",
            "quickstart has no arm 'ligthr'; its arms are base, sft, lightr, random, cd; "
            "did you mean `lightr`?",
        ),
        ("base", "the arm 'base' is not trained, so it has no samples"),
    ],
)
def test_samples_of_an_arm_without_any_are_explained(runs: Path, arm: str, message: str) -> None:
    found = lrbench("samples", QUICKSTART, *SMALL, "--arm", arm, "--runs", runs)
    assert (found.returncode, found.stderr.strip()) == (2, message)


def test_samples_before_a_run_are_explained(tmp_path: Path) -> None:
    found = lrbench("samples", QUICKSTART, "--runs", tmp_path)
    assert found.returncode == 2
    assert "the samples of 'lightr' are not made yet; run the recipe first" in found.stderr


@pytest.mark.slow
def test_doctor_finds_a_whole_store_well_and_a_damaged_one_not(runs: Path, tmp_path: Path) -> None:
    assert lrbench("doctor", "--runs", runs).returncode == 0
    copy = shutil.copytree(runs, tmp_path / "runs")
    next((copy / "store" / "train").glob("*/curves.json")).write_text("{}")
    found = lrbench("doctor", "--runs", copy)
    assert found.returncode == 1
    assert "PROBLEM" in found.stdout
    assert "is damaged" in found.stdout


@pytest.mark.slow
def test_mlflow_is_rebuilt_from_the_ledger_after_it_was_deleted(runs: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(runs, tmp_path / "runs")
    (copy / "mlflow.db").unlink()
    found = lrbench("rebuild", "--runs", copy)
    assert found.returncode == 0, found.stderr
    assert (copy / "mlflow.db").exists()
    assert "holds 5 arms: 5 added" in found.stdout


def test_a_mistake_in_a_recipe_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(QUICKSTART.read_text().replace("  updates:", "  updtes:"))
    line = next(n for n, text in enumerate(wrong.read_text().splitlines(), 1) if "updtes" in text)
    for command in ("run", "check", "plan"):
        found = lrbench(command, wrong)
        assert found.returncode == 2
        assert f"wrong.yaml:{line}:3: training.updtes: unknown field; did you mean `updates`?" in found.stderr
        assert "Traceback" not in found.stderr
    assert not (tmp_path / "runs").exists()


def test_check_goes_on_after_a_wrong_recipe(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: 3\n")
    found = lrbench("check", wrong, QUICKSTART)
    assert found.returncode == 2
    assert f"{QUICKSTART}: valid" in found.stdout


def test_a_runs_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = lrbench("run", QUICKSTART, *SMALL, "--runs", tmp_path / "file" / "runs")
    assert found.returncode == 1
    assert str(tmp_path / "file") in found.stderr
    assert "bug" not in found.stderr


def test_an_empty_runs_folder_has_no_results_and_says_what_to_run(tmp_path: Path) -> None:
    found = lrbench("results", "--runs", tmp_path / "none")
    assert found.returncode == 0
    assert "`lrbench run RECIPE` makes some" in found.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, stop: signal.Signals) -> None:
    with started("run", QUICKSTART, "--runs", tmp_path) as command:
        while "\n" not in command.output.read_text():
            assert command.process.is_alive()
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(command.process.pid, stop)
        found = command.end()
    assert found.returncode == 130
    assert found.stderr.splitlines()[-2:] == [
        f"Stopped. Everything finished is kept in {tmp_path}; go on with:",
        f"  lrbench run {QUICKSTART} --runs {tmp_path}",
    ]
    assert "Traceback" not in found.stderr


def test_a_command_that_is_interrupted_says_so(tmp_path: Path) -> None:
    interrupted = """
import os, signal
from lrbench import cli
from lrbench.pipeline import doctor
doctor.examine = lambda *_arguments: os.kill(os.getpid(), signal.SIGINT)
cli.main()
"""
    command = [sys.executable, "-c", interrupted, "doctor", "--runs", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (130, "Stopped.\n")


FULL = "the output cannot be written: No space left on device\n"
CLOSED = "standard output is closed; open it, or send it to /dev/null\n"


@pytest.mark.parametrize(
    ("command", "ending", "code", "message"),
    [
        (["results", "--runs", "none"], ">/dev/full", 1, FULL),
        (["--help"], ">/dev/full", 1, FULL),
        (["results", "--runs", "none"], ">&-", 2, CLOSED),
        (["check", "none.yaml"], "2>/dev/full", 2, ""),
        (["check", "none.yaml"], "2>&-", 2, ""),
        (["doctor"], "| true", 0, ""),
    ],
)
def test_output_that_cannot_be_written_is_told_once(
    tmp_path: Path, command: list[str], ending: str, code: int, message: str
) -> None:
    if "/dev/full" in ending and not Path("/dev/full").is_char_device():
        pytest.skip("this system has no /dev/full")
    # The pipe's reader has gone before the command prints.
    line = f"{'sleep 0.2; ' if '|' in ending else ''}{shlex.join([*LRBENCH, *command])}"
    shell = f"set -o pipefail; {{ {line}; }} {ending}" if "|" in ending else f"{line} {ending}"
    found = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (code, message)


def test_a_process_that_may_open_no_more_files_says_which_limit_that_is(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(QUICKSTART.read_text())
    program = """
import resource, sys
from lrbench.cli import main
import lrbench.models.template
lrbench.models.template.render_conversations = lambda *_: open("/dev/null") and limited()
def limited():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))
    open("/dev/null")
main()
"""
    found = subprocess.run(
        [sys.executable, "-c", program, "plan", "mine.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.returncode == 1
    assert found.stderr == (
        "too many open files: this process may have 3 open at once; raise the limit (`ulimit -n 4096`) and "
        "repeat\n"
    )


def test_an_unknown_recipe_has_no_results_and_is_an_error(tmp_path: Path) -> None:
    with tarfile.open(ROOT / "tests" / "older" / "runs.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    found = lrbench("results", "--recipe", "oldr", "--runs", tmp_path / "runs")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == (
        "there are no results of a recipe named 'oldr'; did you mean `older`?\nThere are results of: older\n"
    )


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    import lrbench as package

    found = version("lrbench")
    assert lrbench("--version").stdout == f"lrbench {found}\n"
    assert package.__version__ == found


def test_a_shell_can_complete_commands() -> None:
    completed = lrbench(cwd=ROOT, _LRBENCH_COMPLETE="complete_bash", COMP_WORDS="lrbench ver", COMP_CWORD="1")
    assert completed.stdout.split() == ["verify"]
