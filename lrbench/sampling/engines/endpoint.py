"""Talking to an OpenAI-compatible server: one connection pool, retries, and one clear message per failure.

A server is believed nothing: an answer has a largest size and a longest time, is never fetched from
another address, and holds no more than JSON.
"""

from __future__ import annotations

import os
import time
from typing import Any

import urllib3

from lrbench.errors import RunError, ServerGoneError, UserError
from lrbench.recipe.addresses import unusable_address
from lrbench.recipe.messages import printable
from lrbench.sampling.engines.time_limit import TimeLimit, limited_pool
from lrbench.store.strict_json import JsonError, strict_json

KEY_VARIABLE = "LRBENCH_API_KEY"
# A long completion behind a full queue takes its time; a server that is there accepts at once, and an
# answer that has begun is written already.
CONNECT_SECONDS, ANSWER_SECONDS, BODY_SECONDS = 10, 900, 60
# The ids of 32,000 tokens and what else vLLM says of them take a tenth of it.
LARGEST_ANSWER = 16 * 2**20
BLOCK = 2**16
# Overload and restarts pass; the same completion may be asked again, since its seed is part of it.
BUSY = (429, 502, 503, 504)
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
LONGEST_MESSAGE = 500


class Endpoint:
    """The server at `url`. The key in LRBENCH_API_KEY goes with every request and nowhere else."""

    def __init__(self, url: str, connections: int) -> None:
        """Connects at most `connections` times at once. Raises `UserError` for an unusable address."""
        if problem := unusable_address(url):
            raise UserError(problem)
        self.url = url.rstrip("/").removesuffix("/v1")
        self.connections = connections
        self._key = os.environ.get(KEY_VARIABLE, "")
        if not self._key.isprintable() or not self._key.isascii():
            raise UserError(
                f"the variable {KEY_VARIABLE} holds what no key can: use printable ASCII characters"
            )
        self._pool = limited_pool(
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
        )

    def get(self, path: str) -> Any:
        """The JSON answer to a GET."""
        return self._json(path, self._answer("GET", path, None))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a POST of JSON."""
        return self._json(path, self._answer("POST", path, body))

    def tell(self, path: str, body: dict[str, Any]) -> None:
        """A POST of JSON whose answer says nothing but that it succeeded."""
        self._answer("POST", path, body)

    def _json(self, path: str, content: bytes) -> Any:
        try:
            return strict_json(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise RunError(f"{self.url}{path} answered with bytes that are not UTF-8 text") from error
        except JsonError as error:
            text = content.decode("utf-8-sig")
            raise RunError(
                f"{self.url}{path} answered with what {error}: {self._shown(text)}. Is the engine's `url` "
                "the address of an OpenAI-compatible server?"
            ) from error

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        """The body of an answer with status 200."""
        try:
            with TimeLimit(ANSWER_SECONDS) as limit:
                status, content = self._asked_again(method, path, body, limit)
        except TimeoutError as error:
            raise RunError(f"{self.url}{path} did not answer within {error} s; is it at work?") from error
        if status in (401, 403):
            raise RunError(f"{self.url} wants a key: set the variable {KEY_VARIABLE}")
        if status != 200:
            text = content.decode("utf-8", errors="replace")
            raise RunError(f"{self.url}{path} answered {status}: {self._shown(_message(text))}")
        return content

    def _asked_again(
        self, method: str, path: str, body: dict[str, Any] | None, limit: TimeLimit
    ) -> tuple[int, bytes]:
        """Status and body, asked for again for as long as the server is busy or cannot be reached."""
        for pause in (*PAUSES, None):
            try:
                status, content = self._once(method, path, body, limit)
            except urllib3.exceptions.HTTPError as error:
                limit.check()
                if pause is None:
                    raise ServerGoneError(self._failure(path, error)) from error
            else:
                if status not in BUSY or pause is None:
                    return status, content
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(
        self, method: str, path: str, body: dict[str, Any] | None, limit: TimeLimit
    ) -> tuple[int, bytes]:
        response = self._pool.request(
            method,
            f"{self.url}{path}",
            json=body,
            preload_content=False,
            decode_content=False,
            redirect=False,
        )
        whole = False
        try:
            # A connection that was cut reads like one that ended: as a short header, or a short body.
            limit.check()
            limit.shorten(BODY_SECONDS)
            if 300 <= response.status < 400:
                elsewhere = self._shown(response.headers.get("Location", "nowhere"))
                raise RunError(
                    f"{self.url}{path} answered {response.status} and sends on to {elsewhere}, where nothing "
                    "is asked: give the engine's `url` the address of the server itself"
                )
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise RunError(f"{self.url}{path} answered with compressed content, which was not asked for")
            content = bytearray()
            for block in response.stream(BLOCK):
                content += block
                if response.status != 200 and len(content) >= BLOCK:
                    # An error has said enough.
                    return response.status, bytes(content)
                if len(content) > LARGEST_ANSWER:
                    raise RunError(f"{self.url}{path} answered with more than {LARGEST_ANSWER >> 20} MiB")
            limit.check()
            whole = True
            return response.status, bytes(content)
        finally:
            # What is left of an answer is not waited for: its connection is of no more use.
            if not whole:
                response.close()
            response.release_conn()

    def _failure(self, path: str, error: urllib3.exceptions.HTTPError) -> str:
        kind = type(error).__name__
        if isinstance(error, urllib3.exceptions.ProtocolError | urllib3.exceptions.DecodeError):
            return f"{self.url}{path} breaks off, or does not answer as HTTP has it ({kind}): see its log"
        return (
            f"{self.url} cannot be reached ({kind}): is the server started, and is the engine's `url` its "
            "address?"
        )

    def _shown(self, text: str) -> str:
        """What a server says, in one printable line of bounded length that does not hold the key."""
        if self._key:
            text = text.replace(self._key, "***")
        text = " ".join(text[: 4 * LONGEST_MESSAGE].split())
        return printable(text[:LONGEST_MESSAGE]) or "nothing"


def _message(text: str) -> str:
    """What an error's body says: its message where it has one, else all of it."""
    try:
        return str(strict_json(text)["error"]["message"])
    except (JsonError, KeyError, TypeError, IndexError):
        return text
