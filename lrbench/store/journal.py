"""The journal of a draft: one sealed line for each thing that happened to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrbench.store.canonical import seal, unseal
from lrbench.store.files import read_regular, write_atomically

Event = dict[str, Any]

# A line for each shard or save of one stage.
LARGEST = 2**30


class Journal:
    """An append-only file of events, each on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Event]:
        """The intact events in order; a torn or altered line is left out."""
        events = []
        for line in read_regular(self._path, LARGEST).splitlines():
            try:
                events.append(unseal(line))
            except ValueError:
                continue
        return events

    def rewrite(self, events: list[Event]) -> None:
        """Replace the whole journal, so that the next line does not join a torn one."""
        write_atomically(self._path, "".join(seal(event) + "\n" for event in events))

    def append(self, event: Event) -> None:
        """Add one event; when the system refuses, the journal is as before.

        Raises:
            OSError: the line could not be written, for example because the disk is full.
        """
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, (seal(event) + "\n").encode("ascii"))
                os.fsync(descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
