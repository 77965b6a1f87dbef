"""What answers, kept from one evaluation of a model to the next, so that its queue of prompts goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrbench.pipeline.stages.answering import Answering
    from lrbench.pipeline.stages.base import Stage


class KeptAnswering:
    """One thing that answers at a time. `follow` gives the stages that can be answered before their turn."""

    def __init__(self) -> None:
        self.follow: Callable[[], Iterator[Stage]] = lambda: iter(())
        self._announced: set[str] = set()
        self._opened = ExitStack()
        self._answering: Answering | None = None

    def ahead(self) -> Iterator[Stage]:
        """The stages whose prompts follow those of the stage at work; it is kept open for them."""
        for stage in self.follow():
            self._announced.add(stage.key)
            yield stage

    def forget(self, key: str) -> None:
        """Nothing more will be asked of a stage that may have been announced."""
        if key in self._announced:
            self._announced.discard(key)
            if not self._announced:
                self.close()

    @contextmanager
    def of(self, key: str, open_: Callable[[], AbstractContextManager[Answering]]) -> Iterator[Answering]:
        """What answers the stage with this key: what is open, where that was announced, else a new one."""
        if key not in self._announced:
            self.close()
            self._answering = self._opened.enter_context(open_())
        self._announced.discard(key)
        assert self._answering is not None
        try:
            yield self._answering
        except BaseException:
            self.close()
            raise
        if not self._announced:
            self.close()

    def close(self) -> None:
        """Answer nothing more: the model is again as it was before."""
        self._announced.clear()
        self._answering = None
        self._opened.close()
