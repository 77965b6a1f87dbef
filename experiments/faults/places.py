"""Cramped and odd places: no room, descriptors, memory or permission; odd clocks and terminals."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from experiments.faults.campaign import Kind, Outcome, spread
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Ended, command
from experiments.faults.subject import (
    ARM,
    NAME,
    STUDY_NAME,
    Contents,
    contents_of,
    copy_runs,
    undisturbed,
    write_subject,
)

LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]
NOBODY = 65534
# What is written with a whole runs folder there, each as what a user types.
WRITING = {
    "run": ("run", NAME),
    "tables": ("tables", STUDY_NAME, "--edition", "embedded"),
    "export": ("export", ARM, "--to", "out"),
    "export merged": ("export", ARM, "--merge", "--to", "out"),
    "bundle": ("bundle", "tiny", "--to", "out.tar.gz"),
    "rebuild": ("rebuild",),
}
READING = {
    "results": ("results",),
    "results as csv": ("results", "--format", "csv"),
    "plan": ("plan", NAME),
    "check": ("check", NAME),
    "doctor": ("doctor",),
    "samples": ("samples", NAME),
}
DISKS = {"disk": "size={}k", "inodes": "size=64m,nr_inodes={}"}
ROOM = {"disk": (4, 60, 200, 500, 900, 1400, 1900), "inodes": (3, 12, 40, 90, 140)}
DESCRIPTORS = (4, 8, 12, 20, 40)
MEMORY_MIB = (0, 20, 100, 400)
CLOCKS = {"1970": -1.7e9, "2100": 2.4e9, "an hour back": -3600.0, "a year back": -3.2e7}
TERMINALS: dict[str, dict[str, str | None]] = {
    "no COLUMNS": {"COLUMNS": None},
    "COLUMNS 0": {"COLUMNS": "0"},
    "COLUMNS 1": {"COLUMNS": "1"},
    "COLUMNS 10": {"COLUMNS": "10"},
    "COLUMNS 100000": {"COLUMNS": "100000"},
    "COLUMNS x": {"COLUMNS": "x"},
    "COLUMNS -5": {"COLUMNS": "-5"},
    "LANG C": {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": None},
    "ascii output": {"PYTHONIOENCODING": "ascii"},
    "latin-1 output": {"PYTHONIOENCODING": "latin-1"},
    "utf-16 output": {"PYTHONIOENCODING": "utf-16"},
    "LANG nonsense": {"LANG": "xx_YY.nope", "LC_ALL": "xx"},
    "TZ odd": {"TZ": "Pacific/Apia"},
    "TZ nonsense": {"TZ": "No/Where"},
    "TERM dumb": {"TERM": "dumb"},
    "no HOME": {"HOME": None},
    "HOME nowhere": {"HOME": "/nonexistent"},
    "TMPDIR nowhere": {"TMPDIR": "/nonexistent"},
    "HOME a file": {"HOME": "/etc/passwd"},
    "no PATH": {"PATH": None},
    "PATH empty": {"PATH": ""},
    "hash seed": {"PYTHONHASHSEED": "7"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
    "warnings": {"PYTHONWARNINGS": "error::UserWarning"},
    "forced colour": {"FORCE_COLOR": "1"},
    "no variable at all": {"*": None},
}
STREAMS = (
    "closed input",
    "closed output",
    "closed errors",
    "all closed",
    "output full",
    "errors full",
    "a reader that leaves",
)
STOPPED = "Stopped, since the output was closed by its reader. Everything finished is kept"
FOLDERS = (
    "read-only runs",
    "read-only around",
    "deleted",
    "by a link",
    "runs a file",
    "runs a link",
    "runs a FIFO",
    "unreadable store",
)


@dataclass(frozen=True)
class Place:
    """A sort of place, which of its sort, and the command that is tried in it."""

    sort: str
    which: str
    words: tuple[str, ...]


class Places(Kind):
    """A list of places; each with the commands that meet it."""

    name = "places"
    full = 240

    def __init__(self) -> None:
        self.place = Path()
        self.contents = Contents({}, ())

    def cases(self, tries: int | None, seed: int) -> Sequence[Place]:
        """Every place."""
        every = {**WRITING, **READING}
        made = [
            *(
                Place(disk, str(room), words)
                for disk in DISKS
                for room in ROOM[disk]
                for words in WRITING.values()
            ),
            *(
                Place("file size", str(size), words)
                for size in (0, 100, 20_000)
                for words in WRITING.values()
            ),
            *(Place("descriptors", str(most), words) for most in DESCRIPTORS for words in every.values()),
            *(Place("memory", str(more), words) for more in MEMORY_MIB for words in every.values()),
            *(Place("clock", clock, words) for clock in CLOCKS for words in every.values()),
            *(Place("terminal", name, READING["results"]) for name in TERMINALS),
            *(Place("terminal", name, READING["plan"]) for name in list(TERMINALS)[::3]),
            *(
                Place("streams", name, words)
                for name in STREAMS
                for words in (every["results"], every["check"], every["run"])
            ),
            *(
                Place("folder", name, words)
                for name in FOLDERS
                for words in (every["results"], every["run"], every["bundle"])
            ),
        ]
        return spread(made, tries, seed)

    def prepare(self, place: Path) -> None:
        """An undisturbed run."""
        self.place = place
        self.contents = undisturbed(place)

    def attempt(self, case: Place, folder: Path) -> Outcome:
        """Try the command in the place; then, where it is roomy again, to the end."""
        try:
            finding, detail = _TRIED[case.sort](self, case, folder)
        except UnavailableError as absent:
            return Outcome(f"{case.sort}: not here", counted=False, detail=str(absent))
        return Outcome(case.sort, finding, detail=f"{case}\n{detail}")

    def set_out(self, folder: Path, words: Sequence[str]) -> None:
        """What the command starts from: nothing for a run, else everything."""
        write_subject(folder)
        if words[:1] != ("run",):
            copy_runs(self.place / "runs", folder / "runs")

    def then(self, words: Sequence[str], folder: Path, cramped: Ended) -> tuple[str, str]:
        """Judge a command that had no room, and the same again with room."""
        finding = misbehaved(cramped, codes=(0, 1, 2))
        if cramped.code and not finding:
            half = [name for name in ("out", "out.tar.gz") if (folder / name).exists()]
            finding = f"{half[0]} is there after a failure" if half else ""
        for name in ("out", "out.tar.gz"):
            if cramped.code == 0 and (folder / name).exists():
                subprocess.run(["rm", "-r", folder / name], check=True)
        again = command(words, folder)
        finding = finding or misbehaved(again, codes=(0,))
        finding = finding or contents_of(folder / "runs").difference(self.contents)
        return finding, f"{cramped.code}: {cramped.said}\nagain {again.code}: {again.said}"


class UnavailableError(Exception):
    """This machine cannot make the place."""


def _small_disk(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    with _mounted(folder / "disk", DISKS[case.sort].format(2048 if case.sort == "disk" else 4096)) as disk:
        kind.set_out(disk, case.words)
        room = int(case.which)
        state = os.statvfs(disk)
        if case.sort == "disk":
            free = state.f_bavail * state.f_frsize // 1024
            with suppress(OSError), (disk / "filler").open("wb") as filler:
                filler.write(bytes(max(0, free - room) * 1024))
        else:
            (disk / "filler").mkdir()
            for number in range(max(0, state.f_favail - room - 1)):
                (disk / "filler" / str(number)).touch()
        cramped = command(case.words, disk)
        subprocess.run(["rm", "-rf", disk / "filler"], check=True)
        subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=0", disk], check=True)
        return kind.then(case.words, disk, cramped)


@contextmanager
def _mounted(place: Path, options: str) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
    if mounted.returncode:
        raise UnavailableError("only root can mount a small disk here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _limit(what: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (value, resource.getrlimit(what)[1]))


def _file_size(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    import signal

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _limit(resource.RLIMIT_FSIZE, int(case.which))()

    kind.set_out(folder, case.words)
    return kind.then(case.words, folder, _saying(case.words, folder, limited))


def _saying(words: Sequence[str], folder: Path, limited: Callable[[], None]) -> Ended:
    """A command that may not write files, but may print: into a pipe, as a terminal would take it."""
    return _real(
        words, folder, dict(os.environ) | {"LRBENCH_MLFLOW": "off", "COLUMNS": "100"}, before=limited
    )


def _descriptors(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    kind.set_out(folder, case.words)
    # Those that are open already are the first of them.
    own = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    cramped = command(case.words, folder, before=_limit(resource.RLIMIT_NOFILE, own + int(case.which)))
    return kind.then(case.words, folder, cramped)


def _memory(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    kind.set_out(folder, case.words)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(case.which) * 2**20
    cramped = command(case.words, folder, before=_limit(resource.RLIMIT_AS, most))
    if cramped.code < 0 or (cramped.code and "memory" in cramped.said.lower()):
        # Libraries abort where they get no memory; nothing may be lost by it.
        cramped = Ended(1, "no memory", "", 0, 0, 0, 0, False)
    return kind.then(case.words, folder, cramped)


def _clock(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    """The clock is wrong for the whole command, or jumps between two looks at it."""
    shift = CLOCKS[case.which]

    def shifted() -> None:
        real, real_ns = time.time, time.time_ns
        count = 0

        def offset() -> float:
            nonlocal count
            count += 1
            return shift if case.which != "an hour back" or count > 5 else 0.0

        time.time = lambda: real() + offset()
        time.time_ns = lambda: real_ns() + int(offset() * 1e9)

    kind.set_out(folder, case.words)
    return kind.then(case.words, folder, command(case.words, folder, before=shifted))


def _real(
    words: Sequence[str],
    folder: Path,
    variables: dict[str, str],
    before: Callable[[], None] | None = None,
    redirected: str = "",
) -> Ended:
    """A command from its very start, for what is decided there: encodings, streams, variables."""
    line = [*LRBENCH, *words]
    if redirected:
        line = ["bash", "-c", f'exec "$@" {redirected}', "bash", *line]
    began = time.monotonic()
    try:
        done = subprocess.run(
            line, cwd=folder, env=variables, capture_output=True, timeout=180, preexec_fn=before
        )
    except subprocess.TimeoutExpired as late:
        said = ((late.stdout or b"") + (late.stderr or b"")).decode(errors="replace")
        return Ended(-9, said, "", 180, 0, 0, 0, True)
    output, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Ended(done.returncode, output, errors, time.monotonic() - began, 0, 0, 0, False)


def _terminal(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    kind.set_out(folder, case.words)
    variables: dict[str, str] = dict(os.environ)
    for name, value in TERMINALS[case.which].items():
        if name == "*":
            variables = {}
        elif value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    ended = _real(case.words, folder, variables)
    if case.which in ("forced colour", "utf-16 output"):
        # What was asked for.
        ended = Ended(ended.code, "shown", "", ended.seconds, 0, 0, 0, ended.stuck)
    return misbehaved(ended, codes=(0,)), f"{ended.code}: {ended.said}"


def _streams(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    kind.set_out(folder, case.words)
    redirected = {
        "closed input": "<&-",
        "closed output": ">&-",
        "closed errors": "2>&-",
        "all closed": "<&- >&- 2>&-",
        "output full": ">/dev/full",
        "errors full": "2>/dev/full",
        "a reader that leaves": "> >(true)",
    }[case.which]
    ended = _real(case.words, folder, dict(os.environ) | {"LRBENCH_MLFLOW": "off"}, redirected=redirected)
    silent = case.which in ("all closed", "closed output", "closed errors", "errors full")
    finding = misbehaved(ended, codes=(0, 1, 2))
    if silent and finding.endswith("without a word"):
        finding = ""
    if not finding and case.which == "output full" and ended.code == 0:
        finding = "exit code 0 although nothing could be written"
    # What prints ends well when its reader has seen enough; a run has more to do than to print, and says so.
    stopped = case.which == "a reader that leaves" and case.words[0] == "run" and STOPPED in ended.errors
    if not finding and case.which in ("closed input", "a reader that leaves") and ended.code and not stopped:
        finding = f"exit code {ended.code}: {ended.said[-200:]!r}"
    return finding, f"{ended.code}: {ended.said}"


def _folder(kind: Places, case: Place, folder: Path) -> tuple[str, str]:
    work = folder / "work"
    work.mkdir()
    kind.set_out(work, case.words)
    runs = work / "runs"
    stand = work
    before: Callable[[], None] | None = None

    def nobody() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    if case.which in ("read-only runs", "read-only around", "unreadable store"):
        if os.getuid():
            raise UnavailableError("only root can become another user")
        if case.words[0] == "run" and not _nobody_starts_python():
            raise UnavailableError("another user cannot start this Python, so a run renders no template")
        # Root may write everywhere: another user does it, who has to get there.
        for parent in (folder, folder.parent):
            parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o055)
        runs.mkdir(exist_ok=True)
        if case.which == "read-only runs":
            work.chmod(0o777)
        if case.which == "unreadable store" and (runs / "store").exists():
            (runs / "store").chmod(0o700)
        before = nobody
    elif case.which == "deleted":
        before = lambda: shutil.rmtree(work)  # noqa: E731
    elif case.which == "by a link":
        stand = folder / "linked"
        stand.symlink_to(work)
    elif case.which.startswith("runs "):
        if runs.exists():
            runs.rename(work / "elsewhere")
        if case.which == "runs a file":
            runs.write_text("not a folder")
        elif case.which == "runs a FIFO":
            os.mkfifo(runs)
        else:
            (work / "elsewhere").mkdir(exist_ok=True)
            runs.symlink_to("elsewhere")
    ended = command(case.words, stand, before=before, patience=120)
    codes = (0,) if case.which in ("by a link", "runs a link") else (0, 1, 2)
    finding = misbehaved(ended, codes=codes)
    if not finding and case.which in ("deleted", "runs a file", "runs a FIFO") and ended.code == 0:
        finding = "exit code 0 where there is nothing to work in"
    if not finding and ended.code == 0 and case.which in ("by a link", "runs a link"):
        finding = contents_of(runs).difference(kind.contents)
    return finding, f"{ended.code}: {ended.said}"


def _nobody_starts_python() -> bool:
    """Whether another user may execute this Python: one in root's home is out of reach."""
    try:
        line = [sys.executable, "-c", ""]
        return subprocess.run(line, user=NOBODY, group=NOBODY, extra_groups=[]).returncode == 0
    except PermissionError:
        return False


_TRIED: dict[str, Callable[[Places, Place, Path], tuple[str, str]]] = {
    "disk": _small_disk,
    "inodes": _small_disk,
    "file size": _file_size,
    "descriptors": _descriptors,
    "memory": _memory,
    "clock": _clock,
    "terminal": _terminal,
    "streams": _streams,
    "folder": _folder,
}
