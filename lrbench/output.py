"""Standard output that says in one message why it cannot be written: a full disk, a pipe that was closed.

Python raises such an error wherever a buffer happens to be flushed, and again while it exits; and without an
open descriptor 1 or 2, the next file that is opened becomes the output.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

from lrbench.errors import OutputClosedError, OutputError, UserError


def guard_output() -> None:
    """Have every failure to write standard output raised as an `OutputError`.

    Raises `UserError` where it is closed: a command without output would be for nothing.
    """
    if sys.stderr is None:
        _silence(2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None:
        _silence(1)
        raise UserError("standard output is closed; open it, or send it to /dev/null")
    raw = _Guarded(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors,
        line_buffering=bool(sys.stdout.line_buffering),
    )


def complain(message: str) -> None:
    """Write a line to standard error; where even that cannot be written, the exit code has to do."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def end_output() -> None:
    """Write what is still in buffers. Raises `OutputError` where that cannot be."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up_output() -> None:
    """Let nothing more be written to standard output: what is in its buffers would fail once more."""
    _silence(1)


class _Guarded(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise OutputClosedError("the output was closed by its reader") from error
        except OSError as error:
            raise OutputError(f"the output cannot be written: {error.strerror}") from error


def _silence(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
