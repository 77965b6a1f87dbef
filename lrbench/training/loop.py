"""The training loop: read this first. AdamW on the adapter, linear decay, one batch an update."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from peft import PeftModel
from torch import Tensor

from lrbench.errors import NonFiniteLossError
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.training.adapters import adapter_state, attach_adapter, restore_adapter
from lrbench.training.batches import update_batches
from lrbench.training.checkpoints import Checkpoint, Points
from lrbench.training.dropout import TokenDropout
from lrbench.training.gradients import Gradients, ways_of_computing
from lrbench.training.held_out import perplexity
from lrbench.training.team import Team

# Measurements of the held-out perplexity after the one before the first update.
MEASUREMENTS = 20

ALONE = Team()


@dataclass
class Curves:
    """Of each update the loss, the learning rate, the gradient's norm before clipping and the kept steps.

    `held_out_perplexity` is counted in updates done: that of the untrained expert is at 0.
    """

    loss: Points = field(default_factory=list)
    learning_rate: Points = field(default_factory=list)
    gradient_norm: Points = field(default_factory=list)
    steps: Points = field(default_factory=list)
    held_out_perplexity: Points = field(default_factory=list)

    @property
    def measured(self) -> dict[str, Points]:
        """The curves that have any point, by name."""
        return {name: points for name, points in vars(self).items() if points}


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
    samples: Samples,
    training: Training,
    *,
    seed: int,
    runtime: Runtime,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, float], None] | None = None,
    seconds: float | None = None,
    held_out: Sequence[Rollout] = (),
    clock: Callable[[], float] = time.monotonic,
    team: Team = ALONE,
) -> Trained:
    """Train a fresh adapter on `samples`; `resume` continues exactly where a checkpoint stopped.

    `training.updates` is the length of the schedule. Once updates have taken `seconds`, none begins any
    more; the learning rate falls with the larger share of the two, so that it ends at zero either way. The
    perplexity of `held_out` is measured at the beginning, the end and 19 times between; that changes no bit
    of the adapter. Randomness (dropout) depends on the update, the rollout and the position alone, so an
    interrupted and an uninterrupted run without `seconds` end with the same bytes, and sizes in `runtime` or
    the processes of `team` change rounding alone. Raises `NonFiniteLossError` naming the batch when the loss,
    its gradient or a weight is not a number.
    """
    adapted = attach_adapter(model, training.lora, seed)
    expert = adapted.get_base_model()
    parameters = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=training.learning_rate, weight_decay=training.weight_decay
    )

    dropout = TokenDropout(adapted, seed)
    gradients = Gradients(expert, vocabulary, samples, list(parameters.values()), dropout, runtime, team)

    def share(updates: int) -> float:
        return max(updates / training.updates, 0.0 if seconds is None else spent / seconds)

    def measure(updates: int) -> None:
        if held_out:
            adapted.eval()
            curves.held_out_perplexity.append((updates, perplexity(expert, vocabulary, held_out)))
            adapted.train()

    adapted.train()
    curves, done, spent = Curves(), 0, 0.0
    if resume is None:
        measure(0)
    else:
        curves, done, spent = Curves(**resume.curves), resume.update, resume.seconds
        _restore(adapted, optimizer, parameters, resume)
    with ways_of_computing(expert, runtime):
        for update, batch in _remaining(update_batches(samples, training, seed), done):
            before = share(update)
            if before >= 1:
                break
            started = clock()
            learning_rate = training.learning_rate * (1 - before)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            loss = gradients.of(update, batch)
            norm = torch.nn.utils.clip_grad_norm_(parameters.values(), training.max_gradient_norm)
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                raise NonFiniteLossError(_describe(loss, norm, update, batch, samples))
            optimizer.step()
            curves.loss.append((update, loss.item()))
            curves.learning_rate.append((update, learning_rate))
            curves.gradient_norm.append((update, norm.item()))
            curves.steps.append((update, len(batch)))
            done = update + 1
            spent = team.agreed(spent + clock() - started, expert.device)
            if progress is not None:
                progress(done, loss.item())
            ends = share(done) >= 1
            if ends or int(share(done) * MEASUREMENTS) > int(before * MEASUREMENTS):
                measure(done)
            if ends or done % runtime.updates_between_saves == 0:
                if not all(torch.isfinite(weight).all() for weight in parameters.values()):
                    raise NonFiniteLossError(_describe(loss, norm, update, batch, samples))
                if not ends:
                    save(Checkpoint(done, _tensors(adapted, optimizer, parameters), curves.measured, spent))
    adapted.eval()
    return Trained(adapted, curves, spent, "updates" if done == training.updates else "seconds")


def _remaining(batches: Iterator[list[int]], done: int) -> Iterator[tuple[int, list[int]]]:
    return ((update, batch) for update, batch in enumerate(batches) if update >= done)


def _tensors(
    adapted: PeftModel, optimizer: torch.optim.Optimizer, parameters: dict[str, Tensor]
) -> dict[str, Tensor]:
    moments = {
        f"optimizer/{key}/{name}": value.detach().clone().contiguous()
        for name, weight in parameters.items()
        for key, value in optimizer.state[weight].items()
    }
    adapter = {f"adapter/{name}": value.clone() for name, value in adapter_state(adapted).items()}
    return adapter | moments


def _restore(
    adapted: PeftModel,
    optimizer: torch.optim.Optimizer,
    parameters: dict[str, Tensor],
    checkpoint: Checkpoint,
) -> None:
    adapter = {
        name.removeprefix("adapter/"): value
        for name, value in checkpoint.tensors.items()
        if name.startswith("adapter/")
    }
    restore_adapter(adapted, adapter)
    for name, weight in parameters.items():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = checkpoint.tensors[f"optimizer/{key}/{name}"]
            optimizer.state[weight][key] = value if key == "step" else value.to(weight.device)


def _describe(loss: Tensor, norm: Tensor, update: int, batch: list[int], samples: Samples) -> str:
    problems = sorted({samples.rollouts[samples.rollout[step]].problem_id for step in batch})
    return (
        f"the loss is {loss.item()} and its gradient's norm {norm.item()} at update {update}; "
        f"the batch holds {len(batch)} steps of the problems {', '.join(problems[:16])}. "
        "Lower training.learning_rate, or look at these samples with `lrbench samples`."
    )
