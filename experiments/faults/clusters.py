"""A run on a Ray cluster of two nodes of which something is lost at a random moment: what is left goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.kills import made_again
from experiments.faults.nodes import Nodes, actors, two_nodes
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Started, command, start
from experiments.faults.subject import (
    NAME,
    Contents,
    committed_files,
    contents_of,
    undisturbed,
    write_subject,
)
from experiments.faults.workers import in_any_order

DRIVER = "the run"
# What is lost, and its processes: the head holds the state of the cluster, a raylet is a node's manager.
LOST: dict[str, Callable[[Nodes], Sequence[int]]] = {
    "an actor": lambda nodes: nodes.actors[:1],
    "a raylet": lambda nodes: nodes.raylet(nodes.processes[1]),
    "a node": lambda nodes: [-nodes.processes[1].pid],
    "the head": lambda nodes: [-nodes.processes[0].pid],
    DRIVER: lambda _: [],
}
SECONDS_TO_ACTORS = 60.0
# From the moment at which there is a worker; one starts for some seconds and works for about ten.
LONGEST_SECONDS = 15.0


@dataclass(frozen=True)
class Loss:
    """Which of the `LOST`, and how many seconds after the first worker is there."""

    what: str
    seconds: float


class Clusters(Kind):
    """Every part of a Ray cluster, and the process that uses it."""

    name = "clusters"
    full = 25

    def __init__(self) -> None:
        self.contents = Contents({}, ())

    def cases(self, tries: int | None, seed: int) -> Sequence[Loss]:
        """What can be lost in turn, at random moments."""
        chance = Random(f"clusters-{seed}")
        return [
            Loss(list(LOST)[number % len(LOST)], chance.uniform(0, LONGEST_SECONDS))
            for number in range(tries or 0)
        ]

    def prepare(self, place: Path) -> None:
        """An undisturbed run of one process."""
        self.contents = in_any_order(undisturbed(place))

    def attempt(self, case: Loss, folder: Path) -> Outcome:
        """Start, lose it, let what is left end, and run the recipe once more, alone, to its end."""
        write_subject(folder)
        with two_nodes() as nodes:
            words = ["run", NAME, "runtime.workers=2", "--on", f"ray={nodes.address}"]
            first = start(words, folder, variables={"RAY_AUTH_MODE": "disabled"})
            was_lost = _lose(case, first, nodes)
            before = committed_files(folder / "runs")
            ended = first.end()
        last = command(["run", NAME], folder)
        finding = "" if was_lost and case.what == DRIVER else misbehaved(ended, codes=(0,))
        finding = finding or misbehaved(last, codes=(0,))
        finding = finding or in_any_order(contents_of(folder / "runs")).difference(self.contents)
        finding = finding or made_again(before, committed_files(folder / "runs"))
        detail = f"{case}\n{ended.said}\n{last.said}"
        return Outcome(f"{case.what} lost", finding, counted=was_lost, detail=detail)


def _lose(case: Loss, run: Started, nodes: Nodes) -> bool:
    last = time.monotonic() + SECONDS_TO_ACTORS
    roots = [process.pid for process in nodes.processes]
    while not actors(*roots):
        if run.wait(0.1) or time.monotonic() > last:
            return False
    if run.wait(case.seconds):
        return False
    victims = [run.pid] if case.what == DRIVER else LOST[case.what](nodes)
    for victim in victims:
        with suppress(ProcessLookupError):
            # A negative number is a group of processes: a node with all that it started.
            os.kill(victim, signal.SIGKILL)
    return bool(victims)
