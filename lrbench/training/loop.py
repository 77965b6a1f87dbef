"""The training loop: read this first. AdamW, linear decay, one batch an update, for all that learns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import torch
from peft import PeftModel
from torch import Tensor

from lrbench.errors import NonFiniteLossError
from lrbench.methods.objectives import Distance
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.training.adapters import adapter_state, attach_adapter, restore_adapter
from lrbench.training.checkpoints import Checkpoint, Points
from lrbench.training.dropout import TokenDropout
from lrbench.training.gradients import Gradients, ways_of_computing
from lrbench.training.held_out import perplexity
from lrbench.training.loss import batch_losses
from lrbench.training.portions import Losses, Portion, Provider, Stored
from lrbench.training.reference_loss import RowForm, row_losses
from lrbench.training.team import Team

# Measurements of the held-out perplexity after the one before the first update.
MEASUREMENTS = 20

ALONE = Team()

Batch = TypeVar("Batch", bound=Sized, contravariant=True)


@dataclass
class Curves:
    """Of each update the loss, the learning rate, the gradient's norm before clipping and the kept steps.

    `held_out_perplexity` is counted in updates done: that of the untrained expert is at 0. Where the model in
    training writes: how many tokens (`written_tokens`) an update took and the mean length of a completion,
    and of what is rewarded the mean `reward`, the share that is `right`, and the share of groups in which all
    rewards are equal. Where it learns from pairs: their mean `margin`, and the share `preferred` above 0.
    """

    loss: Points = field(default_factory=list)
    learning_rate: Points = field(default_factory=list)
    gradient_norm: Points = field(default_factory=list)
    steps: Points = field(default_factory=list)
    held_out_perplexity: Points = field(default_factory=list)
    written_tokens: Points = field(default_factory=list)
    completion_tokens: Points = field(default_factory=list)
    reward: Points = field(default_factory=list)
    right: Points = field(default_factory=list)
    equal_groups: Points = field(default_factory=list)
    margin: Points = field(default_factory=list)
    preferred: Points = field(default_factory=list)

    @property
    def measured(self) -> dict[str, Points]:
        """The curves that have any point, by name."""
        return {name: points for name, points in vars(self).items() if points}

    def add(self, update: int, values: Mapping[str, float]) -> None:
        """A point for each of the curves named."""
        for name, value in values.items():
            getattr(self, name).append((update, value))


@dataclass(frozen=True)
class Schedule:
    """How far a training goes: `updates` is its length, and with `seconds` none begins once these are spent.

    The learning rate falls with the larger share of the two, so that it ends at zero either way.
    """

    updates: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    updates_between_saves: int
    seconds: float | None = None

    def share(self, updates: int, seconds: float) -> float:
        """The part of the schedule that so many updates, in so many seconds, are."""
        return max(updates / self.updates, 0.0 if self.seconds is None else seconds / self.seconds)


class Learner(Protocol[Batch]):
    """What the loop changes."""

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights that learn, by name."""

    def loss(self, update: int, batch: Batch) -> float:
        """The loss of `batch`, whose gradient is left in `grad` of the weights."""

    def measured(self, batch: Batch) -> Mapping[str, float]:
        """What else is known of `batch`, by the names of curves."""

    def tensors(self) -> dict[str, Tensor]:
        """The weights as a checkpoint holds them."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights of a checkpoint."""

    def describe(self, loss: float, norm: float, update: int, batch: Batch) -> str:
        """What to say of a loss, a gradient's norm or a weight that is not a number."""


def optimise(
    learner: Learner[Batch],
    batches: Callable[[int], Iterable[Batch]],
    schedule: Schedule,
    curves: Curves,
    *,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
    measure: Callable[[int], Mapping[str, float]] = lambda _updates: {},
    clock: Callable[[], float] = time.monotonic,
    agreed: Callable[[float], float] = lambda seconds: seconds,
) -> tuple[int, float]:
    """Change the learner's weights; gives the updates done in all and the seconds that they took.

    `batches` gives those after so many updates; each is asked for once the update before it is done, and the
    time that it takes counts. `progress` is told the updates done and a point for each of the curves.
    `curves` holds those up to `resume`, and grows. `measure` is called some times between and at the end,
    with the updates done, and gives what `progress` is told besides. A checkpoint given to `save` is that
    state until `save` returns. `agreed` makes one number of the seconds of several processes. Raises
    `NonFiniteLossError`.
    """
    weights = learner.weights
    optimizer = torch.optim.AdamW(
        weights.values(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    done, spent = 0, 0.0
    if resume is not None:
        done, spent = resume.update, resume.seconds
        learner.restore(resume.tensors)
        _restore_moments(optimizer, weights, resume.tensors)
    coming = iter(batches(done))
    while (before := schedule.share(done, spent)) < 1:
        update, started = done, clock()
        batch = next(coming, None)
        if batch is None:
            break
        learning_rate = schedule.learning_rate * (1 - before)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        loss = learner.loss(update, batch)
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), schedule.max_gradient_norm).item()
        if not (isfinite(loss) and isfinite(norm)):
            raise NonFiniteLossError(learner.describe(loss, norm, update, batch))
        optimizer.step()
        own = {"loss": loss, "learning_rate": learning_rate, "gradient_norm": norm, "steps": len(batch)}
        measured = learner.measured(batch)
        curves.add(update, {**own, **measured})
        done = update + 1
        spent = agreed(spent + clock() - started)
        share = schedule.share(done, spent)
        is_time = share >= 1 or int(share * MEASUREMENTS) > int(before * MEASUREMENTS)
        besides = measure(done) if is_time else {}
        if progress is not None:
            progress(done, {**own, **measured, **besides})
        if share >= 1 or done % schedule.updates_between_saves == 0:
            if not all(torch.isfinite(weight).all() for weight in weights.values()):
                raise NonFiniteLossError(learner.describe(loss, norm, update, batch))
            if share < 1:
                tensors = learner.tensors() | _moments(optimizer, weights)
                save(Checkpoint(done, tensors, curves.measured, spent))
    return done, spent


@dataclass(frozen=True)
class Trained:
    """An adapter, how it came about, the seconds that its updates took, and what ended them."""

    adapted: PeftModel
    curves: Curves
    seconds: float
    stopped_by: Literal["updates", "seconds"]

    @property
    def updates(self) -> int:
        """Updates done."""
        return len(self.curves.loss)


def train(
    model: object,
    vocabulary: SharedVocabulary,
    material: Samples | Provider,
    training: Training,
    *,
    seed: int,
    runtime: Runtime,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
    seconds: float | None = None,
    held_out: Sequence[Rollout] = (),
    clock: Callable[[], float] = time.monotonic,
    team: Team = ALONE,
    rows: RowForm | None = None,
    start: Path | None = None,
    distance: Distance | None = None,
    steers: bool = False,
) -> Trained:
    """Train an adapter on samples, or on what a provider gives; `resume` continues where a save is.

    It is a fresh one, or begins as the adapter in the folder `start`; one that `steers` is a vector for each
    layer. `training.updates` is the length of the
    schedule. Once updates have taken `seconds`, none begins any more; the learning rate falls with the larger
    share of the two, so that it ends at zero either way. The perplexity of `held_out` is measured at the
    beginning, the end and 19 times between; that changes no bit of the adapter. Randomness (dropout) depends
    on the update, the rollout and the position alone, so an interrupted and an uninterrupted run without
    `seconds` end with the same bytes, and sizes in `runtime` or the processes of `team` change rounding
    alone. `rows` has it train as the paper's public scripts do, and `distance` with another distance from
    its targets than KL(target || model).
    Raises `NonFiniteLossError` naming the batch when the loss, its gradient or a weight is not a number.
    """
    adapted = attach_adapter(model, training.lora, seed, start, steers)
    losses: Losses | None = None if distance is None else partial(batch_losses, distance=distance)
    if rows is not None and rows.fidelity.makes_rows:
        losses = partial(row_losses, rows)
    learner = _Adapter(adapted, vocabulary, TokenDropout(adapted, seed), runtime, team, losses)
    expert = learner.expert
    provider: Provider
    if isinstance(material, Samples):
        rows_shuffled = rows is not None and rows.fidelity.rows_shuffled
        provider = Stored(material, training, seed, rows_shuffled)
    else:
        provider = material
    schedule = Schedule(
        training.updates,
        training.learning_rate,
        training.weight_decay,
        training.max_gradient_norm,
        runtime.updates_between_saves,
        seconds,
    )

    def measure(updates: int) -> Mapping[str, float]:
        if not held_out:
            return {}
        adapted.eval()
        measured = {"held_out_perplexity": perplexity(expert, vocabulary, held_out)}
        adapted.train()
        curves.add(updates, measured)
        return measured

    adapted.train()
    curves = Curves() if resume is None else Curves(**resume.curves)
    if resume is None and (untrained := measure(0)) and progress is not None:
        progress(0, untrained)
    with ways_of_computing(expert, runtime):
        done, spent = optimise(
            learner,
            partial(provider.portions, adapted),
            schedule,
            curves,
            save=save,
            resume=resume,
            progress=progress,
            measure=measure,
            clock=clock,
            agreed=lambda seconds: team.agreed(seconds, expert.device),
        )
    adapted.eval()
    return Trained(adapted, curves, spent, "updates" if done == training.updates else "seconds")


class _Adapter:
    """The adapter of an arm, which learns from portions of kept steps."""

    def __init__(
        self,
        adapted: PeftModel,
        vocabulary: SharedVocabulary,
        dropout: TokenDropout,
        runtime: Runtime,
        team: Team,
        losses: Losses | None,
    ) -> None:
        self.adapted = adapted
        self.expert = adapted.get_base_model()
        self.weights = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
        learning = list(self.weights.values())
        self.gradients = Gradients(self.expert, vocabulary, learning, dropout, runtime, team, losses)

    def loss(self, update: int, batch: Portion) -> float:
        return self.gradients.of(update, batch).item()

    def measured(self, batch: Portion) -> Mapping[str, float]:
        return {**batch.measured, **self.gradients.told}

    def tensors(self) -> dict[str, Tensor]:
        return {f"adapter/{name}": value.contiguous() for name, value in adapter_state(self.adapted).items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        adapter = {
            name.removeprefix("adapter/"): value
            for name, value in tensors.items()
            if name.startswith("adapter/")
        }
        restore_adapter(self.adapted, adapter)

    def describe(self, loss: float, norm: float, update: int, batch: Portion) -> str:
        samples = batch.samples
        problems = sorted({samples.rollouts[samples.rollout[step]].problem_id for step in batch.steps})
        return (
            f"the loss is {loss} and its gradient's norm {norm} at update {update}; "
            f"the batch holds {len(batch)} steps of the problems {', '.join(problems[:16])}. "
            "Lower training.learning_rate, or look at these samples with `lrbench samples`."
        )


def _moments(optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What AdamW remembers of every weight, as a checkpoint holds it."""
    return {
        f"optimizer/{key}/{name}": value.detach().contiguous()
        for name, weight in weights.items()
        for key, value in optimizer.state[weight].items()
    }


def _restore_moments(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    for name, weight in weights.items():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = tensors[f"optimizer/{key}/{name}"]
            optimizer.state[weight][key] = value if key == "step" else value.to(weight.device)
