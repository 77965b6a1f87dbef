"""Trackio as a second mirror: a folder of SQLite files that its own pages show, without account or server.

Its `log` would stamp each point with the moment of mirroring and turn failures into warnings. What it reads
result files of others in with (`bulk_log`) keeps times and raises, and is one transaction.
"""

from __future__ import annotations

import importlib.util
import os
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lrbench.errors import UserError
from lrbench.results.mlflow.run_content import ArmRun, RecipeRun
from lrbench.store.keys import stable_hash

PROJECT = "lrbench"
FOLDER = "trackio"
# Where Trackio looks for its files; it reads the variable when it is imported.
PLACE = "TRACKIO_DIR"
KEY, DIGEST = "lrbench.key", "lrbench.digest"
INSTALLATION = "pip install 'lrbench[trackio]'"


class Trackio:
    """Trackio's project `lrbench`, in the runs folder unless TRACKIO_DIR says another place."""

    name = "Trackio"

    def __init__(self, runs: Path) -> None:
        """Raises `UserError` where Trackio is not installed."""
        if importlib.util.find_spec("trackio") is None:
            raise UserError(f"mirroring to Trackio needs the package, which is not installed: {INSTALLATION}")
        self.place = os.environ.setdefault(PLACE, str(runs.resolve() / FOLDER))

    def held(self) -> Mapping[str, str]:
        """As the settings of its runs say, which are written together with the numbers."""
        settings = _storage().get_all_run_configs(PROJECT).values()
        return {found[KEY]: found[DIGEST] for found in settings if KEY in found and DIGEST in found}

    def keep(self, run: ArmRun | RecipeRun, recipe: str) -> None:
        """A run in the recipe's group; one that says something else under this key is deleted before."""
        identity = stable_hash(run.key)[:32]
        name = recipe if isinstance(run, RecipeRun) else f"{recipe} {run.name}"
        # Values at one step and moment are one row, as if they had been logged together.
        rows: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
        for metric in run.metrics:
            rows[metric.moment, metric.step][metric.name] = metric.value
        places = sorted(rows)
        storage = _storage()
        storage.delete_run(PROJECT, name, identity)
        storage.bulk_log(
            project=PROJECT,
            run=name,
            run_id=identity,
            metrics_list=[rows[place] for place in places],
            steps=[step for _, step in places],
            timestamps=[_iso(moment) for moment, _ in places],
            # Rows of one name are taken once, whoever else mirrors at the same time.
            log_ids=[f"{run.digest}-{number}" for number in range(len(places))],
            config=_settings(run, recipe),
        )


def _settings(run: ArmRun | RecipeRun, recipe: str) -> dict[str, Any]:
    """What Trackio shows of a run beside its numbers; names that begin with an underscore are its own."""
    tags = {name: text for name, text in run.closing_tags.items() if name.startswith("lrbench.")}
    times = {"lrbench.begin": _iso(run.begin), "lrbench.end": _iso(run.end)}
    own = {"_Created": _iso(run.begin), "_Group": recipe}
    return {**run.params, **tags, **times, **own, KEY: run.key, DIGEST: run.digest}


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _storage() -> Any:
    from trackio.sqlite_storage import SQLiteStorage

    return SQLiteStorage
