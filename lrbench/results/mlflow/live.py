"""Trainings as MLflow shows them while they work, from what processes say of themselves.

Such a run is known by the key of the stage that trains. Once the arm is recorded it becomes the arm's; where
the work ended otherwise it ends as killed, and the next attempt at the same stage goes on with it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.place import DIGEST
from lrbench.results.mlflow.run_content import (
    LONGEST_NAME,
    LONGEST_TAG,
    METRICS_PER_BATCH,
    Metric,
    curve_metric,
    shorten,
)
from lrbench.results.mlflow.times import COUNTED_DONE, TRAINING, Span
from lrbench.results.run_status import RunStatus, now, statuses

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from lrbench.results.mlflow.mirror import Mirroring

KEY = "lrbench.key"
KIND, OF_RECIPE = "lrbench.kind", "lrbench.recipe"
AT_WORK = "training"
PARENT = "mlflow.parentRunId"
MOST_RUNS = 1000

SECONDS_BETWEEN_LOOKS = 2.0
# What failed is let be for longer: a result says what went wrong, and nobody waits for this.
SECONDS_AFTER_FAILURE = 60.0
# Looking takes at most this share of the time.
LARGEST_SHARE = 0.05


@dataclass(frozen=True)
class LiveTraining:
    """A training at work: its stage's key, and the points of each of its curves in their order."""

    key: str
    recipe: str
    label: str
    begin: int
    curves: tuple[tuple[Metric, ...], ...]


def live_key(stage_key: str | None) -> str:
    """What the run of a training is known by until its arm is recorded."""
    return f"live/{stage_key}"


def trainings(found: Iterable[RunStatus]) -> Iterator[LiveTraining]:
    """Those that processes are at work on; what was measured counts as spread evenly so far."""
    for status in found:
        stage = status.now
        if stage is None or stage.stage != TRAINING or status.state != "running" or status.is_silent(now()):
            continue
        seen = round(status.seen_at.timestamp() * 1000)
        so_far = Span(seen - round(stage.seconds * 1000), seen)
        curves = tuple(_curve(name, points, stage.done, so_far) for name, points in stage.curves.items())
        yield LiveTraining(stage.key, status.recipe, stage.label, so_far.begin, curves)


def _curve(name: str, points: Iterable[tuple[int, float]], done: int, so_far: Span) -> tuple[Metric, ...]:
    """The points, counted in updates done, as the arm's curve of this name will have them."""
    # The first update is at 0, and done once one is done.
    first = 0 if name in COUNTED_DONE else 1
    return tuple(
        Metric(curve_metric(name), value, place - first, so_far.at(place / max(done, 1)))
        for place, value in points
    )


def recipes_at_work(runs: Path, but: int | None = None) -> set[str]:
    """The recipes that a process is running; `but` one that has ended and may not have said so yet."""
    return {
        status.recipe
        for status in statuses(runs)
        if status.state == "running"
        and not status.worker
        and not status.is_silent(now())
        and status.process != but
        and not _is_gone(status)
    }


def _is_gone(status: RunStatus) -> bool:
    """Whether it was a process of this machine that is no more, before its silence says so."""
    if status.machine != platform.node():
        return False
    try:
        os.kill(status.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class Live:
    """Shows the trainings of a runs folder; it never fails, and costs little where nothing is trained."""

    def __init__(self, runs: Path, mirroring: Mirroring) -> None:
        self._runs, self._mirroring = runs, mirroring
        self._shows = False
        self.due = time.monotonic() + SECONDS_BETWEEN_LOOKS

    def look(self) -> None:
        """Bring up to date what is at work, where it is time to."""
        started = time.monotonic()
        if started < self.due:
            return
        wait = SECONDS_AFTER_FAILURE
        with suppress(Exception):
            found = list(trainings(statuses(self._runs)))
            if found:
                self._shows = True
                with self._mirroring.store() as (client, experiment):
                    for training in found:
                        show(client, experiment, training)
            took = time.monotonic() - started
            wait = max(SECONDS_BETWEEN_LOOKS, took * (1 / LARGEST_SHARE - 1))
        self.due = time.monotonic() + wait

    def end(self, process: int) -> None:
        """End what was shown of the run of this process, which has ended, and is recorded nowhere."""
        if self._shows:
            with suppress(Exception), self._mirroring.store() as (client, experiment):
                end_stale(
                    client, live_runs(client, experiment).values(), recipes_at_work(self._runs, process)
                )


def show(client: MlflowClient, experiment: str, training: LiveTraining) -> None:
    """See to it that MLflow has the training's run, at work, with all its curves so far."""
    run = _find(client, experiment, live_key(training.key))
    if run is None:
        run = client.create_run(
            experiment,
            start_time=training.begin,
            tags={
                KIND: AT_WORK,
                OF_RECIPE: _short(training.recipe, LONGEST_TAG),
                KEY: live_key(training.key),
                PARENT: _parent(client, experiment, training),
            },
            run_name=_short(training.label, LONGEST_NAME),
        )
    elif run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    new = [point for curve in training.curves for point in _new_points(client, run.info.run_id, curve)]
    # Writing is what takes long: all curves at once.
    for begin in range(0, len(new), METRICS_PER_BATCH):
        client.log_batch(run.info.run_id, metrics=new[begin : begin + METRICS_PER_BATCH])


def _new_points(client: MlflowClient, run: str, curve: Sequence[Metric]) -> list[Any]:
    """The points of a curve that the run does not have yet, as MLflow takes them."""
    from mlflow import entities

    finite = [point for point in curve if isfinite(point.value)]
    if not finite:
        return []
    known = client.get_metric_history(run, finite[0].name)
    last = max((point.step for point in known), default=-1)
    # What counted as spread evenly may have been measured a little later: curves never go back in time.
    latest = max((point.timestamp for point in known), default=0)
    return [
        entities.Metric(point.name, point.value, max(point.moment, latest), point.step)
        for point in finite
        if point.step > last
    ]


def live_runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """The runs of trainings that are not recorded, by their keys."""
    found = client.search_runs([experiment], f"tags.`{KIND}` = '{AT_WORK}'", max_results=MOST_RUNS)
    return {run.data.tags.get(KEY, ""): run for run in found}


def is_training_of(run: Run, recipes: Collection[str]) -> bool:
    """Whether the run is of a training, for one of these recipes, that nothing was recorded of."""
    return run.data.tags.get(KIND) == AT_WORK and run.data.tags.get(OF_RECIPE) in recipes


def end_stale(client: MlflowClient, found: Iterable[Run], at_work: set[str]) -> None:
    """End as killed those whose recipe is not `at_work`, and recipes' runs that nothing was recorded for."""
    for run in found:
        if run.info.status != "RUNNING" or run.data.tags.get(OF_RECIPE) in at_work:
            continue
        client.set_terminated(run.info.run_id, "KILLED")
        parent = client.get_run(run.data.tags[PARENT])
        if DIGEST not in parent.data.tags and parent.info.status == "RUNNING":
            client.set_terminated(parent.info.run_id, "KILLED")


def _parent(client: MlflowClient, experiment: str, training: LiveTraining) -> str:
    """The recipe's run, which is completed once an arm of it is recorded."""
    key = f"recipe/{training.recipe}"
    run = _find(client, experiment, key) or client.create_run(
        experiment,
        start_time=training.begin,
        tags={KIND: "recipe", OF_RECIPE: _short(training.recipe, LONGEST_TAG), KEY: key},
        run_name=_short(training.recipe, LONGEST_NAME),
    )
    return str(run.info.run_id)


def _find(client: MlflowClient, experiment: str, key: str) -> Run | None:
    # Names of recipes hold no quotes: they are names of files too.
    found = client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0] if found else None


def _short(text: str, longest: int) -> str:
    return shorten(without_secrets(text), longest)
