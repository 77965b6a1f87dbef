"""A small completions server on this machine, whose every answer a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.engines.hostile_answers import Refusal

Answer = tuple[int, Any]


@dataclass
class Loopback:
    """`answer(path, body)` gives the status and body of every request; all requests are kept.

    The body is sent as it is where it is text or bytes, drop by drop where it is an iterator of bytes, and
    else as JSON. A `Refusal` in place of both is sent as a whole.
    """

    answer: Callable[[str, dict[str, Any]], Answer | Refusal]
    url: str = ""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most_at_once: int = 0
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        yield
        with self._lock:
            self._running -= 1


@contextmanager
def serving(answer: Callable[[str, dict[str, Any]], Answer | Refusal]) -> Iterator[Loopback]:
    """Serve on a free port until the block is left."""
    loopback = Loopback(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: dict[str, Any]) -> None:
            loopback.requests.append((self.path, body))
            loopback.keys.append(self.headers["Authorization"])
            with loopback.counted():
                answered = loopback.answer(self.path, body)
            self._send(answered if isinstance(answered, Refusal) else _whole(*answered))

        def _send(self, whole: Refusal | tuple[int, Iterator[bytes]]) -> None:
            if isinstance(whole, tuple):
                self.send_response(whole[0])
                self.send_header("Content-Length", str(2**30))
                self.end_headers()
                for drop in whole[1]:
                    self.wfile.write(drop)
                return
            self.send_response(whole.status)
            for name, value in whole.headers:
                self.send_header(name, value)
            if whole.status != 204:
                self.send_header("Content-Length", str(len(whole.body) + 1000 * whole.break_off))
            self.end_headers()
            self.wfile.write(whole.body)
            self.close_connection = whole.break_off

        def handle(self) -> None:
            # A client that has read enough closes the connection.
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *_: Any) -> None:
            """Not on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    loopback.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _whole(status: int, content: Any) -> Refusal | tuple[int, Iterator[bytes]]:
    if isinstance(content, Iterator):
        return status, content
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    return Refusal(status, content.encode() if isinstance(content, str) else content)
