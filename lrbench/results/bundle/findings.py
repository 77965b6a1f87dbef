"""What a verification found wrong: one line each, and what malformed content is said to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lrbench.results.text import plain

LONGEST = 400


class Findings(list[str]):
    """Disagreements, each a line that says where and what."""

    def add(self, where: str, what: str) -> None:
        """Note a disagreement."""
        self.append(plain(f"{where}: {what}", LONGEST))

    def compare(self, where: str, what: str, recorded: object, found: object) -> None:
        """Note a disagreement where `found`, derived here, is not what is recorded."""
        if recorded != found:
            self.add(where, f"{what} is recorded as {recorded}, but is {found}")

    @contextmanager
    def reading(self, where: str) -> Iterator[None]:
        """Note content that cannot even be read, and go on behind the block."""
        try:
            yield
        except Exception as error:  # what content of the wrong shape raises is up to whoever meets it first
            name = type(error).__name__
            self.add(where, f"is not as lrbench writes it ({name}: {error})")
