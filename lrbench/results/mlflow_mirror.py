"""The ledger mirrored to MLflow: experiment `lrbench`, a run per recipe, nested ones per arm.

The mirror may be deleted at any time: `mirror` makes whatever is missing, and running it again adds
nothing. A run made half-way, or from records that have since grown, is made anew.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lrbench.errors import RunError
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow_content import ArmRun, RecipeRun, RunContent, arm_runs, recipe_run
from lrbench.results.records import ScoreRecord
from lrbench.store.locks import hold

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXPERIMENT = "lrbench"
DATABASE = "mlflow.db"
ARTIFACTS = "mlflow-artifacts"
LOCK = ".mirror.lock"
KEY = "lrbench.key"
DIGEST = "lrbench.digest"
PARENT = "mlflow.parentRunId"

# What one log_batch call may hold.
PARAMS_PER_BATCH = 100
METRICS_PER_BATCH = 1000
RUNS_PER_PAGE = 1000

SQLITE = "sqlite:///"
SECONDS_FOR_DATABASE = 5.0

# A server that is down is found out in seconds instead of minutes. Set before MLflow is imported.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


@dataclass(frozen=True)
class MirrorReport:
    """What a mirroring did. Counts are of arm runs; `without_scores` names arms not measured yet."""

    tracking_uri: str
    added: int
    renewed: int
    unchanged: int
    without_scores: tuple[str, ...]


def default_tracking_uri(runs: Path) -> str:
    """`MLFLOW_TRACKING_URI` where it is set, otherwise the sqlite file in the runs folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{runs.resolve() / DATABASE}"


def mirror(runs: Path, tracking_uri: str | None = None) -> MirrorReport:
    """Bring MLflow up to date with the ledger of the `runs` folder.

    Raises:
        LedgerError: the ledger cannot be read.
        RunError: MLflow cannot be written; the message says why. The ledger is whole all the same.
    """
    uri = tracking_uri or default_tracking_uri(runs)
    contents = Ledger(runs / "ledger").read()
    scores: dict[str, list[ScoreRecord]] = defaultdict(list)
    for score in contents.scores:
        scores[score.arm_id].append(score)
    pairs = [
        (recipe_run(arm), child)
        for arm in contents.arms
        for child in arm_runs(arm, scores.get(arm.arm_id, ()))
    ]
    outcomes: Counter[str] = Counter()
    # Without a result there is nothing to show, and no store is made.
    if pairs:
        try:
            with hold(runs / "ledger" / LOCK):
                _check_database(uri)
                store = _Store(uri, runs)
                outcomes.update(store.bring_up_to_date(recipe, child) for recipe, child in pairs)
        except Exception as error:
            raise RunError(_explanation(uri, error)) from error
    return MirrorReport(
        tracking_uri=_without_secrets(uri),
        added=outcomes["added"],
        renewed=outcomes["renewed"],
        unchanged=outcomes["unchanged"],
        without_scores=tuple(arm.arm_id for arm in contents.arms if arm.arm_id not in scores),
    )


def mirror_safely(
    runs: Path, say: Callable[[str], None], tracking_uri: str | None = None
) -> MirrorReport | None:
    """`mirror`, but a failure is one warning through `say` and None: no result depends on MLflow."""
    try:
        return mirror(runs, tracking_uri)
    except Exception as error:
        say(f"warning: {error}")
        return None


class _Store:
    """An MLflow store, its experiment made where absent, and what it holds of ours."""

    def __init__(self, uri: str, runs: Path) -> None:
        self.client = _client(uri)
        self.experiment = self._experiment(uri, runs)
        self.present = {run.data.tags[KEY]: run for run in self._runs() if KEY in run.data.tags}

    def bring_up_to_date(self, recipe: RecipeRun, child: ArmRun) -> str:
        """See to it that the child's run is there as it should be: `added`, `renewed` or `unchanged`."""
        old = self.present.get(child.key)
        if old is not None and old.data.tags.get(DIGEST) == child.digest:
            return "unchanged"
        parent = self._parent(recipe)
        if old is not None:
            self.client.delete_run(old.info.run_id)
        run = self._create(child, {PARENT: parent})
        for params in _batches(child.params.items(), PARAMS_PER_BATCH):
            self.client.log_batch(run.info.run_id, params=_params(params))
        for metrics in _batches(child.metrics, METRICS_PER_BATCH):
            self.client.log_batch(run.info.run_id, metrics=_metrics(metrics, child.moment))
        self._finish(run, child)
        return "added" if old is None else "renewed"

    def _parent(self, recipe: RecipeRun) -> str:
        """The id of the recipe's run. It is completed in place, since children refer to it."""
        run = self.present.get(recipe.key)
        if run is None:
            run = self._create(recipe, {})
        if DIGEST not in run.data.tags:
            self.present[recipe.key] = self._finish(run, recipe)
        return str(run.info.run_id)

    def _create(self, content: RunContent, more_tags: dict[str, str]) -> Run:
        return self.client.create_run(
            self.experiment,
            start_time=content.moment,
            tags={**content.tags, KEY: content.key, **more_tags},
            run_name=content.name,
        )

    def _finish(self, run: Run, content: RecipeRun | ArmRun) -> Run:
        """Add the files, end the run, and say last that it is whole."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in content.artifacts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.client.log_artifacts(run.info.run_id, folder)
        self.client.set_terminated(run.info.run_id, end_time=content.moment)
        self.client.set_tag(run.info.run_id, DIGEST, content.digest)
        return self.client.get_run(run.info.run_id)

    def _experiment(self, uri: str, runs: Path) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            remote = urlsplit(uri).scheme in ("http", "https", "databricks")
            location = None if remote else (runs.resolve() / ARTIFACTS).as_uri()
            return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _runs(self) -> Iterator[Run]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=RUNS_PER_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _client(uri: str) -> MlflowClient:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    # Setting up a new database is told in a hundred lines otherwise.
    for logger in ("alembic", "mlflow"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _check_database(uri: str) -> None:
    """Find out at once what MLflow finds out after retrying for a minute and a half.

    Raises `sqlite3.Error` where the database file cannot be written or is none.
    """
    if not uri.startswith(SQLITE):
        return
    path = uri.removeprefix(SQLITE).partition("?")[0]
    with closing(sqlite3.connect(path, timeout=SECONDS_FOR_DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _params(pairs: list[tuple[str, str]]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in pairs]


def _metrics(metrics: list[Any], moment: int) -> list[Any]:
    from mlflow.entities import Metric

    return [Metric(metric.name, metric.value, moment, metric.step) for metric in metrics]


def _batches(items: Any, size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _without_secrets(uri: str) -> str:
    """`uri` without a user name and password."""
    parts = urlsplit(uri)
    return uri if parts.username is None else parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _explanation(uri: str, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    shown = _without_secrets(uri)
    return (
        f"MLflow at {shown} could not be brought up to date: {reason.replace(uri, shown)[:300]}. "
        "Every result is safe in the ledger: mend the cause (a damaged mlflow.db may be deleted), then "
        "`lrbench rebuild` mirrors them."
    )
