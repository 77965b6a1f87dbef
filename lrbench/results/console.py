"""The terminal as rich draws on it: tables and bars, in which no name or text can act."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from lrbench.results.text import shown


class Screen(Console):
    """A console of rich that shows text as text, whatever it holds; its own colours and bars remain."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # A cell passes once for every table and padding around it.
        self._shown = lru_cache(maxsize=1024)(shown)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable`, their texts made harmless."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.strip(" \n") == "":
                yield segment
            else:
                yield Segment(self._shown(segment.text), segment.style)
