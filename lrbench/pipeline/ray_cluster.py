"""A Ray cluster to work on: one that is joined, or one of this machine alone, for as long as a run takes.

Ray is imported here and nowhere else, and only for who asks for it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrbench.errors import RunError, UserError, first_line
from lrbench.recipe.messages import did_you_mean
from lrbench.results.text import shown

RAY, AUTO = "ray", "auto"
SECONDS_TO_CONNECT = 5.0
SECONDS_TO_ANSWER = 10.0
HEALTH_CHECK = ("health-check", "--skip-version-check")
# The least that Ray takes; nothing but words passes between the processes.
OBJECT_STORE_BYTES = 80_000_000
PREFIX = "lrbench-ray-"
# 107 bytes, of which Ray takes 60 and the folder's own name 20.
LONGEST_PARENT = 26


@dataclass(frozen=True)
class Cluster:
    """Where to work: the cluster at `address`, or one that is started here where there is none."""

    address: str | None

    def __str__(self) -> str:
        if self.address == AUTO:
            return "the Ray cluster of this machine"
        return "this machine" if self.address is None else f"the Ray cluster at {self.address}"


def cluster_of(on: str) -> Cluster:
    """What `--on` says: `ray` or `ray=ADDRESS`.

    Raises `UserError` where it says something else, and where Ray is not installed.
    """
    name, equals, address = on.partition("=")
    if name != RAY:
        hint = did_you_mean(name, [RAY])
        raise UserError(f"--on: nothing is known as {on!r}{hint}; known: {RAY}, {RAY}=ADDRESS")
    if equals and not _is_address(address):
        raise UserError(
            f"--on: {address!r} is no address of a Ray cluster; give HOST:PORT as `ray start --head` says, "
            f"such as {RAY}=10.0.0.1:6379, or {RAY}={AUTO} for the cluster of this machine"
        )
    try:
        version(RAY)
    except PackageNotFoundError:
        raise UserError(
            "--on ray: Ray is not installed here; install it with `pip install 'lrbench[ray]'`"
        ) from None
    return Cluster(address if equals else None)


def _is_address(address: str) -> bool:
    host, colon, port = address.rpartition(":")
    return address == AUTO or bool(colon and host and port.isdecimal() and "//" not in host)


@contextmanager
def connected(cluster: Cluster, cpus: int) -> Iterator[Any]:
    """The module of Ray, connected to `cluster`; one that is started here has so many `cpus`, and ends.

    Raises `UserError` where the cluster cannot be joined, and `RunError` where none can be started.
    """
    if cluster.address is not None:
        _check_answers(cluster.address)
        ray = _imported()
        with _own_signals(), _explained(cluster, ray):
            ray.init(address=cluster.address, **_quiet())
        try:
            yield _hushed(ray)
        finally:
            ray.shutdown()
        return
    folder = _scratch()
    with _closed_to_others():
        ray = _imported()
        try:
            with _own_signals(), _explained(cluster, ray):
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _temp_dir=str(folder),
                    **_quiet(),
                )
            yield _hushed(ray)
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def _scratch() -> Path:
    """A new folder for the logs and sockets of a cluster; the path of a socket can only be so long."""
    parent = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent if len(parent) <= LONGEST_PARENT else "/tmp"))


def _imported() -> Any:
    # Nothing is told to anybody, and GPUs of others are not hidden from processes that asked for none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    return ray


def _quiet() -> dict[str, Any]:
    """What keeps Ray's own words, and those of the workers, from the terminal."""
    return {"log_to_driver": False, "logging_level": logging.CRITICAL}


def _hushed(ray: Any) -> Any:
    # A thread of Ray prints a paragraph for every process that dies, whatever was asked for. What a run says
    # of it is a line.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    return ray


@contextmanager
def _closed_to_others() -> Iterator[None]:
    """What is started meanwhile listens on the loopback address, to who knows a secret of this process."""
    wanted = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    if "RAY_AUTH_MODE" not in os.environ:
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def _token() -> str:
    # One for the process: Ray reads it once.
    return secrets.token_hex(32)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Stops go on to mean what they did: Ray would have them end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _explained(cluster: Cluster, ray: Any) -> Iterator[None]:
    """What Ray says of a connection that fails, as one message of ours."""
    try:
        yield
    except Exception as error:
        with suppress(Exception):
            ray.shutdown()
        if cluster.address is None:
            raise RunError(f"Ray cannot be started here: {first_line(error)}") from error
        if "ersion mismatch" in str(error):
            said = " ".join(str(error).split())
            raise UserError(f"{cluster} is of another version: {said}. Install the same on both") from error
        raise UserError(
            f"{cluster} cannot be joined from here: {first_line(error).rstrip('.')}. lrbench has to run on a "
            "machine of the cluster, one on which `ray start` was typed"
        ) from error


def _check_answers(address: str) -> None:
    """Raise `UserError` where no cluster answers at the address; Ray itself would try for minutes."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    try:
        with closing(socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT)):
            pass
        # Something listens. In a process of its own, which can be ended while it waits for an answer.
        subprocess.run(
            [sys.executable, "-P", "-m", "ray.scripts.scripts", *HEALTH_CHECK, "--address", address],
            capture_output=True,
            timeout=SECONDS_TO_ANSWER,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"something listens there, and does not answer within {SECONDS_TO_ANSWER:.0f} s"
        raise _dead(address, reason) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise _dead(address, shown(lines[-1]) if lines else f"exit code {error.returncode}") from error
    except (OSError, OverflowError) as error:
        raise _dead(address, getattr(error, "strerror", None) or first_line(error)) from error


def _dead(address: str, reason: str) -> UserError:
    return UserError(
        f"--on: no Ray cluster answers at {address} ({reason}). `ray start --head` starts one and says its "
        f"address; `--on {RAY}` alone starts one for this run"
    )
