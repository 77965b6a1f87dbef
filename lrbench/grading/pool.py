"""The worker processes of this process, started as they are needed."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from lrbench.errors import RunError
from lrbench.grading.worker import Kind, Outcome

Question = tuple[Kind, str, str]
"""What is asked, the answer, and the gold answer."""


class Worker:
    """One worker process. Not safe for use by two threads at once."""

    def __init__(self) -> None:
        environment = dict(os.environ)
        # Hash order decides ties inside sympy; a fixed seed makes a verdict the same in every run.
        environment["PYTHONHASHSEED"] = "0"
        environment["PYTHONPATH"] = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lrbench.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        if self._read_line() != "ready":
            self.close()
            raise RunError(
                "grading: a worker process did not start; "
                f"run `{sys.executable} -m lrbench.grading.worker` to see why"
            )

    @property
    def process_id(self) -> int:
        """The operating system's number of the process."""
        return self._process.pid

    def ask(self, questions: list[Question]) -> list[Outcome]:
        """The outcome of each question on an item. Raises OSError when the process is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(questions).encode() + b"\n")
        self._process.stdin.flush()
        reply = self._read_line()
        if not reply:
            raise BrokenPipeError("the worker process ended")
        return [Outcome(outcome) for outcome in json.loads(reply)]

    def close(self) -> None:
        """End the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


class WorkerPool:
    """At most `size` workers, shared by all threads of a process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: list[Worker] = []
        self._started = 0
        self._changed = threading.Condition()

    def ask(self, questions: list[Question]) -> list[Outcome]:
        """The outcome of each question; waits for a worker. A worker that was killed is replaced once."""
        worker = self._take()
        try:
            try:
                outcomes = worker.ask(questions)
            except OSError:
                worker.close()
                worker = Worker()
                outcomes = worker.ask(questions)
        except BaseException:
            worker.close()
            with self._changed:
                self._started -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._idle.append(worker)
            self._changed.notify()
        return outcomes

    def process_ids(self) -> list[int]:
        """The processes of the workers that wait for a question."""
        with self._changed:
            return [worker.process_id for worker in self._idle]

    def close(self) -> None:
        """End the waiting workers."""
        with self._changed:
            workers, self._idle = self._idle, []
            self._started -= len(workers)
        for worker in workers:
            worker.close()

    def _take(self) -> Worker:
        with self._changed:
            while not self._idle and self._started >= self.size:
                self._changed.wait()
            if self._idle:
                return self._idle.pop()
            self._started += 1
        try:
            return Worker()
        except BaseException:
            with self._changed:
                self._started -= 1
                self._changed.notify()
            raise


_shared: WorkerPool | None = None
_lock = threading.Lock()


def shared_pool(size: int) -> WorkerPool:
    """The pool of this process, with room for `size` workers at least."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = WorkerPool(size)
            atexit.register(_shared.close)
        _shared.size = max(_shared.size, size)
        return _shared


def _forget_pool() -> None:
    """A forked process must not talk to the workers of its parent."""
    global _shared, _lock
    _shared, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_pool)
