"""Teaching a smaller model to write as a larger one does: KL(teacher || student) at every step of rollouts.

Distillation of whole distributions (Hinton et al. 2015, arXiv 1503.02531) along what the teacher itself
writes (Kim and Rush 2016, arXiv 1606.07947). Unlike an adapter's training it reads no target from disk: the
teacher is asked for every distribution when it is needed.

Shapes: B rollouts, T tokens, D hidden, N steps of a forward, C steps of a chunk, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lrbench.errors import NonFiniteLossError, RunError
from lrbench.models.deriving import learning_weights
from lrbench.models.forward import TOKENS_PER_FORWARD, chunk_size, length_batches, log_probabilities
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import step_hidden_states
from lrbench.training.checkpoints import Checkpoint, Points

ROLLOUTS_PER_UPDATE = 4
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Distilled:
    """Of each update the mean divergence in nats per step, before it; and the seconds they all took."""

    divergence: Points
    seconds: float


def distill(
    teacher: Model,
    student: Model,
    vocabulary: SharedVocabulary,
    rollouts: Sequence[Rollout],
    *,
    updates: int,
    learning_rate: float,
    seed: int,
    updates_between_saves: int,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Distilled:
    """Change the student's layers in place by `updates` updates of AdamW, with linear decay.

    An update takes a few rollouts, shuffled once per epoch. Nothing else is random, dropout is off, and an
    interrupted distillation ends with the bytes of an uninterrupted one. Raises `NonFiniteLossError` when the
    divergence or its gradient is not a number, `RunError` when there is no rollout.
    """
    if not rollouts:
        raise RunError(
            "no rollout was written, so an amateur has nothing to learn from: every prompt fills the "
            "expert's context; give shorter problems"
        )
    weights = learning_weights(student)
    optimizer = torch.optim.AdamW(weights.values(), lr=learning_rate, weight_decay=0.0)
    divergence: Points = []
    done, spent = 0, 0.0
    if resume is not None:
        divergence, done, spent = resume.curves["divergence"], resume.update, resume.seconds
        _restore(weights, optimizer, resume)
    for update, batch in enumerate(_batches(rollouts, updates, seed)):
        if update < done:
            continue
        started = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - update / updates)
        optimizer.zero_grad()
        mean = _backward(teacher, student, vocabulary, batch)
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), MAX_GRADIENT_NORM)
        if not (np.isfinite(mean) and torch.isfinite(norm)):
            raise NonFiniteLossError(
                f"the divergence of the amateur is {mean} and its gradient's norm {norm.item()} at update "
                f"{update}; lower pair.amateur.derive.learning_rate"
            )
        optimizer.step()
        divergence.append((update, mean))
        spent += time.monotonic() - started
        if progress is not None:
            progress(update + 1, mean)
        if (update + 1) % updates_between_saves == 0 and update + 1 < updates:
            tensors = _tensors(weights, optimizer)
            save(Checkpoint(update + 1, tensors, {"divergence": divergence}, spent))
    return Distilled(divergence, spent)


def _batches(rollouts: Sequence[Rollout], updates: int, seed: int) -> Iterator[list[Rollout]]:
    def shuffled() -> Iterator[Rollout]:
        epoch = 0
        while True:
            for index in np.random.default_rng([seed, epoch]).permutation(len(rollouts)):
                yield rollouts[index]
            epoch += 1

    endless = shuffled()
    for _ in range(updates):
        yield [next(endless) for _ in range(ROLLOUTS_PER_UPDATE)]


def _backward(teacher: Model, student: Model, vocabulary: SharedVocabulary, batch: list[Rollout]) -> float:
    """The mean divergence over all steps of the batch, whose gradient is left in the student's weights."""
    steps = sum(rollout.steps for rollout in batch)
    lengths = [len(rollout.token_ids) for rollout in batch]
    total = 0.0
    for indices in length_batches(lengths, len(batch), TOKENS_PER_FORWARD[student.device.type]):
        part = [batch[index] for index in indices]
        with torch.no_grad():
            teacher_ND = step_hidden_states(teacher, part)
        student_ND = step_hidden_states(student, part)
        loss = torch.zeros((), device=student.device)
        size = chunk_size(vocabulary)
        chunks = zip(torch.split(teacher_ND, size), torch.split(student_ND, size), strict=True)
        for teacher_CD, student_CD in chunks:
            # Computed again in the backward pass, so that one chunk of distributions is held at a time.
            divergence: Any = checkpoint(
                _divergence, teacher, student, vocabulary, teacher_CD, student_CD, use_reentrant=False
            )
            loss = loss + divergence / steps
        torch.autograd.backward(loss)
        total += loss.item()
    return total


def _divergence(
    teacher: Model, student: Model, vocabulary: SharedVocabulary, teacher_CD: Tensor, student_CD: Tensor
) -> Tensor:
    """Sum over the chunk of KL(teacher || student) in nats."""
    teacher_CV = log_probabilities(teacher, teacher_CD, vocabulary)
    student_CV = log_probabilities(student, student_CD, vocabulary)
    return (teacher_CV.exp() * (teacher_CV - student_CV)).sum()


def _tensors(weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"weights/{name}": weight.detach().contiguous() for name, weight in weights.items()}
    for name, weight in weights.items():
        for key, value in optimizer.state[weight].items():
            tensors[f"optimizer/{key}/{name}"] = value.contiguous()
    return tensors


def _restore(
    weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, resume: Checkpoint
) -> None:
    for name, weight in weights.items():
        with torch.no_grad():
            weight.copy_(resume.tensors[f"weights/{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            value = resume.tensors[f"optimizer/{key}/{name}"]
            optimizer.state[weight][key] = value if key == "step" else value.to(weight.device)
