"""Scores of exported models as the Hub reads them, read back by its own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from lrbench.pipeline.exporting.hub_results import measured_by, model_index, write_eval_results
from lrbench.results.board import Board, build_boards
from lrbench.results.rows import Row
from lrbench.store.keys import stable_hash
from tests.results.conftest import make_arm, make_score

GSM8K = 1319


def rows_of(
    n: int, right: int, recorded_at: str = "2026-01-01T00:00:00+00:00", **changed: Any
) -> list[tuple[Board, Row]]:
    """One arm on gsm8k and asdiv, with `n` items of each."""
    scores = []
    protocols = {
        name: {"task": name, "shots": 0, "decoding": "greedy", "limit": None, "items": None} | changed
        for name in ("gsm8k", "asdiv")
    }
    together = {name: stable_hash(protocol) for name, protocol in protocols.items()}
    for name in protocols:
        scores.append(
            make_score(name, "1" * right + "0" * (n - right), benchmarks=tuple(protocols)).model_copy(
                update={
                    "suite": "math7",
                    "protocol": protocols[name],
                    "protocol_hash": together[name],
                    "suite_protocol": together,
                    "recorded_at": recorded_at,
                }
            )
        )
    boards = build_boards([make_arm()], scores)
    return [(board, row) for board in boards for row in board.rows]


def test_the_hub_s_own_library_reads_the_model_index() -> None:
    index = model_index("quickstart-lightr", measured_by(rows_of(GSM8K, 1000)))
    name, results = model_index_to_eval_results(yaml.safe_load(yaml.safe_dump(index)))
    assert name == "quickstart-lightr"
    found = {result.dataset_name: result for result in results}
    assert set(found) == {"gsm8k", "asdiv"}
    assert found["gsm8k"].dataset_type == "openai/gsm8k"
    assert found["gsm8k"].metric_value == 75.82
    assert found["asdiv"].dataset_type == "math7"
    assert found["gsm8k"].task_type == "text-generation"


def test_a_whole_benchmark_of_the_hub_has_its_file(tmp_path: Path) -> None:
    (path,) = write_eval_results(tmp_path, measured_by(rows_of(GSM8K, 1000)))
    assert path.relative_to(tmp_path).as_posix() == ".eval_results/gsm8k.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("openai/gsm8k", "gsm8k", 75.82)
    assert (entry.date, entry.notes) == ("2026-01-01T00:00:00+00:00", "0-shot, greedy, lrbench math7")


@pytest.mark.parametrize(("n", "changed"), [(40, {"limit": 40}), (GSM8K, {"limit": GSM8K}), (1000, {})])
def test_a_part_of_a_benchmark_is_not_put_among_whole_ones(
    tmp_path: Path, n: int, changed: dict[str, Any]
) -> None:
    measured = measured_by(rows_of(n, n // 2, **changed))
    assert write_eval_results(tmp_path, measured) == []
    assert list(tmp_path.iterdir()) == []
    _, results = model_index_to_eval_results(model_index("a", measured))
    assert {result.dataset_type for result in results} == {"math7"}


def test_of_several_protocols_the_latest_counts() -> None:
    earlier = rows_of(40, 10, "2026-01-01T00:00:00+00:00", limit=40)
    later = rows_of(50, 40, "2026-02-01T00:00:00+00:00", limit=50)
    scores = [cell.score for _, row in (*earlier, *later) for cell in row.cells.values()]
    boards = build_boards([make_arm()], scores)
    measured = measured_by([(board, row) for board in boards for row in board.rows])
    assert {(one.benchmark, one.percent) for one in measured} == {("gsm8k", 80.0), ("asdiv", 80.0)}
    _, results = model_index_to_eval_results(model_index("a", measured))
    assert {result.dataset_name for result in results} == {"gsm8k, 50 items", "asdiv, 50 items"}


def test_nothing_measured_is_no_index() -> None:
    assert model_index("a", []) == []
