"""What every command owes its user, whatever it was given: an exit code, a message, an end."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.faults.process import Ended

# What an exit code of lrbench can be: done, cannot go on, the user's mistake, interrupted.
DOCUMENTED = (0, 1, 2, 130)
BUG = "This is a bug in lrbench"
TRACEBACK = "Traceback (most recent call last)"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLACE = re.compile(r"\S+:\d+:\d+: ")
REPORT = re.compile(r"details in (\S+);")
FRAME = re.compile(r'File "\S*/((?:lrbench|lrbench_dashboard)/\S+)", line (\d+)')
MOST_BYTES = 3 * 2**30


def misbehaved(ended: Ended, codes: tuple[int, ...] = DOCUMENTED, cpu_seconds: float | None = None) -> str:
    """What no command may do, if it did; empty otherwise."""
    if ended.stuck:
        return f"did not end within {ended.seconds:.0f} s; last said {ended.said[-200:]!r}"
    told = misworded(ended.said)
    if told:
        return told
    if ended.code not in codes:
        return f"exit code {ended.code}; said {ended.said[-300:]!r}"
    # Who pressed Ctrl-C knows why it ended.
    if ended.code not in (0, 130) and not ended.errors.strip() and not ended.output.strip():
        return f"exit code {ended.code} without a word"
    if ended.grown_bytes > MOST_BYTES:
        return f"took {ended.grown_bytes / 2**30:.1f} GiB"
    if cpu_seconds is not None and ended.cpu_seconds > cpu_seconds:
        return f"took {ended.cpu_seconds:.0f} s of a processor"
    return ""


def misworded(said: str) -> str:
    """What no text on a terminal may hold, if it is there; empty otherwise."""
    if BUG in said:
        line = next(line for line in said.splitlines() if BUG in line)
        return f"{line[:300]} {_crash_place(said)}"
    if TRACEBACK in said:
        return f"a traceback: {said.strip().splitlines()[-1][:300]}"
    control = CONTROL.search(said)
    if control:
        near = said[max(0, control.start() - 40) : control.end() + 20]
        return f"a control character reaches the terminal: {near!r}"
    return ""


WHOLE_FILE = re.compile(r"this is a study")


def unplaced(ended: Ended) -> str:
    """A refusal (exit code 2) that names no file, line and column; empty where it does, or there is none."""
    if ended.code == 2 and not PLACE.search(ended.errors) and not WHOLE_FILE.search(ended.errors):
        return f"a message without file:line:column: {ended.errors[:300]!r}"
    return ""


def _crash_place(said: str) -> str:
    """Where in lrbench the crash was, by its report, which is removed."""
    report = REPORT.search(said)
    if report is None:
        return ""
    path = Path(report[1])
    places = FRAME.findall(path.read_text()) if path.exists() else []
    path.unlink(missing_ok=True)
    return " < ".join(f"{file}, {line}" for file, line in reversed(places[-3:]))
