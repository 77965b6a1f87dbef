"""Results for other programs: JSON, Parquet, and Every Eval Ever, which comes back as it went."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.errors import UserError
from lrbench.evaluation.graded_items import write_item_rows
from lrbench.results.answers import Answers
from lrbench.results.board import Board, build_boards
from lrbench.results.foreign.exporting import export_boards
from lrbench.results.foreign.reading import read_systems, source_of
from lrbench.results.foreign.recording import import_files
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.numbers import board_numbers, number_fields
from lrbench.results.rendering.number_files import boards_to_json, write_parquet
from lrbench.store.keys import stage_key
from lrbench.store.store import Store
from tests.commands import lrbench
from tests.dashboard.made_up import HOSTILE, write_runs
from tests.results.conftest import make_arm, make_score
from tests.results.foreign.support import table

# Of an aggregate and its instances, as the schema of Every Eval Ever 0.3 asks for it.
PATH = re.compile(
    r"data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(_samples\.jsonl|\.json)"
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path / "runs", seeds=(0, 1))
    return tmp_path / "runs"


def boards_of(runs: Path) -> tuple[Board, ...]:
    contents = Ledger(runs / "ledger").read()
    return build_boards(contents.arms, contents.scores, contents.recipes)


def test_every_eval_ever_comes_back_as_it_went(runs: Path, tmp_path: Path) -> None:
    """Out, in again: every item of every arm and benchmark has the outcome that the ledger has."""
    (board,) = boards_of(runs)
    exported = export_boards([board], runs, tmp_path / "out")
    assert exported.results == len(board.rows)
    systems = {system.name: system for system in read_systems([source_of(str(tmp_path / "out"))])}
    inspector = Inspector(runs)
    for row in board.rows:
        (name,) = (name for name in systems if name.endswith(row.arm_id[:8]))
        assert set(systems[name].benchmarks) == set(row.cells)
        for benchmark, cell in row.cells.items():
            found = {outcome.item: outcome.value for outcome in systems[name].benchmarks[benchmark].outcomes}
            ids = [str(item["id"]) for item in inspector.items(cell.score)]
            assert found == dict(zip(ids, map(float, cell.score.paper), strict=True))
    import_files([str(tmp_path / "out")], tmp_path / "again", "back")
    (again,) = boards_of(tmp_path / "again")
    assert sorted(row.value("average") or 0 for row in again.rows) == sorted(
        row.value("average") or 0 for row in board.rows
    )


def test_every_draw_and_group_comes_back(tmp_path: Path) -> None:
    """Three draws of each of eight items in four groups, from the store out and in again."""
    outcomes = np.random.default_rng(5).random((8, 3)) < 0.5
    rows = [
        {"id": f"i{item}", "problem": f"{item}?", "gold": "1", "completion": str(draw), "prediction": None}
        | {"paper": bool(right), "exact": bool(right), "reason": "", "draw": draw, "group": f"g{item // 2}"}
        for item, draws in enumerate(outcomes)
        for draw, right in enumerate(draws)
    ]
    store, identity = Store(tmp_path / "runs" / "store"), {"made": "up"}
    key = stage_key("evaluate", 1, identity, {})
    with store.lock("evaluate", key):
        draft = store.draft("evaluate", 1, key, identity, {})
        draft.commit("part-00000.jsonl", partial(write_item_rows, rows=rows), 0.5)
        draft.finish({}, environment={})
    answers = Answers.of(rows)
    assert answers.draws is not None
    arm = make_arm(stages={})
    score = make_score("sums", answers.paper, benchmarks=("sums",)).model_copy(
        update={"draws": answers.draws, "majority": answers.paper, "groups": answers.groups}
        | {"evaluation_key": key, "arm_id": arm.arm_id}
    )
    Ledger(tmp_path / "runs" / "ledger").append([arm, score])
    export_boards(boards_of(tmp_path / "runs"), tmp_path / "runs", tmp_path / "out")
    import_files([str(tmp_path / "out")], tmp_path / "again")
    (back,) = Ledger(tmp_path / "again" / "ledger").read().scores
    assert back.draws == score.draws
    assert back.groups == score.groups


def test_what_is_not_written_has_no_settings_of_writing(runs: Path, tmp_path: Path) -> None:
    (board,) = boards_of(runs)
    row = board.rows[0]
    asked = dict(zip(row.cells, (0, 64), strict=False))
    cells = {
        name: replace(
            row.cells[name],
            score=row.cells[name].score.model_copy(
                update={"protocol": {"decoding": "greedy", "max_new_tokens": most}}
            ),
        )
        for name, most in asked.items()
    }
    export_boards([replace(board, rows=(replace(row, cells=cells),))], runs, tmp_path / "out")
    (aggregate,) = (json.loads(path.read_text()) for path in (tmp_path / "out").rglob("*.json"))
    found = [one["generation_config"]["generation_args"] for one in aggregate["evaluation_results"]]
    assert found == [{}, {"temperature": 0.0, "max_tokens": 64}]


def test_its_files_are_where_and_as_its_validator_wants_them(runs: Path, tmp_path: Path) -> None:
    export_boards(boards_of(runs), runs, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert all(PATH.fullmatch(path.relative_to(tmp_path / "out").as_posix()) for path in files)
    for path in files:
        if path.suffix == ".json":
            aggregate = json.loads(path.read_text())
            samples = tmp_path / "out" / aggregate["detailed_evaluation_results"]["file_path"]
            found = aggregate["detailed_evaluation_results"]
            assert hashlib.sha256(samples.read_bytes()).hexdigest() == found["checksum"]
            lines = [json.loads(line) for line in samples.read_text().splitlines()]
            assert len(lines) == found["total_rows"]
            assert {line["evaluation_id"] for line in lines} == {aggregate["evaluation_id"]}
            results = {one["evaluation_result_id"]: one for one in aggregate["evaluation_results"]}
            for name, one in results.items():
                right = [
                    line["evaluation"]["is_correct"] for line in lines if line["evaluation_result_id"] == name
                ]
                assert one["score_details"]["score"] == pytest.approx(sum(right) / len(right))


def test_exporting_twice_gives_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    first, second = (
        {path.relative_to(to): path.read_bytes() for path in to.rglob("*") if path.is_file()}
        for to in (tmp_path / "a", tmp_path / "b")
        if export_boards(boards_of(runs), runs, to)
    )
    assert first == second


def test_imported_results_are_not_handed_on_as_measured(runs: Path, tmp_path: Path) -> None:
    import_files([str(table(tmp_path / "base.csv", "1100"))], runs)
    exported = export_boards(boards_of(runs), runs, tmp_path / "out")
    assert exported.left_out == ("imported/base",)
    assert "not among them, since they were imported: imported/base" in str(exported)


def test_a_folder_that_holds_something_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is there already and not empty"):
        export_boards(boards_of(runs), runs, tmp_path)


def test_hostile_names_and_texts_stay_texts(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", tokens=HOSTILE, names="<img src=x onerror=alert(1)>")
    boards = boards_of(tmp_path / "runs")
    export_boards(boards, tmp_path / "runs", tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    assert all(re.fullmatch(r"[\x20-\x7e]+", str(path)) and "<" not in str(path) for path in files)
    assert all(path.read_bytes().isascii() for path in files)
    assert boards_to_json(boards).isascii()


def test_json_and_parquet_hold_the_numbers_of_the_board(runs: Path, tmp_path: Path) -> None:
    boards = boards_of(runs)
    lines = list(board_numbers(boards))
    found: dict[str, Any] = json.loads(boards_to_json(boards))
    assert found["results"] == [
        {name: value for name, value in line.items() if value is not None} for line in lines
    ]
    assert set(found["protocols"]) == {board.protocol_hash for board in boards}
    assert write_parquet(boards, tmp_path / "a.parquet") == len(lines)
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    fields = number_fields(boards)
    assert rows == [{name: line.get(name) for name in fields} for line in lines]


def test_imported_rows_are_said_to_be(tmp_path: Path) -> None:
    import_files([str(table(tmp_path / "base.csv", "1100"))], tmp_path / "runs")
    kinds = {line["kind"] for line in board_numbers(boards_of(tmp_path / "runs"))}
    assert kinds == {"imported"}


def test_the_command_writes_where_it_is_told(runs: Path, tmp_path: Path) -> None:
    assert json.loads(lrbench("results", "--format", "json", "--runs", runs).stdout)["results"]
    for form, to in (("parquet", "a.parquet"), ("every-eval-ever", "out")):
        refused = lrbench("results", "--format", form, "--runs", runs)
        assert refused.returncode == 2
        assert f"--format {form} is no text to print; say where it goes: `--to " in refused.stderr
        written = lrbench("results", "--format", form, "--to", tmp_path / to, "--runs", runs)
        assert written.returncode == 0, written.stderr
        assert (tmp_path / to).exists()
    refused = lrbench("results", "--format", "csv", "--to", tmp_path / "x", "--runs", runs)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"--format csv is printed: `lrbench results --format csv > {tmp_path / 'x'}` writes it down. `--to` "
        "is for --format parquet and every-eval-ever\n"
    )


def test_export_says_who_writes_numbers() -> None:
    refused = CliRunner().invoke(app, ["export", "--format", "csv"])
    assert isinstance(refused.exception, UserError)
    assert "it has no --format. Numbers are written by `lrbench results --format csv`" in str(
        refused.exception
    )
