"""A run on a Ray cluster of two nodes of which something is lost at a random moment: what is left goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from experiments.faults.campaign import Outcome
from experiments.faults.nodes import Nodes, actors, two_nodes
from experiments.faults.process import Started, command, start
from experiments.faults.subject import (
    NAME,
    committed_files,
    write_subject,
)
from experiments.faults.workers import Losing

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


class Clusters(Losing):
    """Every part of a Ray cluster, and the process that uses it."""

    name = "clusters"
    full = 25

    def cases(self, tries: int | None, seed: int) -> Sequence[Loss]:
        """What can be lost in turn, at random moments."""
        return [Loss(*each) for each in self.in_turn(LOST, LONGEST_SECONDS, tries, seed)]

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
        expected = (last,) if was_lost and case.what == DRIVER else (ended, last)
        finding = self.finding(folder, before, expected)
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
