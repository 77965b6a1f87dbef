"""A trained arm's adapter, with its card, into MLflow's registry."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lrbench.pipeline.exporting.publishing import export_result
from lrbench.results.mlflow.registry import Registered, register_adapter


def register_result(name: str, runs: Path) -> Registered:
    """Register the adapter of the result called `name`, as `export` would write it.

    Raises `UserError` for a name that cannot be meant and `RunError` where MLflow cannot be written.
    """
    with tempfile.TemporaryDirectory() as place:
        exported = export_result(name, runs, Path(place, "adapter"), merge=False)
        return register_adapter(runs, exported.arm, exported.folder)
