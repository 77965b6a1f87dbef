"""The edge to the terminal: nothing is written that acts there, and what cannot be written is one message.

Names, templates, servers, data and libraries all end up in messages: none of them moves a cursor, hides
text, or tells a secret. Tables and bars go through `lrbench.results.console`, logs through
`lrbench.results.logs`.

A full disk and a closed pipe are told where standard output is written.
Python raises such an error wherever a buffer happens to be flushed, and again while it exits; and without an
open descriptor 1 or 2, the next file that is opened becomes the output.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

import typer

from lrbench.errors import OutputClosedError, OutputError, UserError
from lrbench.results.text import shown


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
        print(shown(message), file=sys.stderr, flush=True)


def tell(message: str, nl: bool = True) -> None:
    """Write a message or a table to standard output."""
    typer.echo(shown(message), nl=nl)


def tell_own(message: str) -> None:
    """Write what this program made by itself, so that the addresses in it stay whole: nothing of a user's."""
    typer.echo(message)


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
