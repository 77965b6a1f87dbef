"""Plain answers written once more with fewer rows at once, by whatever engine there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lrbench.sampling.engines.base import Decoding, Engine, Request
from lrbench.sampling.engines.wrapping import WrappingEngine


class NarrowedEngine(WrappingEngine):
    """Another engine, which writes at once only as many rows as `rows` makes of those that it would write."""

    def __init__(self, engine: Engine, rows: Callable[[int], int]) -> None:
        super().__init__(engine)
        self.rows = rows

    def rows_at_once(self, requests: Sequence[Request]) -> int:
        """Fewer than the engine would write."""
        return self.rows(self.engine.rows_at_once(requests))

    def complete_requests(self, requests: Sequence[Request], decoding: Decoding) -> list[tuple[int, ...]]:
        """One completion per request, in the given order."""
        if not requests:
            return []
        return self.engine.complete_narrowly(requests, decoding, self.rows_at_once(requests))
