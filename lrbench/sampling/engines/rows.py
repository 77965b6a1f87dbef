"""A row: one request under way, with what has been written for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from lrbench.sampling.engines.base import Request
from lrbench.sampling.engines.repetition import Repetition


@dataclass
class Row:
    """One request under way.

    `origins` names who has chosen each token, where whoever chooses says so; else it stays empty. `in_vain`
    are tokens that were drawn for it and not taken.
    """

    index: int
    request: Request
    stream: torch.Generator | None
    written: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    in_vain: int = 0
    _repetition: Repetition | None = field(init=False)

    def __post_init__(self) -> None:
        times = self.request.stop_repeats
        self._repetition = None if times is None else Repetition(times)

    @property
    def length(self) -> int:
        """Tokens of it that are in the cache."""
        return len(self.request.prompt) + len(self.written) - 1

    def is_done(self, stop_ids: frozenset[int]) -> bool:
        """Whether its last token ends it, its room is full, it repeats itself, or it was to end here."""
        full = len(self.written) == self.request.max_new_tokens
        if self.written[-1] in stop_ids or full or self.is_repeated:
            return True
        return self.request.until is not None and self.request.until(self.written)

    @property
    def is_repeated(self) -> bool:
        """Whether it has written the same tokens too many times in a row."""
        return self._repetition is not None and self._repetition.ends(self.written)
