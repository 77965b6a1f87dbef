"""Mirroring while a run works: a process of low priority beside it, which no result depends on.

MLflow takes seconds to import and to make its store; this process does both while the first arm is
made. It is told of each recorded arm through a pipe, and of the end: by a byte, or by the pipe closing
when the run was killed. Its only answer is one line of JSON at the end.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

from lrbench.errors import LrbenchError
from lrbench.recipe.secrets import without_secrets
from lrbench.results.mlflow.place import INSTALLATION, default_tracking_uri, is_installed, is_mirrored
from lrbench.results.mlflow.tracking_store import LOCK, prepare
from lrbench.store.locks import hold

SWITCH = "LRBENCH_MLFLOW"
OFF = "off"

RECORDED = b"r"
END = b"e"
# The run failed or was interrupted: nothing more is mirrored, and what was shown as at work is ended.
STOP = b"s"

# How long the end of a run waits for what MLflow has not taken yet.
SECONDS_AT_END = 15.0
# How long what was shown as at work may take to be ended, where a run is interrupted.
SECONDS_TO_STOP = 3.0
# A store that failed is tried again at the next arm, but not while it has most likely not changed.
SECONDS_BETWEEN_TRIES = 60.0
# Mirroring takes at most this share of the time between the first arm and the end of a run.
LARGEST_SHARE = 0.05
# Of 19. On one core it gets a quarter of the time, so that most is done before the run's end.
NICENESS = 5

LATER = "Every result is safe in the ledger; `lrbench rebuild` brings MLflow up to date."

NOT_INSTALLED = (
    f"Nothing is mirrored to MLflow, which is not installed. `{INSTALLATION}` and `lrbench rebuild` bring it "
    f"what the ledger holds; {SWITCH}={OFF} leaves this line out."
)


def is_off() -> bool:
    """Whether the user wants no mirroring."""
    return os.environ.get(SWITCH) == OFF


@contextmanager
def mirrored(runs: Path, say: Callable[[str], None]) -> Iterator[BackgroundMirror]:
    """Mirror beside the block, which tells the mirror it is given of each recorded arm.

    At the end of the block `say` gets at most one warning, whatever the mirroring came to; a block that
    fails ends the mirroring too. The block starts it once there is work; else no process is started before
    it turns out that something is missing.
    Where the variable LRBENCH_MLFLOW is `off`, or MLflow is not installed, nothing is mirrored.
    """
    mirror = BackgroundMirror(runs)
    try:
        yield mirror
        warning = mirror.finish()
    except BaseException:
        mirror.stop()
        raise
    if warning is not None:
        say(warning)


class BackgroundMirror:
    """The run's side of the process: nothing here fails or waits, but for `finish`, and that not long."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._failure = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to import MLflow and to make its store, while there is other work to wait for."""
        if self._process is not None or is_off() or not is_installed():
            return
        # -P: a file called mlflow.py where the user stands is not what is meant.
        command = [sys.executable, "-P", "-m", "lrbench.results.mlflow.background", str(self._runs)]
        try:
            # A session of its own: Ctrl-C is for the run, which then stops this process.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        except OSError as error:
            self._failure = f"its process could not be started ({error.strerror})"

    def tell(self) -> None:
        """Say that an arm was recorded."""
        self._send(RECORDED)

    def finish(self) -> str | None:
        """Have what is missing mirrored and end the process; returns the warning where that failed."""
        try:
            if not is_mirrored(self._runs):
                if not is_off() and not is_installed():
                    return NOT_INSTALLED
                self.start()
            if self._process is not None:
                self._send(END)
                answer, _ = self._process.communicate(timeout=SECONDS_AT_END)
                self._failure = self._read(answer)
        except subprocess.TimeoutExpired:
            self._kill()
            self._failure = f"it did not finish within {SECONDS_AT_END:.0f} s of the run's end"
        except Exception as error:  # the run is done, and its results are safe
            self._kill()
            self._failure = without_secrets(f"{type(error).__name__}: {error}")
        return self._warning()

    def stop(self) -> None:
        """Have the process end within moments; a later mirroring makes anew what it leaves half-made."""
        if self._process is not None:
            self._send(STOP)
            with suppress(subprocess.TimeoutExpired, ValueError):
                self._process.communicate(timeout=SECONDS_TO_STOP)
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _send(self, message: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            # The process may have ended, or be so far behind that the pipe is full of such messages.
            with suppress(OSError):
                os.write(self._process.stdin.fileno(), message)

    def _read(self, answer: bytes) -> str:
        assert self._process is not None
        try:
            return str(json.loads(answer)["failure"])
        except (ValueError, KeyError, TypeError):
            return f"its process ended unexpectedly (exit code {self._process.returncode})"

    def _warning(self) -> str | None:
        if not self._failure:
            return None
        if "`lrbench rebuild`" in self._failure:
            return f"warning: {self._failure}"
        shown = without_secrets(default_tracking_uri(self._runs))
        return f"warning: MLflow at {shown} was not brought up to date: {self._failure}. {LATER}"


def serve(runs: Path, messages: int, run: int) -> str:
    """Mirror whenever told through the file descriptor `messages`; returns why the last try failed.

    Meanwhile trainings are shown as they work. Ends at END or when nobody can write any more, having tried
    once more for what is missing, and at STOP at once. `run` is the process that tells. The text is empty
    where nothing is missing.
    """
    uri = default_tracking_uri(runs)
    failure = ""
    failed_at = -SECONDS_BETWEEN_TRIES
    # What prevents it prevents the mirroring too, which says why.
    with suppress(Exception), hold(runs / "ledger" / LOCK):
        prepare(uri, runs)
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401 - drawing would import it when the run waits for it
    mirror = _Mirror(runs, uri)
    ended = waiting = False
    while not ended:
        due = min(mirror.live.due, mirror.idle_until if waiting else math.inf)
        received = _received(messages, due - time.monotonic())
        waiting = waiting or received is not None
        ended = received is not None and (not received or END in received or STOP in received)
        if received is not None and STOP in received:
            break
        mirror.live.look()
        if not waiting or (time.monotonic() < mirror.idle_until and not ended):
            continue
        waiting = False
        if is_mirrored(runs):
            failure = ""
        elif time.monotonic() - failed_at >= SECONDS_BETWEEN_TRIES:
            failure = mirror.bring_up_to_date()
            if failure:
                failed_at = time.monotonic()
    mirror.live.end(run)
    return failure


def _received(messages: int, seconds: float) -> bytes | None:
    """What was told within so many seconds, None if nothing; empty once nobody can tell any more."""
    limit = None if math.isinf(seconds) else max(seconds, 0.0)
    return os.read(messages, 1024) if select([messages], [], [], limit)[0] else None


class _Mirror:
    """The mirror, and until when it rests."""

    def __init__(self, runs: Path, uri: str) -> None:
        from lrbench.results.mlflow.live import Live
        from lrbench.results.mlflow.mirror import Mirroring

        self._mirroring = Mirroring(runs, uri)
        self.live = Live(runs, self._mirroring)
        self.idle_until = 0.0

    def bring_up_to_date(self) -> str:
        """Why it failed; empty where it did not."""
        started = time.monotonic()
        try:
            self._mirroring.bring_up_to_date()
        except LrbenchError as error:
            return str(error)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            ended = time.monotonic()
            self.idle_until = ended + (ended - started) * (1 / LARGEST_SHARE - 1)
        return ""


def main() -> None:
    """The process: `python -m lrbench.results.mlflow.background RUNS`, told through its standard input."""
    os.nice(NICENESS)
    # Libraries may print; the answer goes where nothing else does.
    answer = os.dup(1)
    os.dup2(2, 1)
    failure = serve(Path(sys.argv[1]), messages=0, run=os.getppid())
    with suppress(OSError):
        os.write(answer, json.dumps({"failure": without_secrets(failure)}).encode() + b"\n")
    # The run waits for this: taking thousands of modules apart would be for nothing.
    os._exit(0)


if __name__ == "__main__":
    main()
