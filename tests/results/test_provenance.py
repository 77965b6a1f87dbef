"""What is behind a result is found without reading it, verified when asked, and never made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.provenance import State, hashes_read, look, stages_behind, verified
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.keys import FileHashes
from tests.dashboard.made_up import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path)
    return tmp_path


def lightr_of(runs: Path) -> tuple[ArmRecord, list[ScoreRecord]]:
    contents = Ledger(runs / "ledger").read()
    arm = next(arm for arm in contents.arms if arm.stages)
    return arm, [score for score in contents.scores if score.arm_id == arm.arm_id]


def test_looking_tells_all_a_manifest_says_and_hashes_nothing(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileHashes, "sha256", pytest.fail)
    inspector = Inspector(runs)
    behind = stages_behind(*lightr_of(runs))
    assert list(behind.values()) == [
        "rollouts",
        "scores",
        "samples",
        "train",
        "evaluate chain",
        "evaluate vary",
    ]
    for (name, key), label in behind.items():
        stage = look(inspector, name, key, label)
        assert stage.state is State.THERE
        assert (stage.version, stage.seconds) == (1, pytest.approx(0.5 * len(stage.files)))
        assert stage.size == sum(file["size"] for file in stage.files)
        assert len(stage.content_hash) == 64
        assert stage.identity


def test_verifying_reads_every_byte(runs: Path) -> None:
    inspector = Inspector(runs)
    (arm, scores) = lightr_of(runs)
    curves = runs / "store" / "train" / arm.stages["train"] / "curves.json"
    curves.write_text("[]")
    found = [look(inspector, *address, label) for address, label in stages_behind(arm, scores).items()]
    assert {stage.state for stage in found} == {State.THERE}
    checked = {stage.label: verified(inspector, stage) for stage in found}
    assert checked.pop("train").state is State.DAMAGED
    assert {stage.state for stage in checked.values()} == {State.WHOLE}


def test_what_is_gone_cut_short_or_no_address_at_all_is_said(runs: Path) -> None:
    inspector = Inspector(runs)
    arm, _ = lightr_of(runs)
    shutil.rmtree(runs / "store" / "rollouts")
    scores = runs / "store" / "scores" / arm.stages["scores"] / "part-00000.parquet"
    scores.write_bytes(scores.read_bytes()[:-1])
    (runs / "store" / "train" / arm.stages["train"] / "manifest.json").write_text("{}")
    states = {name: look(inspector, name, key, name) for name, key in arm.stages.items()}
    assert {name: stage.state for name, stage in states.items()} == {
        "rollouts": State.MISSING,
        "scores": State.DAMAGED,
        "samples": State.THERE,
        "train": State.DAMAGED,
    }
    assert "bytes instead of" in states["scores"].reason
    for name, key in (("../../etc", "a" * 64), ("train", "../x"), ("locks", "a" * 64)):
        assert look(inspector, name, key, "odd").state is State.DAMAGED
        assert verified(inspector, look(inspector, name, key, "odd")).state is State.DAMAGED


def test_hashes_of_data_and_weights_are_found_wherever_they_stand(runs: Path) -> None:
    inspector = Inspector(runs)
    arm, scores = lightr_of(runs)
    stages = [look(inspector, *address, label) for address, label in stages_behind(arm, scores).items()]
    places = [place for found in hashes_read(stages, scores).values() for place in found]
    for expected in ("rollouts: texts", "scores: expert.weights", "protocol of chain: data"):
        assert expected in places
    assert not [place for place in places if "alpha" in place]
