"""The training loop: read this first. AdamW on the adapter, linear decay, one batch an update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from torch import Tensor

from lrbench.errors import NonFiniteLossError
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Training
from lrbench.sampling.samples import Samples
from lrbench.training.adapters import adapter_state, attach_adapter, restore_adapter
from lrbench.training.batches import update_batches
from lrbench.training.loss import batch_losses


@dataclass
class Checkpoint:
    """All that is needed to go on after `update` updates: tensors by name, and the curves so far."""

    update: int
    tensors: dict[str, Tensor]
    curves: dict[str, list[tuple[int, float]]]


@dataclass
class Curves:
    """Per update: the loss, the learning rate used, the gradient's norm before clipping, kept steps."""

    loss: list[tuple[int, float]] = field(default_factory=list)
    learning_rate: list[tuple[int, float]] = field(default_factory=list)
    gradient_norm: list[tuple[int, float]] = field(default_factory=list)
    steps: list[tuple[int, float]] = field(default_factory=list)


def train(
    model: object,
    vocabulary: SharedVocabulary,
    samples: Samples,
    training: Training,
    *,
    seed: int,
    updates_between_saves: int,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[PeftModel, Curves]:
    """Train a fresh adapter on `samples`; `resume` continues exactly where a checkpoint stopped.

    Randomness (dropout) is seeded per update, so an interrupted and an uninterrupted run end with
    the same bytes. Raises `NonFiniteLossError` naming the batch when the loss, its gradient or a weight is
    not a number.
    """
    adapted = attach_adapter(model, training.lora, seed)
    expert = adapted.get_base_model()
    parameters = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    curves = Curves()
    done = 0
    if resume is not None:
        done, curves = resume.update, Curves(**resume.curves)
        _restore(adapted, optimizer, parameters, resume)
    adapted.train()
    for update, batch in _remaining(update_batches(samples, training, seed), done):
        learning_rate = training.learning_rate * (1 - update / training.updates)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        torch.manual_seed(seed * 1_000_003 + update)
        optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=expert.device)
        for part in batch_losses(expert, vocabulary, samples, batch):
            torch.autograd.backward(part)
            loss += part.detach()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), training.max_gradient_norm)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise NonFiniteLossError(_describe(loss, norm, update, batch, samples))
        optimizer.step()
        curves.loss.append((update, loss.item()))
        curves.learning_rate.append((update, learning_rate))
        curves.gradient_norm.append((update, norm.item()))
        curves.steps.append((update, len(batch)))
        if progress is not None:
            progress(update + 1, loss.item())
        if (update + 1) % updates_between_saves == 0 and update + 1 < training.updates:
            save(Checkpoint(update + 1, _tensors(adapted, optimizer, parameters), vars(curves)))
    if not all(torch.isfinite(weight).all() for weight in parameters.values()):
        raise NonFiniteLossError(_describe(loss, norm, update, batch, samples))
    adapted.eval()
    return adapted, curves


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
