"""Expert and amateur share a device when both fit, and take turns there when they do not."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lrbench.models.source import LocatedModel, locate
from lrbench.pipeline.holding import model
from lrbench.pipeline.turns import fits_beside
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import ModelReference, Runtime
from lrbench.store.keys import FileHashes

EXPERT, AMATEUR = (
    locate(ModelReference(model=f"embedded/{name}"), FileHashes()) for name in ("expert", "amateur")
)


def least_free(expert: LocatedModel, amateur: LocatedModel) -> int:
    """The fewest bytes beside the expert with which the pair is taken to fit."""
    low, high = 0, 2**40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits_beside(expert, amateur, middle) else (middle, high)
    return high


def test_a_pair_fits_where_there_is_room_for_the_amateur_and_the_work() -> None:
    needed = least_free(EXPERT, AMATEUR)
    weights = (AMATEUR.folder / "model.safetensors").stat().st_size
    # The file is in float16 and the recipe asks for float32.
    assert 2 * weights < needed
    # A larger amateur needs more room, by its weights in the dtype asked for, and some to spare.
    larger = least_free(EXPERT, EXPERT) - needed
    grown = 2 * ((EXPERT.folder / "model.safetensors").stat().st_size - weights)
    assert larger == pytest.approx(grown / 0.8, rel=0.01)


def test_a_pair_whose_files_say_too_little_is_tried_together(tmp_path: Path) -> None:
    unknown = LocatedModel("unknown", tmp_path, "", "float32", ())
    assert fits_beside(EXPERT, unknown, 0)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that takes the CPU for a device with no memory left."""
    workspace = Workspace(EXPERT, AMATEUR, Runtime(device="cpu"))
    monkeypatch.setattr("lrbench.models.memory.free_bytes", lambda _device: 2**20)
    monkeypatch.setitem(workspace.machine.__dict__, "device", SimpleNamespace(type="cuda"))
    # What is loaded goes to the CPU whatever device is asked for.
    load = model._load
    monkeypatch.setattr(model, "_load", lambda source, _device: load(source, torch.device("cpu")))
    return workspace


def test_a_pair_that_does_not_fit_takes_turns_and_says_so_once(
    crowded: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert crowded.pair.loaded.takes_turns
        assert crowded.pair.loaded_aligned.takes_turns
    told = [record.getMessage() for record in caplog.records if "take turns" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("embedded/amateur does not fit beside embedded/expert in the 0.0 GiB left on ")


def test_a_pair_that_fits_shares_the_device(crowded: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.models.memory.free_bytes", lambda _device: 2**40)
    assert not crowded.pair.loaded.takes_turns


def test_models_on_the_cpu_are_always_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.models.memory.free_bytes", lambda _device: 0)
    assert not Workspace(EXPERT, AMATEUR, Runtime(device="cpu")).pair.loaded.takes_turns
