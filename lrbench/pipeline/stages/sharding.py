"""Long work cut into shards: what is committed stays, and a killed run goes on where one is missing."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
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
# Between two looks at what other processes make of a stage.
SECONDS_BETWEEN_LOOKS = 0.1


class Place(Protocol):
    """Where shards are committed: a draft (`Draft`), or that of another process (`Helping`)."""

    is_own: bool

    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def take(self, part: str) -> bool:
        """Be the one that makes a shard; False where another process does, or has."""

    def receive(self, part: str) -> bool:
        """Commit what another process has made of a shard; False where there is nothing."""

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

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that there will be."""
        return tuple(f"{name}{self.ending}" for name in self.spans)

    def are_in(self, place: Place) -> bool:
        """Whether every shard is committed."""
        return all(place.has(file) for file in self.files)

    def of(self, units: Iterable[Unit]) -> Iterator[list[Unit]]:
        """The units of every shard."""
        ordered = iter(units)
        return (list(islice(ordered, len(span))) for span in self.spans.values())

    def left(self, units: Iterable[Unit], place: Place) -> Iterator[list[Unit]]:
        """The units of every shard that this process is to make, which it takes when it is asked for."""
        for shard in self._in_order(units, place):
            if not place.has(f"{shard.name}{self.ending}") and self._take(shard.name, place):
                yield shard.units

    def can_be_helped(self, place: Place) -> bool:
        """Whether something of it can be made by another process than the draft's own: that is taken now."""
        place.expect(len(self.spans), self.ending)
        names = reversed(self.spans)
        return any(not place.has(f"{name}{self.ending}") and place.take(name) for name in names)

    def take_all(self, place: Place) -> None:
        """Have no other process make any of them."""
        for name in self.spans:
            self._take(name, place)

    def _take(self, name: str, place: Place) -> bool:
        # Of a single one there is nothing to share.
        return len(self.spans) == 1 or place.take(name)

    def _in_order(self, units: Iterable[Unit], place: Place) -> Iterator[Shard[Unit]]:
        """Every shard; who helps begins at the other end, so that the two meet late."""
        shards = (
            Shard(name, span, portion)
            for (name, span), portion in zip(self.spans.items(), self.of(units), strict=True)
        )
        return shards if place.is_own else reversed(list(shards))

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
        ordered = iter(units)
        for name, span in self.spans.items():
            shard = Shard(name, span, list(islice(ordered, len(span))))
            if not draft.has(f"{name}{self.ending}"):
                started = time.monotonic()
                write = make(shard)
                draft.commit(f"{name}{self.ending}", write, time.monotonic() - started)
            yield shard
            progress.advance(len(span))

    def finish(
        self,
        units: Iterable[Unit],
        place: Place,
        progress: Progress,
        make: Callable[[Shard[Unit]], Callable[[Path], object]],
    ) -> None:
        """As `work`, for shards that nobody looks at again, and of which other processes may make some.

        The draft's own process waits for what others are at work on, and makes what they do not finish.
        """
        place.expect(len(self.spans), self.ending)
        left = self._in_order(units, place)
        while elsewhere := [shard for shard in left if not self._one(shard, place, make, progress)]:
            if not place.is_own:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
            left = iter(elsewhere)

    def _one(
        self,
        shard: Shard[Unit],
        place: Place,
        make: Callable[[Shard[Unit]], Callable[[Path], object]],
        progress: Progress,
    ) -> bool:
        """Have the shard there; whether it is, or was left to another process for now."""
        file = f"{shard.name}{self.ending}"
        if not place.has(file) and not place.receive(shard.name):
            if not self._take(shard.name, place):
                return False
            started = time.monotonic()
            write = make(shard)
            place.commit(file, write, time.monotonic() - started)
        progress.advance(len(shard.span))
        return True


class Sharded(Stage):
    """A stage whose work is done in shards, of which other processes than the draft's own may make some."""

    @property
    @abstractmethod
    def shards(self) -> Shards:
        """How the work is cut."""

    @abstractmethod
    def make_shards(
        self, place: Place, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> None:
        """Commit every shard, or those that nobody else is at work on."""

    @abstractmethod
    def summary(self, draft: Draft) -> dict[str, Any]:
        """The statistics of the artifact, once every shard is committed."""

    @property
    def parts(self) -> int:
        """As many as there are shards, where a model writes them."""
        return 1 if self.engine_choice is None else len(self.shards.spans)

    def take_part(self, helping: Helping) -> bool:
        """Take a shard that a model has to write, if there is one."""
        return self.parts > 1 and self.shards.can_be_helped(helping)

    def help(
        self, helping: Helping, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> None:
        """Make shards, from the last one on."""
        self.make_shards(helping, inputs, workspace, progress)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit every shard."""
        self.make_shards(draft, inputs, workspace, progress)
        return self.summary(draft)
