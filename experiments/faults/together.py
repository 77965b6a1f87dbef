"""Two processes of one recipe at once, and servers that are ended: the work is done once, ports are free."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.kills import STATES_BEGUN, begin_runs, made_again
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Moment, command, start
from experiments.faults.subject import (
    NAME,
    Contents,
    committed_files,
    contents_of,
    copy_runs,
    undisturbed,
    write_subject,
)

SERVERS = ("mlflow", "leaderboard")


@dataclass(frozen=True)
class Pair:
    """Two processes of one recipe, the second so many seconds later; the first may be killed."""

    later: float
    killed: float | None
    state: int


class Together(Kind):
    """Two processes of one recipe at once, and a kill of one of them; and servers that are killed."""

    name = "together"
    full = 40

    def __init__(self) -> None:
        self.place = Path()
        self.contents = Contents({}, ())

    def cases(self, tries: int | None, seed: int) -> Sequence[Pair | str]:
        """Pairs of processes; of a large campaign every tenth case a server."""
        chance = Random(f"together-{seed}")
        pairs: list[Pair | str] = [
            Pair(chance.random(), chance.choice((None, chance.uniform(0, 5))), chance.randrange(STATES_BEGUN))
            for _ in range(tries or 0)
        ]
        for place in range(9, len(pairs), 10):
            pairs[place] = SERVERS[place // 10 % len(SERVERS)]
        return pairs

    def prepare(self, place: Path) -> None:
        """An undisturbed run, and some that were killed here and there."""
        self.place = place
        self.contents = undisturbed(place)
        begin_runs(place)

    def attempt(self, case: Pair | str, folder: Path) -> Outcome:
        """Start both, perhaps kill one, wait for both; the work is done once."""
        if isinstance(case, str):
            return _kill_server(case, copy_runs(self.place / "runs", folder / "runs"), self.contents)
        write_subject(folder)
        copy_runs(self.place / f"begun-{case.state}", folder / "runs")
        before = committed_files(folder / "runs")
        moment = None if case.killed is None else Moment(signal.SIGKILL, seconds=case.killed)
        first = start(["run", NAME], folder, moment=moment)
        first.wait(case.later)
        second = start(["run", NAME], folder)
        ends = [first.end(), second.end()]
        detail = f"{case}\n" + "\n".join(ended.said for ended in ends)
        group = "two runs" if case.killed is None else "two runs, one killed"
        # Under load it is killed before it has said anything.
        was_killed = case.killed is not None and ends[0].code == -signal.SIGKILL
        finding = "" if was_killed else misbehaved(ends[0], codes=(0,))
        finding = finding or misbehaved(ends[1], codes=(0,))
        finding = finding or contents_of(folder / "runs").difference(self.contents)
        finding = finding or made_again(before, committed_files(folder / "runs"))
        return Outcome(group, finding, detail=detail)


def _kill_server(which: str, runs: Path, contents: Contents) -> Outcome:
    """Start a server, wait until it answers, end it: the port is free and the runs folder the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = runs.parent
    if which == "mlflow":
        ended = command(["rebuild"], folder)
        if ended.code:
            return Outcome(which, f"rebuild: {ended.said}")
        words = ["mlflow", "--port", str(port)]
    else:
        words = ["dashboard", "--runs", str(runs), "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-c", "from lrbench.cli import main; main()", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    last = time.monotonic() + 120
    while not _answers(port) and server.poll() is None and time.monotonic() < last:
        time.sleep(0.2)
    finding = "" if _answers(port) else f"never answered: {server.poll()}"
    server.terminate()
    try:
        server.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        finding = finding or "did not end within 30 s of SIGTERM"
    if _answers(port):
        finding = finding or "something answers still after its end"
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    return Outcome(which, finding or contents_of(runs).difference(contents))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
