"""Commands in processes of their own: forked from one that has imported what takes long, watched, ended.

A command starts as a user starts it, with arguments, variables and a folder to stand in. Only its imports are
done already, so that a thousand of them are affordable and a signal falls into its work.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import mmap
import os
import resource
import select
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HEAVY = (
    "lrbench.cli",
    "lrbench.evaluation.harness",
    "lrbench.evaluation.language_model",
    "lrbench.models.loading",
    "lrbench.pipeline.exporting.gate",
    "lrbench.pipeline.exporting.merging",
    "lrbench.pipeline.exporting.publishing",
    "lrbench.pipeline.exporting.registering",
    "lrbench.pipeline.exporting.samples",
    "lrbench.pipeline.doctor",
    "lrbench.pipeline.run",
    "lrbench.pipeline.showing",
    "lrbench.pipeline.studying",
    "lrbench.results.bundle.verifying",
    "lrbench.results.rendering.latex",
    "lrbench.results.mlflow.mirror",
    "lrbench.results.mlflow.registry",
    "lrbench.results.plots",
    "lrbench.results.rendering.terminal",
    "lrbench.sampling.engines.transformers",
    "lrbench.sampling.scoring",
    "lrbench.sampling.samples",
    "lrbench.training.adapters",
    "lrbench.training.lesson",
    "lrbench.training.loop",
    "lrbench.training.supervision",
    "matplotlib.backends.backend_agg",
    "transformers.models.qwen2.modeling_qwen2",
)
PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 180.0
# What a mirroring that outlives its run may take; it ends by itself when it has seen the run's end.
SECONDS_FOR_ORPHANS = 30.0
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link"})
COUNTER = struct.Struct("q")

# Commands under way: while there is one, a child that ends may be it and is left to it.
_under_way: set[int] = set()


@dataclass(frozen=True)
class Moment:
    """When a process gets a signal: after so many seconds, or before its so-many-th change of a file."""

    signal: signal.Signals
    seconds: float | None = None
    change: int | None = None

    def __str__(self) -> str:
        when = f"after {self.seconds:.3f} s" if self.change is None else f"before change {self.change}"
        return f"{self.signal.name} {when}"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit status; negative, the signal that ended it.
        output, errors: what it printed.
        seconds, cpu_seconds: how long it took, and how much of a processor.
        grown_bytes: the most memory it held beyond what it began with.
        changes: how often it asked the file system to change something.
        stuck: it had to be ended, since it did not end by itself.
    """

    code: int
    output: str
    errors: str
    seconds: float
    cpu_seconds: float
    grown_bytes: int
    changes: int
    stuck: bool

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.output + self.errors


def import_heavy(names: Sequence[str] = HEAVY) -> None:
    """Import, once, what the commands would import each for itself; then keep those objects shared."""
    for name in names:
        # A module that moved is imported by the command itself, which then takes longer.
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def adopt_orphans() -> None:
    """Have the children of killed commands handed to this process, which waits for them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def command(
    arguments: Sequence[object],
    folder: Path,
    *,
    variables: Mapping[str, str] | None = None,
    moment: Moment | None = None,
    before: Callable[[], None] | None = None,
    main: Callable[[], object] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Ended:
    """Run `lrbench ARGUMENTS` in `folder` to its end, or to the `moment` of a signal.

    `before` is called in the new process, to limit it or to break its surroundings; `main` runs in the place
    of lrbench's own.
    """
    return start(arguments, folder, variables, moment, before, main).end(patience)


def start(
    arguments: Sequence[object],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    moment: Moment | None = None,
    before: Callable[[], None] | None = None,
    main: Callable[[], object] | None = None,
) -> Started:
    """Start a command as `command` does, without waiting for it."""
    places = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]  # noqa: SIM115 - closed by `end`
    counter = mmap.mmap(-1, COUNTER.size)
    sys.stdout.flush()
    sys.stderr.flush()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become(list(map(str, arguments)), folder, variables or {}, moment, before, main, places, counter)
    return Started(pid, began, moment, places, counter)


class Started:
    """A command that is under way."""

    def __init__(
        self,
        pid: int,
        began: float,
        moment: Moment | None,
        places: list[io.BufferedRandom],
        counter: mmap.mmap,
    ) -> None:
        self.pid = pid
        self._began = began
        self._moment = moment
        self._places = places
        self._counter = counter
        self._descriptor = os.pidfd_open(pid)
        _under_way.add(pid)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        return bool(select.select([self._descriptor], [], [], max(0.0, seconds))[0])

    def end(self, patience: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end, with the signal it was to get; what does not end in time is ended."""
        if (
            self._moment is not None
            and self._moment.seconds is not None
            and not self.wait(self._moment.seconds)
        ):
            os.kill(self.pid, self._moment.signal)
        stuck = not self.wait(patience)
        if stuck:
            os.kill(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        seconds = time.monotonic() - self._began
        os.close(self._descriptor)
        _under_way.discard(self.pid)
        if not _under_way:
            _end_orphans()
        output, errors = map(_read_again, self._places)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Ended(
            os.waitstatus_to_exitcode(status),
            output,
            errors,
            seconds,
            usage.ru_utime + usage.ru_stime,
            max(0, usage.ru_maxrss - own) * 1024,
            COUNTER.unpack(self._counter[:])[0],
            stuck,
        )


def _become(
    arguments: list[str],
    folder: Path,
    variables: Mapping[str, str],
    moment: Moment | None,
    before: Callable[[], None] | None,
    main: Callable[[], object] | None,
    places: list[io.BufferedRandom],
    counter: mmap.mmap,
) -> None:
    """Turn this forked process into the command; never returns."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(places[0].fileno(), 1)
        os.dup2(places[1].fileno(), 2)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.environ.update({"COLUMNS": "100", "LRBENCH_MLFLOW": "off", **variables})
        tempfile.tempdir = None
        sys.argv = ["lrbench", *arguments]
        _count_changes(counter, moment)
        if before is not None:
            before()
        if main is None:
            from lrbench.cli import main
        # What the process it was forked from does at its end is not for this one.
        atexit._clear()
        code = _exit_code_of(main)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        with suppress(Exception):
            sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _exit_code_of(main: Callable[[], object]) -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _count_changes(counter: mmap.mmap, moment: Moment | None) -> None:
    """Count what this process changes in the file system; before the change of the `moment`, signal it."""
    count = 0
    last = None if moment is None else moment.change

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if writes or event in CHANGES:
            count += 1
            counter[:] = COUNTER.pack(count)
            if count == last and moment is not None:
                os.kill(os.getpid(), moment.signal)

    sys.addaudithook(hear)


def _end_orphans() -> None:
    """Wait for what the command left running, such as its mirroring, and end what does not end."""
    last = time.monotonic() + SECONDS_FOR_ORPHANS
    with suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                if time.monotonic() > last:
                    _kill_children()
                time.sleep(0.02)


def _kill_children() -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def _read_again(place: io.BufferedRandom) -> str:
    place.seek(0)
    text = place.read(2**22).decode(errors="replace")
    place.close()
    return text
