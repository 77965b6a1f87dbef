"""Where training stands: all that is needed to go on, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Points = list[tuple[int, float]]


@dataclass
class Checkpoint:
    """The state after `update` updates, which took `seconds`: tensors and curves by name."""

    update: int
    tensors: dict[str, Tensor]
    curves: dict[str, Points]
    seconds: float


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the tensors, with everything else as metadata."""
    facts = {
        "update": str(checkpoint.update),
        "curves": json.dumps(checkpoint.curves),
        "seconds": repr(checkpoint.seconds),
    }
    save_file(checkpoint.tensors, path, metadata=facts)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read back exactly what was written; a count stays a whole number, so that curves keep their bytes."""
    with safe_open(path, framework="pt") as opened:
        facts = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    curves = {
        name: [(update, value) for update, value in points]
        for name, points in json.loads(facts["curves"]).items()
    }
    return Checkpoint(int(facts["update"]), tensors, curves, float(facts["seconds"]))
