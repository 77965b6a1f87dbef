"""Where the adapter of a stage is trained: in this process, or by several that are started for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.pipeline.holding.model import HeldModel
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.saving import Saves
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.training.lesson import Course, Lesson

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def trained_alone(lesson: Lesson, base: str, expert: HeldModel, draft: Draft, progress: Progress) -> Course:
    """Train here and commit the adapter, as one of the model called `base`; gives how it came about."""
    from lrbench.training.adapters import write_adapter_config, write_adapter_weights
    from lrbench.training.lesson import Course

    saves = Saves(draft)
    trained = lesson.train(
        expert.weights,
        save=saves.save,
        resume=saves.resume(progress),
        progress=lambda update, measured: _tell(progress, update, measured),
    )
    config, weights = ADAPTER_FILES
    lora = lesson.training.lora
    draft.commit(config, lambda path: write_adapter_config(path, lora, base, trained.adapted))
    draft.commit(
        weights,
        lambda path: write_adapter_weights(path, trained.adapted),
        saves.unaccounted(trained.seconds),
    )
    expert.detach(trained.adapted)
    return Course.of(trained)


def trained_together(
    lesson: Lesson, base: str, expert: HeldModel, draft: Draft, progress: Progress
) -> Course:
    """The same by `runtime.processes` processes, which hold the expert in the place of this one.

    They hand over what is committed here. When one of them is lost, all begin again from the last save.
    """
    from lrbench.models.memory import release_cached
    from lrbench.training.checkpoints import read_checkpoint
    from lrbench.training.lesson import SAVE_FILE, Member
    from lrbench.training.supervision import work_together

    saves, device = Saves(draft), expert.machine.device
    with tempfile.TemporaryDirectory(prefix="lrbench-team-") as name:
        folder = Path(name)
        state = saves.resume(progress)
        done = -1 if state is None else state.update
        if saves.path is not None:
            shutil.copyfile(saves.path, folder / SAVE_FILE)

        def hear(told: tuple[int, Mapping[str, float]] | None) -> None:
            nonlocal done
            if told is None:
                saves.save(read_checkpoint(folder / SAVE_FILE))
                return
            update, measured = told
            # Updates since the last save are done once more after a process was lost.
            if update > done:
                _tell(progress, update, measured)
                done = update

        expert.release()
        release_cached(device)
        member = Member(expert.located, base, lesson, folder)
        course: Course = work_together(lesson.runtime.processes, device, member, folder, hear)
        config, weights = ADAPTER_FILES
        draft.commit(config, lambda path: shutil.copyfile(folder / config, path))
        draft.commit(
            weights, lambda path: shutil.copyfile(folder / weights, path), saves.unaccounted(course.seconds)
        )
    return course


def _tell(progress: Progress, update: int, measured: Mapping[str, float]) -> None:
    """Tell that an update is done: what it was rewarded with where it was, else its loss.

    At 0 none is, and what is known is of the model as it begins.
    """
    if update == 0:
        progress.advance(0, note="", **measured)
        return
    name = "reward" if "reward" in measured else "loss"
    progress.advance(1, note=f"{name} {measured[name]:.3f}", **measured)
