"""`lrbench doctor` on a runs folder that something happened to: it says so, and moves nothing untold."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.doctor import examine
from lrbench.store.outside import FOLDER


def problems(runs: Path, quick: bool = True, repair: bool = False) -> list[str]:
    return [found.text for found in examine(runs, quick, repair) if not found.well]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def a_file(runs: Path, pattern: str) -> Path:
    return sorted(runs.glob(pattern))[0]


def lose_line(runs: Path, name: str, number: int) -> None:
    lines = (runs / "ledger" / name).read_bytes().splitlines(keepends=True)
    (runs / "ledger" / name).write_bytes(b"".join(lines[:number] + lines[number + 1 :]))


def lose_score(runs: Path) -> None:
    lose_line(runs, "scores.jsonl", 30)


def lose_arm(runs: Path) -> None:
    lose_line(runs, "arms.jsonl", 3)


def lose_recipes(runs: Path) -> None:
    (runs / "ledger" / "recipes.jsonl").unlink()


def lose_scores(runs: Path) -> None:
    (runs / "ledger" / "scores.jsonl").unlink()


def lose_artifact(runs: Path) -> None:
    shutil.rmtree(a_file(runs, "store/train/*"))


def truncate_file(runs: Path) -> None:
    path = a_file(runs, "store/train/*/adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def lose_manifest(runs: Path) -> None:
    a_file(runs, "store/evaluate/*/manifest.json").unlink()


def copy_artifact(runs: Path) -> None:
    source = a_file(runs, "store/evaluate/*")
    shutil.copytree(source, source.with_name(f"{source.name} (copy)"))


def copy_stage(runs: Path) -> None:
    shutil.copytree(runs / "store" / "train", runs / "store" / "Train of Monday")


def flip_line(runs: Path) -> None:
    path = runs / "ledger" / "scores.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"recipe":"older"', b'"recipe":"alder"', 1))


def rewrite(runs: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the first record of a ledger's file, with a checksum that fits."""
    path = runs / "ledger" / name
    first, rest = path.read_bytes().split(b"\n", 1)
    record = json.loads(first)["record"]
    change(record)
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(b'{"sha256": "%s", "record": %s}\n' % (digest, body) + rest)


def turn_verdicts(record: dict[str, Any]) -> None:
    record["paper"] = "".join("10"[int(verdict)] for verdict in record["paper"])


def learn_from_more(record: dict[str, Any]) -> None:
    record["costs"]["tuned_tokens"] += 1000


def lose_all_scores_of_an_arm(runs: Path) -> None:
    path = runs / "ledger" / "scores.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lost = json.loads(lines[0])["record"]["arm_id"]
    path.write_bytes(b"".join(line for line in lines if json.loads(line)["record"]["arm_id"] != lost))


HAPPENED = {
    lose_all_scores_of_an_arm: "no score of older/",
    lose_score: "no scores of older/",
    lose_arm: "no record of how older/",
    lose_recipes: "no recipe's record means older/",
    lose_scores: "finished, but is not in the ledger",
    lose_artifact: "not there any more, though results come from it: train/",
    truncate_file: "adapter_model.safetensors has",
    lose_manifest: "manifest.json is missing",
    copy_artifact: "(copy) does not belong to the store",
    copy_stage: "Train of Monday does not belong to the store",
    flip_line: "scores.jsonl:1: the record differs from its checksum",
}


def test_a_whole_folder_is_found_well(older_runs: Path) -> None:
    assert problems(older_runs) == []
    assert problems(older_runs, quick=False) == []


@pytest.mark.parametrize("happen", HAPPENED, ids=lambda happen: happen.__name__)
def test_what_happened_is_said_and_nothing_is_moved(older_runs: Path, happen: Callable[[Path], None]) -> None:
    happen(older_runs)
    before = tree(older_runs)
    found = problems(older_runs)
    assert any(HAPPENED[happen] in text for text in found), found
    assert tree(older_runs) == before


def test_a_flipped_byte_is_found_by_reading_and_not_by_a_quick_look(older_runs: Path) -> None:
    path = a_file(older_runs, "store/train/*/adapter_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    assert problems(older_runs, quick=True) == []
    (text,) = problems(older_runs, quick=False)
    assert "adapter_model.safetensors" in text


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("scores.jsonl", turn_verdicts, "paper verdicts of older/"),
        ("arms.jsonl", learn_from_more, "are recorded as 1,000, its training counted 0"),
    ],
)
def test_a_record_that_is_not_what_its_artifact_says_is_told_and_made_anew(
    older_runs: Path, name: str, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    path = older_runs / "ledger" / name
    whole = path.read_bytes()
    rewrite(older_runs, name, change)
    (text,) = problems(older_runs, quick=False)
    assert told in text
    problems(older_runs, quick=False, repair=True)
    assert path.read_bytes() == whole.split(b"\n", 1)[1]
    assert all("the next run of its recipe mends this" in text for text in problems(older_runs, quick=False))


@pytest.mark.parametrize("happen", [truncate_file, lose_manifest, copy_artifact, copy_stage, flip_line])
def test_repair_moves_aside_what_cannot_be_used(older_runs: Path, happen: Callable[[Path], None]) -> None:
    happen(older_runs)
    assert problems(older_runs, repair=True) == [] or happen is flip_line
    left = problems(older_runs)
    # What was lost with it is made again by the next run, which is said.
    assert all("the next run of its recipe mends this" in text for text in left), left
    aside = [*older_runs.glob("store/damaged/*"), *older_runs.glob("ledger/damaged.jsonl")]
    assert len(aside) == 1


def test_one_measurement_of_an_unfinished_evaluation_is_no_loss(older_runs: Path) -> None:
    ledger = older_runs / "ledger"
    for name in ("arms.jsonl", "scores.jsonl"):
        (ledger / name).unlink()
    for path in sorted(older_runs.glob("store/evaluate/*"))[1:]:
        shutil.rmtree(path)
    assert problems(older_runs) == []
    assert any(
        "an evaluation that is not finished" in found.text for found in examine(older_runs, quick=True)
    )


def test_what_a_killed_export_left_is_said_and_removed_when_told(older_runs: Path, tmp_path: Path) -> None:
    left = tmp_path / ".merged.4711-0badcafe.tmp"
    left.mkdir()
    (older_runs / FOLDER).mkdir(exist_ok=True)
    (older_runs / FOLDER / "note.json").write_text(f'{{"path": "{left}"}}')
    (text,) = problems(older_runs)
    assert str(left) in text
    assert left.exists()
    assert problems(older_runs, repair=True) == []
    assert not left.exists()
