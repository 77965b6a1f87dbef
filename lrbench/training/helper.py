"""What a helping process does: the same training, of which only its gradients are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lrbench.models.loading import load_model
from lrbench.models.source import LocatedModel
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.samples import Samples
from lrbench.training.checkpoints import read_checkpoint
from lrbench.training.loop import train
from lrbench.training.reference_loss import RowForm
from lrbench.training.team import Team


@dataclass(frozen=True)
class Helper:
    """Trains as the first process does, from the same checkpoint file; saves and measures nothing."""

    expert: LocatedModel
    vocabulary: SharedVocabulary
    samples: Samples
    training: Training
    seed: int
    runtime: Runtime
    seconds: float | None
    resume: Path | None
    rows: RowForm | None = None

    def __call__(self, team: Team, device: torch.device) -> None:
        """Take part until training ends."""
        train(
            load_model(self.expert, device),
            self.vocabulary,
            self.samples,
            self.training,
            seed=self.seed,
            runtime=self.runtime,
            save=lambda _: None,
            resume=None if self.resume is None else read_checkpoint(self.resume),
            seconds=self.seconds,
            team=team,
            rows=self.rows,
        )
