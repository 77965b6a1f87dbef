"""Long work cut into shards: what is committed stays, and a killed run goes on where one is missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from lrbench.pipeline.progress import Progress
from lrbench.store.draft import Draft

Unit = TypeVar("Unit")


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

    def are_in(self, draft: Draft) -> bool:
        """Whether every shard is committed."""
        return all(draft.has(file) for file in self.files)

    def of(self, units: Iterable[Unit]) -> Iterator[list[Unit]]:
        """The units of every shard."""
        ordered = iter(units)
        return (list(islice(ordered, len(span))) for span in self.spans.values())

    def left(self, units: Iterable[Unit], draft: Draft) -> Iterator[list[Unit]]:
        """The units of every shard that is not committed."""
        for name, portion in zip(self.spans, self.of(units), strict=True):
            if not draft.has(f"{name}{self.ending}"):
                yield portion

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
        draft: Draft,
        progress: Progress,
        make: Callable[[Shard[Unit]], Callable[[Path], object]],
    ) -> None:
        """As `work`, for shards that nobody looks at again."""
        for _ in self.work(units, draft, progress, make):
            pass
