"""A save holds exactly what was put into it."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from lrbench.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint


def test_curves_are_written_out_alike_before_and_after_a_save(tmp_path: Path) -> None:
    curves = {"loss": [(0, 0.1 + 0.2), (1, 5.0), (2, 1e-45)], "steps": [(0, 184), (1, 2**53 + 1)]}
    saved = Checkpoint(3, {"weight": torch.tensor([0.1, -0.0])}, curves, 1 / 3)
    write_checkpoint(tmp_path / "save", saved)
    read = read_checkpoint(tmp_path / "save")
    assert json.dumps(read.curves) == json.dumps(curves)
    assert (read.update, read.seconds) == (3, 1 / 3)
    assert read.tensors["weight"].numpy().tobytes() == saved.tensors["weight"].numpy().tobytes()
