"""What each update learns from, and where that comes from: stored samples, or a model at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from peft import PeftModel
from torch import Tensor

from lrbench.recipe.schema import Training
from lrbench.sampling.samples import Samples
from lrbench.training.batches import Batch, update_batches

# Parts of the loss of a batch, as `batch_losses` gives them.
Losses = Callable[..., Iterator[Tensor]]


@dataclass(frozen=True)
class Portion:
    """What one update learns from: the kept steps of `samples` with these indices.

    `losses` gives the parts of another loss than the training's own. `measured` is what else is known of the
    portion, by the names of curves, and `told` are the names of what the parts of its loss say besides that.
    """

    samples: Samples
    steps: Sequence[int]
    losses: Losses | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)


class Provider(Protocol):
    """Where portions come from."""

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """Those of the updates after the first `done` ones; `adapted` is the model in training.

        A portion is asked for once all updates before it are done, and a provider may write with the model:
        it leaves the weights as they are, and the model in training mode.
        """


@dataclass(frozen=True)
class Stored:
    """Samples that were made before; with `rows_shuffled` their steps are dealt out by themselves."""

    samples: Samples
    training: Training
    seed: int
    rows_shuffled: bool = False

    def portions(self, adapted: PeftModel, done: int) -> Iterator[Portion]:
        """As `update_batches` deals them out."""
        return (Portion(self.samples, batch) for batch in islice(self.batches(), done, None))

    def batches(self) -> Iterator[Batch]:
        """The kept steps of one update after the other."""
        return update_batches(self.samples, self.training, self.seed, self.rows_shuffled)
