"""A Ray cluster of two nodes on this machine, a CPU each, started as users do; and what of it can be lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

RAY = [sys.executable, "-P", "-m", "ray.scripts.scripts"]
NODE = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
HOSTS = ("127.0.0.2", "127.0.0.3")
OPEN = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
SECONDS_TO_START = 120.0


@dataclass
class Nodes:
    """A cluster that a user has started; each node is the process of a `ray start --block`."""

    address: str
    environment: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, host: str, *options: str) -> subprocess.Popen[bytes]:
        """One more node at that address."""
        process = subprocess.Popen(
            [*RAY, "start", "--block", f"--node-ip-address={host}", *NODE, *options],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def join(self, host: str = HOSTS[1]) -> None:
        """One more node of this cluster; returns when it has joined, and those that are lost are missed."""
        alive = sum(process.poll() is None for process in self.processes)
        wait_until(lambda: places(self.address) == alive)
        self.add(host, f"--address={self.address}")
        wait_until(lambda: places(self.address) == alive + 1)

    @property
    def actors(self) -> list[int]:
        """The processes of workers that are on it."""
        return actors(*(process.pid for process in self.processes))

    def raylet(self, node: subprocess.Popen[bytes]) -> list[int]:
        """The process that manages a node; none where it is gone."""
        return named("raylet", node.pid)

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
        """End a node with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait()


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    """A cluster for as long as the block takes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-nodes-", dir="/tmp"))
    port = free_port()
    nodes = Nodes(f"{HOSTS[0]}:{port}", os.environ | OPEN)
    try:
        head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
        nodes.add(HOSTS[0], *head, "--min-worker-port=0", "--max-worker-port=0")
        wait_until(lambda: answers(nodes.address))
        nodes.join()
        yield nodes
    finally:
        for process in nodes.processes:
            nodes.end(process)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind((HOSTS[0], 0))
        return int(found.getsockname()[1])


def answers(address: str) -> bool:
    """Whether something listens at HOST:PORT."""
    host, _, port = address.partition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


def places(address: str) -> int:
    """How many CPUs a cluster has; 0 where it does not answer."""
    code = (
        "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); "
        "print('CPUs', int(ray.cluster_resources()['CPU']))"
    )
    command = [sys.executable, "-c", code, address]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ | OPEN)
    # Ray may say more there, such as which node it misses.
    said = re.search(r"^CPUs (\d+)$", found.stdout, re.MULTILINE)
    return int(said[1]) if said else 0


def actors(*roots: int) -> list[int]:
    """The processes of workers among those that came of others."""
    return named("ray::RayWorker", *roots)


def named(name: str, *roots: int) -> list[int]:
    """Which of the processes that came of others have a command that begins or ends with a name."""
    found = []
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(root).children(recursive=True):
                with suppress(psutil.NoSuchProcess, IndexError):
                    command = process.cmdline()[0]
                    if command.startswith(name) or Path(command).name == name:
                        found.append(process.pid)
    return sorted(found)


def wait_until(holds: Callable[[], bool], seconds: float = SECONDS_TO_START) -> None:
    """Wait for something; raises `TimeoutError` where it does not come about."""
    last = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > last:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.1)
