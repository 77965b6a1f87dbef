"""What boards compute is kept beside the ledger, never served for anything else, and may go at any time."""

from __future__ import annotations

import io
import os
import sqlite3
import sys

import pytest
from rich.console import Console

from lrbench.evaluation.statistics import paired
from lrbench.evaluation.statistics.values import LEVEL, two_sided_quantile
from lrbench.results.board import build_boards
from lrbench.results.computed import COMPUTED, computed_once
from lrbench.results.rendering import terminal
from lrbench.results.rendering.number_files import boards_to_json


@pytest.fixture
def records(arm_record, score_records):
    """Two arms of two seeds, so that averages, tests and means over seeds are all there."""
    arms, scores = [], []
    for number, (arm, seed) in enumerate((arm, seed) for arm in ("base", "sft") for seed in (0, 1)):
        arms.append(arm_record(arm, seed=seed))
        right = {"chain": 50 + 6 * number, "vary": 60 + 3 * number}
        scores += score_records(right, arm=arm, seed=seed, benchmarks=("chain", "vary"))
    return arms, scores


def numbers(records, folder):
    with computed_once(folder):
        return boards_to_json(build_boards(*records))


@pytest.fixture
def draws(monkeypatch):
    """How often an interval was drawn."""
    drawn = []
    bootstrap = paired._bootstrap
    monkeypatch.setattr(paired, "_bootstrap", lambda *given: drawn.append(1) or bootstrap(*given))
    paired.compare_averages.cache_clear()
    return drawn


def again(records, folder):
    """As another process would: without what this one has in memory."""
    paired.compare_averages.cache_clear()
    return numbers(records, folder)


def test_numbers_that_were_kept_are_those_that_are_computed(records, tmp_path, draws):
    computed = boards_to_json(build_boards(*records))
    assert again(records, tmp_path) == computed
    often = len(draws)
    assert often
    assert again(records, tmp_path) == computed
    assert len(draws) == often


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no database at all, but long enough" * 200),
        lambda path: path.write_bytes(path.read_bytes()[:3000] + b"\xff" * 9000),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_file_that_is_gone_or_damaged_has_everything_computed_anew(records, tmp_path, draws, harm):
    computed = numbers(records, tmp_path)
    harm(tmp_path / COMPUTED)
    often = len(draws)
    assert again(records, tmp_path) == computed
    assert len(draws) == 2 * often


def test_a_kept_number_that_was_changed_is_not_believed(records, tmp_path):
    computed = numbers(records, tmp_path)
    with sqlite3.connect(tmp_path / COMPUTED) as database:
        database.execute("UPDATE computed SET value = replace(value, '1', '2')")
    assert again(records, tmp_path) == computed


def test_other_outcomes_and_other_code_are_computed_for_themselves(records, tmp_path, draws, monkeypatch):
    arms, scores = records
    others = [*scores[:2], *(score.model_copy(update={"paper": score.paper[::-1]}) for score in scores[2:])]
    computed = numbers(records, tmp_path)
    often = len(draws)
    assert again((arms, others), tmp_path) == boards_to_json(build_boards(arms, others)) != computed
    assert len(draws) > often
    often = len(draws)
    monkeypatch.setattr(sys.modules["lrbench.evaluation.statistics.once"], "code_identity", lambda: "other")
    assert again(records, tmp_path) == computed
    assert len(draws) > often


def test_two_who_compute_at_once_both_keep_what_they_found(records, tmp_path, draws):
    arms, scores = records
    others = [*scores[:2], *(score.model_copy(update={"paper": score.paper[::-1]}) for score in scores[2:])]
    with computed_once(tmp_path):
        boards_to_json(build_boards(arms, scores))
        again((arms, others), tmp_path)
    often = len(draws)
    again(records, tmp_path)
    again((arms, others), tmp_path)
    assert len(draws) == often


def test_the_quantile_that_boards_need_no_library_for_is_the_library_s():
    from scipy.special import ndtri

    assert two_sided_quantile(LEVEL) == float(ndtri((1 + LEVEL) / 2))


def test_of_many_rows_a_table_shows_the_latest_recipes_whole_and_names_the_others(
    arm_record, score_record, monkeypatch
):
    monkeypatch.setattr(terminal, "MOST_ROWS", 3)
    arms, scores = [], []
    for day, recipe in ((1, "first"), (3, "third"), (2, "second")):
        moment = f"2026-11-0{day}T10:00:00+00:00"
        for arm in ("base", "sft"):
            arms.append(arm_record(arm, recipe=recipe))
            scores.append(score_record(arm=arm, recipe=recipe, recorded_at=moment))

    def shown(most_rows):
        console = Console(width=80, record=True, file=io.StringIO())
        terminal.show_boards(build_boards(arms, scores), console, (), most_rows)
        return console.export_text()

    assert "not shown" not in shown(None)
    table, _, others = shown(terminal.MOST_ROWS).partition("Measured before these and not shown")
    assert "third" in table
    assert "first" not in table
    assert [line for line in others.splitlines() if "2 results" in line] == [
        "embedded/expert  first  seed 0  2 results, 2026-11-01",
        "embedded/expert  second  seed 0  2 results, 2026-11-02",
    ]
    assert "`lrbench results --recipe NAME` shows those of a recipe, `--all` everything." in others
    # One recipe is shown whole, however many rows it has.
    assert "base" in shown(1).partition("not shown")[0]
