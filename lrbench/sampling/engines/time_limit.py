"""The longest time that a request takes, whatever a server does meanwhile.

A socket's timeout is for one read: who sends a byte a minute is never late. A limit shuts the socket down
when the time is over, and whatever reads from it comes back at once.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_of_thread = threading.local()


class TimeLimit:
    """Every request of a `limited_pool` that this thread makes in the block ends within `seconds`.

    It ends by an error of urllib3, or by the `TimeoutError` of `check`, whose text is the number of seconds.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self._over = False
        self._start(seconds)

    def __enter__(self) -> Self:
        _of_thread.limit = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del _of_thread.limit
        self._timer.cancel()
        with self._lock:
            self._forget()

    def shorten(self, seconds: float) -> None:
        """At most `seconds` more from now on."""
        if seconds < self._end - time.monotonic():
            self._timer.cancel()
            self._start(seconds)

    def check(self) -> None:
        """Raise `TimeoutError` where the time is over."""
        if self._over:
            raise TimeoutError(f"{self._seconds:g}")

    def watch(self, connected: socket.socket) -> None:
        """The thread is about to wait for `connected`."""
        with self._lock:
            self._forget()
            # Another handle of the same connection, which lasts whatever becomes of the first: TLS takes the
            # first over, and urllib3 closes it while it still reads from a copy.
            self._watched = socket.fromfd(connected.fileno(), connected.family, connected.type)
        self.check()

    def _forget(self) -> None:
        if self._watched is not None:
            self._watched.close()
            self._watched = None

    def _start(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._over = True
            if self._watched is not None:
                with suppress(OSError):
                    self._watched.shutdown(socket.SHUT_RDWR)


def limited_pool(**settings: Any) -> PoolManager:
    """A pool of connections, made with `settings`, that obey the `TimeLimit` of the thread that uses them."""
    pool = PoolManager(**settings)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


def _watch(connected: socket.socket | None) -> None:
    limit: TimeLimit | None = getattr(_of_thread, "limit", None)
    if limit is not None and connected is not None:
        limit.watch(connected)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _watch(made)
        return made

    def request(self, *given: Any, **options: Any) -> None:
        _watch(self.sock)
        super().request(*given, **options)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
