"""What every reader of a format has, and what it is shown of a file to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lrbench.errors import DataError
from lrbench.results.foreign.outcomes import Measured


class NoSuchMetricError(DataError):
    """A file has no metric of the name that was asked for; the message lists those it has."""


@dataclass(frozen=True)
class Glimpse:
    """A file before it is read: its first bytes, and of JSON lines the first one where it is an object."""

    path: Path
    head: bytes
    first: Mapping[str, Any]


class Reader(Protocol):
    """One format of result files. `kind` is what it is called in messages, `files` what its files are."""

    kind: str
    files: str

    def knows(self, glimpse: Glimpse) -> bool:
        """Whether the file is of this format."""
        ...

    def read(self, path: Path, metric: str | None) -> list[Measured]:
        """The outcomes in the file, by system and benchmark.

        `metric` names what counts as the outcome, where a file has several; None is the first of them.
        Raises `DataError` where the file does not say what it has to, `NoSuchMetricError` for a metric that
        it does not have.
        """
        ...
