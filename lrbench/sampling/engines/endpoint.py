"""Talking to an OpenAI-compatible server: one connection pool, retries, and one clear message per failure."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

import urllib3

from lrbench.errors import RunError, UserError

KEY_VARIABLE = "LRBENCH_API_KEY"
# A long completion behind a full queue takes its time; a server that is there accepts at once.
CONNECT_SECONDS, READ_SECONDS = 10, 900
# Overload and restarts pass; the same completion may be asked again, since its seed is part of it.
RETRIES = urllib3.Retry(
    total=5,
    redirect=0,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    backoff_factor=0.5,
    raise_on_status=False,
)


class Endpoint:
    """The server at `url`. The key in LRBENCH_API_KEY goes with every request and nowhere else."""

    def __init__(self, url: str, connections: int) -> None:
        """Connects at most `connections` times at once. Raises `UserError` for an unusable address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{url}: not the address of a server; give one such as http://127.0.0.1:8000")
        if parts.username is not None or parts.query:
            raise UserError(
                f"{parts.hostname}: an address with a password or key in it would be recorded; "
                f"give the bare address, and the key in the variable {KEY_VARIABLE}"
            )
        self.url = url.rstrip("/").removesuffix("/v1")
        self.connections = connections
        key = os.environ.get(KEY_VARIABLE)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            retries=RETRIES,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    def get(self, path: str) -> Any:
        """The JSON answer to a GET."""
        return self._answer("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a POST of JSON: JSON again, or the text of an answer that is none."""
        return self._answer("POST", path, body)

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            response = self._pool.request(method, f"{self.url}{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise RunError(
                f"{self.url} cannot be reached ({type(reason).__name__}): is the server started, and is the "
                "engine's `url` its address?"
            ) from error
        text = response.data.decode("utf-8", errors="replace")
        if response.status in (401, 403):
            raise RunError(f"{self.url} wants a key: set the variable {KEY_VARIABLE}")
        if response.status != 200:
            raise RunError(f"{self.url}{path} answered {response.status}: {_message(text)}")
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text


def _message(text: str) -> str:
    """What an error's body says, in one line of bounded length."""
    try:
        found = json.loads(text)
        text = str(found["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        pass
    return " ".join(text.split())[:500] or "nothing"
