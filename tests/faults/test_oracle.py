"""What the campaign holds commands against sees what it is there to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.faults.campaign import Outcome, Tally
from experiments.faults.mutations import fuzzed
from experiments.faults.oracle import misbehaved, unplaced
from experiments.faults.process import Ended
from experiments.faults.subject import contents_of


def ended(code: int = 0, output: str = "", errors: str = "", stuck: bool = False) -> Ended:
    return Ended(code, output, errors, 1.0, 1.0, 0, 0, stuck)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (ended(1, errors="This is a bug in lrbench: KeyError('x')"), "KeyError"),
        (ended(1, errors="Traceback (most recent call last):\n  x\nKeyError: 'x'"), "a traceback: KeyError"),
        (ended(0, output="a \x1b[31m red word"), "a control character"),
        (ended(0, output="a \u202e turned word"), "a control character"),
        (ended(1), "without a word"),
        (ended(-11, errors="x"), "exit code -11"),
        (ended(0, stuck=True), "did not end"),
    ],
)
def test_misbehaviour_is_seen(bad: Ended, told: str) -> None:
    assert told in misbehaved(bad)


def test_an_ordinary_refusal_is_no_misbehaviour() -> None:
    refusal = ended(2, errors="tiny.yaml:3:5: data.problems: found 0, allowed is a whole number from 1\n")
    assert misbehaved(refusal) == ""
    assert unplaced(refusal) == ""
    assert "without file:line:column" in unplaced(ended(2, errors="something is wrong"))


def write_runs(folder: Path, content_hash: str, paper: str) -> Path:
    artifact = folder / "store" / "train" / ("a" * 64)
    artifact.mkdir(parents=True)
    (artifact / "manifest.json").write_text(json.dumps({"content_hash": content_hash}))
    (folder / "ledger").mkdir()
    line = json.dumps({"sha256": "0", "record": {"paper": paper, "recorded_at": str(folder)}})
    (folder / "ledger" / "scores.jsonl").write_text(line + "\n")
    return folder


def test_runs_folders_differ_in_artifacts_and_records_and_not_in_times(tmp_path: Path) -> None:
    whole = contents_of(write_runs(tmp_path / "a", "1", "10"))
    assert contents_of(write_runs(tmp_path / "b", "1", "10")).difference(whole) == ""
    assert contents_of(write_runs(tmp_path / "c", "2", "10")).difference(whole) == "train: another content"
    assert (
        contents_of(write_runs(tmp_path / "d", "1", "11")).difference(whole) == "other records in the ledger"
    )


def test_a_torn_ledger_is_seen(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "a", "1", "10")
    whole = contents_of(runs)
    with (runs / "ledger" / "scores.jsonl").open("a") as file:
        file.write('{"sha256": "0", "rec')
    assert "torn: scores.jsonl" in contents_of(runs).difference(whole)


def test_equal_findings_are_told_once_with_the_first_case_that_shows_them() -> None:
    tally = Tally("kills=9", seed=3)
    tally.add(7, Outcome("run", "/tmp/a/b: 7 files differ"))
    tally.add(2, Outcome("run", "/tmp/c/d: 9 files differ"))
    tally.add(1, Outcome("run"))
    tally.add(4, Outcome("run", counted=False))
    told = tally.as_json()
    assert (told["tries"], told["as_expected"]) == (3, 1)
    assert [found["times"] for found in told["findings"]] == [2]
    assert told["findings"][0]["again"] == "python -m experiments.faults kills=9 --seed 3 --only 2"


def test_a_fuzzed_recipe_is_the_same_for_the_same_number() -> None:
    assert [fuzzed(5, number) for number in range(50)] == [fuzzed(5, number) for number in range(50)]
    assert fuzzed(5, 1) != fuzzed(6, 1)
