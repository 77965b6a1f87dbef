"""Where a training stands, kept in its stage's draft so that a killed run goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.pipeline.progress import Progress
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.training.checkpoints import Checkpoint

SAVE_FILE = "save.safetensors"


class Saves:
    """The one save of a draft, which each later one replaces."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def path(self) -> Path | None:
        """The save of an earlier attempt or of this one; None before the first."""
        return self._draft.path(SAVE_FILE) if self._draft.has(SAVE_FILE) else None

    def resume(self, progress: Progress) -> Checkpoint | None:
        """What an earlier attempt saved, its updates told to `progress`."""
        from lrbench.training.checkpoints import read_checkpoint

        if self.path is None:
            return None
        state = read_checkpoint(self.path)
        progress.advance(state.update)
        return state

    def save(self, state: Checkpoint) -> None:
        """Commit where the training stands."""
        from lrbench.training.checkpoints import write_checkpoint

        self._draft.commit(
            SAVE_FILE, lambda path: write_checkpoint(path, state), self.unaccounted(state.seconds)
        )

    def unaccounted(self, seconds: float) -> float:
        """Of all seconds of training those that no commit stands for yet."""
        return max(0.0, seconds - self._draft.spent_seconds)

    def discard(self) -> None:
        """Remove the save, where there is one."""
        if self.path is not None:
            self._draft.discard(SAVE_FILE)
