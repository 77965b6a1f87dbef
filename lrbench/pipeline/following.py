"""Stages that follow each other: while the last answers of one are written, those of the next have begun.

A process takes the lock of what follows before its turn comes, so that nobody else begins it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress

from lrbench.errors import LrbenchError
from lrbench.pipeline.stages.base import Stage
from lrbench.store.store import Store


class Following:
    """What this process has taken ahead of its turn, with the locks, until it is made or let go of.

    Where others work beside it, it takes one stage at a time, so that they have some too.
    """

    def __init__(self, store: Store, is_alone: Callable[[], bool]) -> None:
        self._store = store
        self._is_alone = is_alone
        self._taken: dict[str, ExitStack] = {}

    def __bool__(self) -> bool:
        return bool(self._taken)

    def __contains__(self, key: str) -> bool:
        return key in self._taken

    def after(
        self, stage: Stage, others: Iterable[Stage], can_be_made: Callable[[Stage], bool]
    ) -> Iterator[Stage]:
        """Of the `others` those that what answers `stage` answers too; each is taken when it is asked for."""
        for other in others:
            if other.key in self._taken or not other.follows(stage) or not can_be_made(other):
                continue
            if self._taken and not self._is_alone():
                return
            # What is wrong with the store is told when its turn has come.
            with suppress(LrbenchError), ExitStack() as stack:
                is_held = stack.enter_context(self._store.lock(other.name, other.key))
                # Of one that was begun some answers are there already.
                if not is_held or self._store.is_begun(other.name, other.key):
                    continue
                self._taken[other.key] = stack.pop_all()
                yield other

    def lock(self, stage: Stage) -> AbstractContextManager[object]:
        """The stage's lock, as it was taken or as `Store.lock` gives it now."""
        return self._taken.pop(stage.key, None) or self._store.lock(stage.name, stage.key)

    def forget(self, key: str) -> None:
        """Let go of one stage, where it was taken and is not made."""
        if key in self._taken:
            self._taken.pop(key).close()

    def let_go(self) -> None:
        """Leave all that was taken to whoever comes first."""
        for stack in self._taken.values():
            stack.close()
        self._taken.clear()
