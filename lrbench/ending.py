"""How a command ends: signals, errors and what was typed wrongly become an exit code and one message."""

from __future__ import annotations

import io
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, cast

import typer
from typer.exceptions import TyperException

from lrbench.errors import InterruptedRunError, LrbenchError, OutputClosedError, OutputError, UserError
from lrbench.output import complain, end_output, give_up_output, guard_output
from lrbench.results.logs import guard_logs
from lrbench.results.text import shown
from lrbench.store.limits import limit_reached


def run_to_end(app: typer.Typer) -> NoReturn:
    """Run what was typed; every way it ends is an exit code and, when it is an error, one message."""
    stopped = _listen_for_stops()
    try:
        guard_output()
        guard_logs()
        _check_working_directory()
        # Not by itself: it would print what was typed, such as the name of a file, as it is.
        code = app(standalone_mode=False) or 0
        end_output()
    except TyperException as error:
        usage = io.StringIO()
        cast(Any, error).show(usage)
        complain(usage.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except OutputClosedError:
        # The reader, such as `head`, has seen enough.
        give_up_output()
        sys.exit(0)
    except LrbenchError as error:
        if isinstance(error, OutputError):
            give_up_output()
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("Stopped.")
        sys.exit(InterruptedRunError.exit_code)
    except Exception as error:
        if stopped:
            # A library took the interrupt for a failure of its own.
            complain("Stopped.")
            sys.exit(InterruptedRunError.exit_code)
        details = traceback.format_exc()
        complain(
            limit_reached(error) or f"This is a bug in lrbench: {error!r}\n{write_crash_report(details)}"
        )
        sys.exit(1)
    if stopped:
        # What typer makes of an interrupt, silently.
        complain("Stopped.")
        sys.exit(InterruptedRunError.exit_code)
    sys.exit(code)


def _listen_for_stops() -> list[int]:
    """Make SIGINT and SIGTERM interrupt, also where a shell had them ignored; returns those received."""
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return received


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the working directory no longer exists; change to one that does") from error


def write_crash_report(details: str) -> str:
    """Write down what only a developer can use, and say where; or all of it, where no file can be written."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="lrbench-bug-", suffix=".txt", delete=False) as report:
            report.write(shown(details))
    except OSError as error:
        return f"Please report it; a file with details cannot be written ({error.strerror}):\n{details}"
    return f"Please report it with the details in {report.name}; nothing finished is lost."
