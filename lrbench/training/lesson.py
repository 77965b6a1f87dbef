"""What an adapter is trained on and how; here, or by a process that takes part in it.

Whoever has several processes do it neither loads a model nor imports what trains one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.methods.objectives import Distance
from lrbench.models.source import LocatedModel
from lrbench.recipe.schema import Runtime, Training
from lrbench.store.files import writing_errors
from lrbench.training.checkpoints import Checkpoint, Points, read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import torch

    from lrbench.models.loading import Model
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.rollouts import Rollout
    from lrbench.sampling.samples import Samples
    from lrbench.training.loop import Trained
    from lrbench.training.portions import Provider
    from lrbench.training.reference_loss import RowForm
    from lrbench.training.team import Team

# Where a team stands, in its folder.
SAVE_FILE = "save.safetensors"


@dataclass(frozen=True)
class Course:
    """How an adapter came about: its curves by name, the seconds of its updates, and what ended them."""

    curves: dict[str, Points]
    seconds: float
    stopped_by: str

    @classmethod
    def of(cls, trained: Trained) -> Course:
        """That of an adapter."""
        return cls(trained.curves.measured, trained.seconds, trained.stopped_by)

    @property
    def updates(self) -> int:
        """Updates done."""
        return len(self.curves["loss"])


@dataclass(frozen=True)
class Lesson:
    """All that `train` is told but the model, and where it stands; `start` is the adapter it begins from.

    `steers` asks for steering vectors in the place of a LoRA adapter.
    """

    vocabulary: SharedVocabulary
    material: Samples | Provider
    training: Training
    seed: int
    runtime: Runtime
    seconds: float | None = None
    held_out: Sequence[Rollout] = ()
    rows: RowForm | None = None
    start: Path | None = None
    distance: Distance | None = None
    steers: bool = False

    def train(
        self,
        model: Model,
        *,
        save: Callable[[Checkpoint], None],
        resume: Checkpoint | None,
        progress: Callable[[int, Mapping[str, float]], None] | None = None,
        team: Team | None = None,
    ) -> Trained:
        """Train an adapter on the model. Only the first process of a team measures."""
        from lrbench.training.loop import ALONE, train

        team = team or ALONE
        return train(
            model,
            self.vocabulary,
            self.material,
            self.training,
            seed=self.seed,
            runtime=self.runtime,
            save=save,
            resume=resume,
            progress=progress,
            seconds=self.seconds,
            held_out=self.held_out if team.rank == 0 else (),
            team=team,
            rows=self.rows,
            start=self.start,
            distance=self.distance,
            steers=self.steers,
        )


@dataclass(frozen=True)
class Member:
    """A process of a team: each trains the expert alike, and the first one measures, saves and tells.

    It tells each update with what was measured of it, and with None that the save in `folder` is a new one.
    All of them go on from that save, so whoever has killed ones replaced goes on from there. At the end the
    adapter is there too, written as one of the model called `base`.
    """

    expert: LocatedModel
    base: str
    lesson: Lesson
    folder: Path

    def __call__(
        self, team: Team, device: torch.device, tell: Callable[[tuple[int, Mapping[str, float]] | None], None]
    ) -> Course | None:
        """Take part until the training ends."""
        from lrbench.models.forward import check_output_layer
        from lrbench.models.loading import load_model
        from lrbench.training.adapters import (
            CONFIG_FILE,
            WEIGHTS_FILE,
            write_adapter_config,
            write_adapter_weights,
        )

        saved = self.folder / SAVE_FILE

        def save(state: Checkpoint) -> None:
            whole = saved.with_name(f"next-{SAVE_FILE}")
            with writing_errors(whole):
                write_checkpoint(whole, state)
            whole.replace(saved)
            tell(None)

        model = load_model(self.expert, device)
        check_output_layer(model, self.expert.name)
        resume = read_checkpoint(saved) if saved.exists() else None
        if team.rank > 0:
            self.lesson.train(model, team=team, save=lambda _: None, resume=resume)
            return None
        trained = self.lesson.train(
            model, team=team, save=save, resume=resume, progress=lambda *update: tell(update)
        )
        with writing_errors(self.folder / WEIGHTS_FILE):
            lora = self.lesson.training.lora
            write_adapter_config(self.folder / CONFIG_FILE, lora, self.base, trained.adapted)
            write_adapter_weights(self.folder / WEIGHTS_FILE, trained.adapted)
        return Course.of(trained)
