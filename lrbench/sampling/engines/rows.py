"""A row: one request under way, with what has been written for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from lrbench.sampling.engines.base import Request


@dataclass
class Row:
    """One request under way.

    `origins` names who has chosen each token, where whoever chooses says so; else it stays empty.
    """

    index: int
    request: Request
    stream: torch.Generator | None
    written: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens of it that are in the cache."""
        return len(self.request.prompt) + len(self.written) - 1

    def is_done(self, stop_ids: frozenset[int]) -> bool:
        """Whether its last token ends it, or its room is full."""
        return self.written[-1] in stop_ids or len(self.written) == self.request.max_new_tokens
