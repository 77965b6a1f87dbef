"""Running a program that a model has written: in a sandbox of Linux namespaces, and never without it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from lrbench.errors import RunError

SANDBOX = Path(__file__).with_name("sandbox_process.py")
# Python's own libraries need these; whichever of them are there.
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64")
# Of all that the program may see of an environment. Libraries of linear algebra start threads otherwise, as
# many as there are cores, and a set of texts has another order in every process.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Root's processes cannot be limited: where there is no other user to run as, this program comes to its end.
_PROBE = """
import os, signal
try:
    for _ in range(64):
        if os.fork() == 0:
            signal.pause()
except OSError:
    raise SystemExit
"""
# For the sandbox to be made and taken down, on a machine that is busy.
_SECONDS_AROUND = 60


class Ended(StrEnum):
    """How a program came to its end."""

    PASSED = "passed"
    """All of it was run, and nothing raised an exception."""
    FAILED = "failed"
    """It raised an exception, or ended before its last line."""
    TIMED_OUT = "timed out"
    """It was ended at a limit of time."""
    OUT_OF_MEMORY = "out of memory"
    """It wanted more memory than it may have."""


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    `seconds` are of processor time and of each of its processes, so that a busy machine changes no verdict;
    `sleeping_seconds` are of the clock. `memory_bytes` are of each process, `file_bytes` of each file, and
    `disk_bytes` of all files together. Threads count as `processes`.
    """

    seconds: int = 3
    sleeping_seconds: int = 20
    memory_bytes: int = 2**30
    file_bytes: int = 2**24
    disk_bytes: int = 2**26
    processes: int = 4

    @property
    def facts(self) -> dict[str, Any]:
        """What of a sandbox may change a verdict, as JSON values."""
        return asdict(self) | {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


LIMITS = Limits()


def run_program(program: str, limits: Limits = LIMITS) -> Ended:
    """Run a program with the packages of this Python, and say how it ended.

    Raises `RunError` where there is no sandbox to run it in.
    """
    answer = _ask(program, limits)
    if "ended" not in answer:
        raise RunError(f"a program cannot be run, since there is no sandbox for it: {answer['unable']}")
    return Ended(answer["ended"])


@cache
def missing_sandbox() -> str | None:
    """Why no program can be run on this machine, or None where programs can be."""
    found = _ask(_PROBE, LIMITS)
    if "unable" in found:
        return found["unable"]
    if found["ended"] == Ended.PASSED:
        return "processes are not limited in it: root's never are, and there is no other user here to run as"
    return None


def _ask(program: str, limits: Limits) -> dict[str, str]:
    if sys.platform != "linux":
        return {"unable": f"it is made of namespaces of Linux, and this is {platform.system()}"}
    folders = _folders()
    request = {
        "program": program,
        "folders": folders,
        "path": [entry for entry in sys.path if any(_is_within(entry, folder) for folder in folders)],
        "limits": asdict(limits),
    }
    most = limits.sleeping_seconds + _SECONDS_AROUND
    try:
        # `-S`: what packages put in place for the start of Python is not there. `-P`: neither is this folder.
        done = subprocess.run(
            [sys.executable, "-B", "-P", "-S", str(SANDBOX)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            umask=0o022,
            timeout=most,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"unable": f"it does not come to an end within {most} s"}
    try:
        answer: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        return {"unable": f"its process fails ({said[-1]})"}
    if "unable" in answer:
        return {"unable": f"the kernel gives no namespaces of one's own ({answer['unable']})"}
    return answer


@cache
def _folders() -> list[str]:
    """Where Python is, and what it needs of the system; none of them in another."""
    wanted = {Path(folder).absolute() for folder in (*_SYSTEM, sys.base_prefix, sys.prefix)}
    there = sorted(str(folder) for folder in wanted if folder.is_dir())
    return [
        folder
        for folder in there
        if not any(other != folder and _is_within(folder, other) for other in there)
    ]


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
