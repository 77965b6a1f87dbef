"""How runs are going, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from lrbench.results.run_status import RunStatus, RunView, StageNow
from lrbench.results.text import duration

MOST_FAILURES = 5


def standing(status: RunStatus) -> str:
    """`3 of 18 stages, phase 1 of 2, about 1 h 20 min left`, which of a worker is not asked."""
    stages = f"{status.finished} of {status.stages} stages"
    if status.phases > 1 and status.state != "finished":
        stages += f", phase {status.phase} of {status.phases}"
    if status.state != "running" or status.worker or status.finished == status.stages:
        return stages
    if status.remaining_seconds is None:
        return f"{stages}, time left not known yet"
    return f"{stages}, about {duration(status.remaining_seconds)} left"


def stage_text(stage: StageNow) -> str:
    """`lightr on gsm8k: 64 of 100, 12 min so far`, with what it says of itself."""
    share = f"{stage.done:,} of {stage.units:,}, " if stage.units > 1 else ""
    note = f", {stage.note}" if stage.note else ""
    return f"{stage.label}: {share}{duration(stage.seconds)} so far{note}"


def state_text(status: RunStatus, at: datetime) -> str:
    """What became of the process."""
    if status.is_silent(at):
        silent = duration((at - status.seen_at).total_seconds())
        return f"not heard of for {silent}: killed, or its machine is gone. Running it again goes on"
    took = duration((status.seen_at - status.began_at).total_seconds())
    return {
        "running": f"running for {duration((at - status.began_at).total_seconds())}",
        "finished": f"finished after {took}",
        "failed": f"ended after {took}, not all could be done",
        "stopped": f"stopped after {took}. Running it again goes on",
    }[status.state]


def worker_text(status: RunStatus) -> str:
    """What a worker of a run does now: `worker (here, process 8): lightr on gsm8k: 64 of 100, ...`."""
    doing = "between two stages" if status.now is None else stage_text(status.now)
    return f"worker ({status.machine}, process {status.process}): {doing}"


def view_lines(view: RunView, at: datetime) -> Iterator[str]:
    """All there is to say of a run and its workers."""
    status = view.run
    kind = "worker on " if status.worker else ""
    yield f"{kind}{status.recipe} ({status.machine}, process {status.process}): {state_text(status, at)}"
    yield f"  {standing(status)}"
    if status.now is not None and status.is_at_work(at):
        yield f"  {stage_text(status.now)}"
    for worker in view.workers:
        yield f"  {worker_text(worker)}"
    failures = failures_of(view)
    for failure in failures[:MOST_FAILURES]:
        yield f"  failed: {failure}"
    if len(failures) > MOST_FAILURES:
        yield f"  and {len(failures) - MOST_FAILURES} more"


def failures_of(view: RunView) -> list[str]:
    """What failed; a worker's failures are told by the run too, unless it has not come to them yet."""
    own = view.run.failures
    others = dict.fromkeys(chain.from_iterable(worker.failures for worker in view.workers))
    return [*own, *(failure for failure in others if failure not in own)]
