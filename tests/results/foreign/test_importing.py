"""Result files in the ledger: boards, tests and claims of their own, once, and never among measured rows."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrbench.errors import DataError, LedgerError, UserError
from lrbench.pipeline.doctor import examine
from lrbench.results.board import build_boards
from lrbench.results.claims import judge_recipe
from lrbench.results.claims.gates import Asked
from lrbench.results.declarations import standing
from lrbench.results.foreign.comparing import compare_files
from lrbench.results.foreign.gating import gate_files
from lrbench.results.foreign.recording import import_files, safe_name
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.mlflow.run_content import recipe_runs
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from tests.commands import ROOT, lrbench
from tests.results.conftest import make_arm, make_score
from tests.results.foreign.support import json_lines, table, write_csv

BASE = "1100110011" * 20
BETTER = "1101110111" * 20


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [str(table(tmp_path / "base.csv", BASE)), str(table(tmp_path / "tuned.csv", BETTER))]


def read(runs: Path) -> LedgerContents:
    contents = Ledger(runs / "ledger").read()
    assert contents.broken == ()
    return contents


def test_imported_systems_are_set_against_the_first_and_their_claims_judged(
    tmp_path: Path, files: list[str]
) -> None:
    import_files(files, tmp_path / "runs", "mine", claims=["tuned > base on sums by 5"])
    contents = read(tmp_path / "runs")
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    base, tuned = board.rows
    assert (base.arm, tuned.arm, board.suite) == ("base", "tuned", "imported table")
    delta = tuned.against["base"].on("sums")
    assert delta is not None
    assert (delta.difference, delta.separated) == (20.0, True)
    ((_, (judgement,)),) = judge_recipe(standing(contents.recipes)["mine"], board)
    assert judgement.verdict == "supported"
    assert tuned.costs is None
    assert tuned.uses.models_at_test is None
    assert "| tuned |" in boards_to_markdown((board,), contents.recipes)
    assert "imported table" in boards_to_csv((board,))


def test_importing_twice_is_importing_once(tmp_path: Path, files: list[str]) -> None:
    first = import_files(files, tmp_path / "runs")
    before = {path: path.read_bytes() for path in (tmp_path / "runs" / "ledger").glob("*.jsonl")}
    second = import_files(files, tmp_path / "runs")
    assert (first.new, second.new) == (5, 0)
    assert {path: path.read_bytes() for path in (tmp_path / "runs" / "ledger").glob("*.jsonl")} == before


def test_systems_imported_one_after_the_other_stand_on_one_board(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        import_files([file], tmp_path / "runs")
    contents = read(tmp_path / "runs")
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    assert [row.arm for row in board.rows] == ["base", "tuned"]
    assert list(board.rows[1].against) == ["base"]
    assert standing(contents.recipes)["imported"].arm_ids == tuple(row.arm_id for row in board.rows)


def test_the_command_that_does_the_same_is_recorded(tmp_path: Path, files: list[str]) -> None:
    import_files(files, tmp_path / "runs", "mine", "correct", ["tuned > base on sums"])
    (declared,) = read(tmp_path / "runs").recipes
    words = shlex.split(declared.command)
    assert words == [
        *("lrbench", "import", *files, "--as", "mine"),
        *("--metric", "correct", "--claim", "tuned > base on sums"),
    ]
    again = lrbench(*words[1:], "--runs", tmp_path / "runs")
    assert again.stdout == "Nothing to do: base, tuned of mine are in the ledger already.\n"


def test_what_was_measured_otherwise_stands_on_another_board(tmp_path: Path) -> None:
    """The same ids with other texts are other items, and so another protocol."""
    first = table(tmp_path / "a.csv", BASE, text=lambda number: f"{number} + 1?")
    second = table(tmp_path / "b.csv", BASE, text=lambda number: f"{number} + 2?")
    import_files([str(first), str(second)], tmp_path / "runs")
    contents = read(tmp_path / "runs")
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    assert [[row.arm for row in board.rows] for board in boards] == [["b"], ["a"]] or [
        [row.arm for row in board.rows] for board in boards
    ] == [["a"], ["b"]]


def test_imported_rows_never_meet_measured_ones(tmp_path: Path, files: list[str]) -> None:
    runs = tmp_path / "runs"
    Ledger(runs / "ledger").append([make_arm(), make_score("sums", BASE, benchmarks=("sums",))])
    measured = build_boards(*[read(runs).arms, read(runs).scores])
    import_files(files, runs)
    contents = read(runs)
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    assert len(boards) == 2
    assert {frozenset(row.recipe for row in board.rows) for board in boards} == {
        frozenset({"quickstart"}),
        frozenset({"imported"}),
    }
    assert next(board for board in boards if board.suite == measured[0].suite).rows == measured[0].rows


def test_the_name_of_a_recipe_that_was_run_is_not_taken(tmp_path: Path, files: list[str]) -> None:
    runs = tmp_path / "runs"
    import_files(files, runs, "mine")
    contents = read(runs)
    declared = contents.recipes[0].model_copy(update={"recipe": "quickstart", "arm_ids": ("quickstart-a",)})
    Ledger(runs / "ledger").append([make_arm(arm_id="quickstart-a"), declared])
    with pytest.raises(UserError, match="`quickstart` is the name of a recipe that was run here"):
        import_files(files, runs, "quickstart")


def test_nothing_is_missed_of_what_was_imported(tmp_path: Path, files: list[str]) -> None:
    other = table(tmp_path / "other.csv", "1100", system="other", benchmark="products")
    import_files([*files, str(other)], tmp_path / "runs")
    assert [found.text for found in examine(tmp_path / "runs", quick=True) if not found.well] == []


def test_no_items_are_looked_for_in_the_store(tmp_path: Path, files: list[str]) -> None:
    import_files(files, tmp_path / "runs")
    score = read(tmp_path / "runs").scores[0]
    with pytest.raises(Exception, match="the outcomes on sums were imported"):
        Inspector(tmp_path / "runs").items(score)


def test_no_model_and_no_proof_is_handed_on_of_them(tmp_path: Path, files: list[str]) -> None:
    runs = tmp_path / "runs"
    import_files(files, runs, "mine")
    for words, message in (
        (
            ["export", "mine/tuned", "--to", tmp_path / "out"],
            "was imported from result files: its model is not",
        ),
        (["bundle", "mine", "--to", tmp_path / "a.tar.gz"], "mine: imported from result files, and a bundle"),
    ):
        found = lrbench(*words, "--runs", runs)
        assert found.returncode == 2
        assert message in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_claim_about_a_system_that_is_not_there_is_refused(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(UserError, match="`tunes` is no system of mine; did you mean `tuned`"):
        import_files(files, tmp_path / "runs", "mine", claims=["tunes > base on sums"])


def test_mlflow_shows_them(tmp_path: Path, files: list[str]) -> None:
    import_files(files, tmp_path / "runs", "mine")
    (run,) = recipe_runs(read(tmp_path / "runs"))
    accuracies = {metric.name: metric.value for child in run.children for metric in child.metrics}
    assert len(run.children) == 2
    assert 80 in accuracies.values() or 0.8 in accuracies.values()
    assert all(child.datasets[0].name == "imported table/sums" for child in run.children)


def test_a_table_of_what_names_become() -> None:
    assert safe_name("Qwen/Qwen3-8B") == "Qwen-Qwen3-8B"
    assert safe_name("../../etc/passwd") == "etc-passwd"
    assert safe_name("<b>=1+1|`x`") == "b-1-1-x"
    assert safe_name("模型").startswith("unnamed-")
    assert safe_name("模型") != safe_name("型模")
    assert len(safe_name("a" * 500)) == 80


def test_a_file_whose_name_is_no_text_is_imported(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff\x1b.csv"))
    table(path, "10", system="a")
    import_files([str(path)], tmp_path / "runs")
    (arm,) = read(tmp_path / "runs").arms
    assert arm.environment["files"] == "a\\udcff\\x1b.csv"


def test_names_that_would_become_one_are_refused(tmp_path: Path) -> None:
    first = table(tmp_path / "a.csv", "10", system="a/b")
    second = table(tmp_path / "b.csv", "10", system="a b")
    found = lrbench("import", first, second, "--runs", tmp_path / "runs")
    assert found.returncode == 2
    assert "its system would be called `a-b` here" in found.stderr
    assert not (tmp_path / "runs" / "ledger" / "arms.jsonl").exists()


def test_hostile_content_is_harmless(tmp_path: Path) -> None:
    lines = [
        {
            "system": system,
            "benchmark": "<img src=x onerror=alert(1)>",
            "item": f"\x1b[2J{number}",
            "correct": number % 2 == place,
            "text": "\u202e" + "A" * 100_000,
            "group": "=cmd|' /C calc'!A0",
        }
        for place, system in enumerate(("../../../tmp/x\x07", "=1+1"))
        for number in range(20)
    ]
    path = json_lines(tmp_path / "evil\x1b[31m.jsonl", lines)
    said = lrbench("import", path, "--runs", tmp_path / "runs")
    assert said.returncode == 0, said.stderr
    for form in ("table", "markdown", "csv", "latex"):
        shown = lrbench("results", "--format", form, "--runs", tmp_path / "runs")
        assert shown.returncode == 0, shown.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.stdout)
        assert "<img" not in shown.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([path.name, "runs"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "../x"], "--as `../x`: allowed is a letter or digit"),
        (["--claim", "tuned best"], '--claim: found the text "tuned best", allowed is'),
        (["--metric", "acc"], "has no metric `acc`; a table has `correct` alone"),
    ],
)
def test_what_is_typed_wrongly_is_one_message(
    tmp_path: Path, files: list[str], arguments: list[str], message: str
) -> None:
    found = lrbench("import", *files, *arguments, "--runs", tmp_path / "runs")
    assert found.returncode == 2
    assert message in found.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(LedgerError, match="Make the folder writable"):
        import_files(files, tmp_path / "runs")


def test_runs_that_are_a_file_are_one_message(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ledger").write_text("no folder")
    found = lrbench("import", *files, "--runs", tmp_path / "runs")
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1


def test_imports_at_once_forget_nothing(tmp_path: Path) -> None:
    """Eight processes, each with a system of its own, under one name."""
    code = (
        "import sys; from pathlib import Path; from lrbench.results.foreign.recording import import_files\n"
        "import_files([sys.argv[1]], Path(sys.argv[2]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, table(tmp_path / f"s{place}.csv", BASE), tmp_path / "runs"], cwd=ROOT
        )
        for place in range(8)
    ]
    assert [process.wait() for process in processes] == [0] * 8
    contents = read(tmp_path / "runs")
    assert {record.arm for record in contents.arms} == {f"s{place}" for place in range(8)}
    assert len(contents.scores) == 8
    assert set(standing(contents.recipes)["imported"].arm_ids) == {record.arm_id for record in contents.arms}


def test_items_without_a_verdict_are_left_out_and_said(tmp_path: Path) -> None:
    lines = [
        {
            "doc_id": number,
            "doc": {},
            "metrics": ["acc"],
            "filter": "none",
            "acc": number % 2,
            "doc_hash": "a",
        }
        for number in range(4)
    ]
    path = json_lines(tmp_path / "samples_sums_2026-01-01T00-00-00.jsonl", lines)
    imported = import_files([f"model={path}"], tmp_path / "runs")
    assert imported.remarks[0].endswith("so versions, shots and settings are not known")
    assert read(tmp_path / "runs").scores[0].paper == "0101"


def sampled(path: Path, chance: float, seed: int) -> str:
    """Four draws of each of 60 items in ten groups; the last item lacks a draw."""
    outcomes = np.random.default_rng(seed).random((60, 4)) < chance
    lines = [
        {"system": path.stem, "benchmark": "sums", "item": item, "draw": draw, "correct": int(right)}
        | {"group": f"g{item // 6}"}
        for item, draws in enumerate(outcomes)
        for draw, right in enumerate(draws)
        if (item, draw) != (59, 3)
    ]
    return str(write_csv(path, lines))


def test_draws_and_groups_are_kept_and_counted(tmp_path: Path) -> None:
    paths = [sampled(tmp_path / "base.csv", 0.3, 1), sampled(tmp_path / "tuned.csv", 0.8, 2)]
    imported = import_files(paths, tmp_path / "runs", claims=["tuned > base on sums by 10"])
    assert "left out are 1 items without a verdict, or with fewer answers than others" in imported.remarks[0]
    contents = read(tmp_path / "runs")
    base, _ = contents.scores
    assert (base.n, len(base.outcomes)) == (59, 4)
    assert base.groups is not None
    assert len(set(base.groups)) == 10
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    (contrast,) = compare_files(paths).contrasts
    found = board.rows[1].against["base"].on("sums")
    assert found is not None
    assert found.difference == pytest.approx(contrast.overall.comparison.difference)
    assert found.p == pytest.approx(contrast.overall.comparison.p)
    ((_, (judgement,)),) = judge_recipe(standing(contents.recipes)["imported"], board)
    assert judgement.verdict == "supported"
    assert judgement.evidence is not None
    assert judgement.evidence.test.startswith("means of the items' draws paired, by groups")
    assert "n 59 x 4" in lrbench("results", "--runs", tmp_path / "runs").stdout
    gate = gate_files([paths[0]], Asked(paths[1], 10.0))
    assert gate.verdict == "refuted"


def test_partly_right_answers_are_no_part_of_a_ledger(tmp_path: Path) -> None:
    lines = [{"system": "a", "benchmark": "sums", "item": 1, "correct": 0.5}]
    with pytest.raises(DataError, match="is partly right"):
        import_files([str(write_csv(tmp_path / "a.csv", lines))], tmp_path / "runs")


def test_a_long_table_is_imported(tmp_path: Path) -> None:
    lines = [
        {"system": "a", "benchmark": "sums", "item": number, "correct": number % 3 == 0}
        for number in range(20_000)
    ]
    import_files([str(write_csv(tmp_path / "a.csv", lines))], tmp_path / "runs")
    (score,) = read(tmp_path / "runs").scores
    assert (score.n, score.correct) == (20_000, 6_667)
