"""Long work cut into shards: what is committed stays, and a killed run goes on where one is missing."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.parts import Helping

Unit = TypeVar("Unit")
# Between two looks at what other processes make of a stage, and until it is said that they are waited for.
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_BEFORE_TELLING = 30.0
# Of so many shards somebody is found at work on before a helper gives up: there may be thousands.
MOST_REFUSED = 16
logger = logging.getLogger(__name__)


class Place(Protocol):
    """Where shards are committed: a draft (`Draft`), or that of another process (`Helping`)."""

    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def take(self, part: str) -> bool:
        """Be the one that makes a shard; False where another process does, or has."""

    def expect(self, files: int, suffix: str) -> None:
        """Say how many files with a `suffix` there will be, the last ones of every shard."""

    def commit(self, name: str, write: Callable[[Path], object], seconds: float = 0.0) -> object:
        """Write a file and make it safe."""


@dataclass(frozen=True)
class Shard(Generic[Unit]):
    """One shard's `units` and where they stand among all; its file is NAME and the ending of all shards."""

    name: str
    span: range
    units: list[Unit]


@dataclass(frozen=True)
class Shards:
    """`count` units of work, `per_shard` of them in a file each, in fixed order whatever was done before."""

    count: int
    per_shard: int
    ending: str

    @cached_property
    def spans(self) -> dict[str, range]:
        """The name of every shard, and which units it holds."""
        starts = range(0, self.count, self.per_shard)
        return {
            f"part-{number:05d}": range(start, min(start + self.per_shard, self.count))
            for number, start in enumerate(starts)
        }

    def of(self, units: Iterable[Unit]) -> Iterator[list[Unit]]:
        """The units of every shard."""
        ordered = iter(units)
        return (list(islice(ordered, len(span))) for span in self.spans.values())

    def left(self, units: Iterable[Unit], place: Place, names: Sequence[str]) -> Iterator[list[Unit]]:
        """The units of the shards called `names` that this process makes; each is taken when asked for."""
        return (shard.units for shard in self._called(units, names) if self._take(shard.name, place))

    def take_one(self, place: Place) -> bool:
        """Take a shard that nobody is at work on, from the last one on; False where none is found soon."""
        place.expect(len(self.spans), self.ending)
        refused = 0
        for name in reversed(self.spans):
            if not place.has(f"{name}{self.ending}"):
                if place.take(name):
                    return True
                refused += 1
            if refused == MOST_REFUSED:
                break
        return False

    def _take(self, name: str, place: Place) -> bool:
        # Of a single one there is nothing to share.
        return len(self.spans) == 1 or place.take(name)

    def _called(self, units: Iterable[Unit], names: Sequence[str]) -> Iterator[Shard[Unit]]:
        """The shards called `names`, in their order."""
        portions = dict(zip(self.spans, self.of(units), strict=True))
        return (Shard(name, self.spans[name], portions[name]) for name in names)

    def work(
        self,
        units: Iterable[Unit],
        draft: Draft,
        progress: Progress,
        make: Callable[[Shard[Unit]], Callable[[Path], object]],
    ) -> Iterator[Shard[Unit]]:
        """Commit what is missing, and give every shard once its file is there.

        `make` does the work of a shard and gives what writes its file; the work alone is timed. A shard
        counts as done when the next one is asked for.
        """
        draft.expect(len(self.spans), self.ending)
        for (name, span), portion in zip(self.spans.items(), self.of(units), strict=True):
            shard = Shard(name, span, portion)
            if not draft.has(f"{name}{self.ending}"):
                self._commit(shard, draft, make)
            yield shard
            progress.advance(len(span))

    def finish(
        self,
        units: Iterable[Unit],
        place: Place,
        names: Sequence[str],
        progress: Progress,
        make: Callable[[Shard[Unit]], Callable[[Path], object]],
    ) -> list[str]:
        """Commit the shards called `names`; gives those that were left, since others are at work on them."""
        place.expect(len(self.spans), self.ending)
        left = []
        for shard in self._called(units, names):
            if not self._take(shard.name, place):
                left.append(shard.name)
                continue
            self._commit(shard, place, make)
            progress.advance(len(shard.span))
        return left

    def _commit(
        self, shard: Shard[Unit], place: Place, make: Callable[[Shard[Unit]], Callable[[Path], object]]
    ) -> None:
        """Make the shard and write its file; the work alone is timed."""
        started = time.monotonic()
        write = make(shard)
        place.commit(f"{shard.name}{self.ending}", write, time.monotonic() - started)

    def receive(self, names: Iterable[str], draft: Draft, progress: Progress) -> list[str]:
        """Have what is committed, or was handed over, of these shards; gives those that are not there."""
        draft.expect(len(self.spans), self.ending)
        left = []
        for name in names:
            if draft.has(f"{name}{self.ending}") or draft.receive(name):
                progress.advance(len(self.spans[name]))
            else:
                left.append(name)
        return left


class Sharded(Stage):
    """A stage whose work is done in shards, of which other processes than the draft's own may make some."""

    @property
    @abstractmethod
    def shards(self) -> Shards:
        """How the work is cut."""

    @abstractmethod
    def make_shards(
        self,
        place: Place,
        inputs: Mapping[str, Artifact],
        workspace: Workspace,
        progress: Progress,
        names: Sequence[str],
    ) -> list[str]:
        """Commit the shards called `names`; gives those that were left, since others are at work on them."""

    @abstractmethod
    def summary(self, draft: Draft) -> dict[str, Any]:
        """The statistics of the artifact, once every shard is committed."""

    @property
    def parts(self) -> int:
        """As many as there are shards, where a model writes them."""
        return 1 if self.engine_choice is None else len(self.shards.spans)

    def take_part(self, helping: Helping) -> bool:
        """Take a shard that a model has to write, if there is one."""
        return self.parts > 1 and self.shards.take_one(helping)

    def help(
        self, helping: Helping, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> None:
        """Make shards, from the last one on, so that the two meet late."""
        names = [
            name for name in reversed(self.shards.spans) if not helping.has(f"{name}{self.shards.ending}")
        ]
        self.make_shards(helping, inputs, workspace, progress, names)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit every shard; waits for what others are at work on, and makes what they do not finish."""
        left = self.shards.receive(self.shards.spans, draft, progress)
        if left:
            left = self.make_shards(draft, inputs, workspace, progress, left)
        began: float | None = time.monotonic()
        while left := self.shards.receive(left, draft, progress):
            # Whoever was at work on these is gone.
            if mine := [name for name in left if draft.take(name)]:
                self.make_shards(draft, inputs, workspace, progress, mine)
                left = [name for name in left if name not in mine]
                continue
            if began is not None and time.monotonic() - began > SECONDS_BEFORE_TELLING:
                began = None
                logger.warning("waiting for another process that makes a part of %s", self.label)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return self.summary(draft)
