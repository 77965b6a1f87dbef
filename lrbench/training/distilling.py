"""Teaching a smaller model to write as a larger one does: KL(teacher || student) at every step of rollouts.

Distillation of whole distributions (Hinton et al. 2015, arXiv 1503.02531) along what the teacher itself
writes (Kim and Rush 2016, arXiv 1606.07947). Unlike an adapter's training it reads no target from disk: the
teacher is asked for every distribution when it is needed.

Shapes: B rollouts, T tokens, D hidden, N steps of a forward, C steps of a chunk, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lrbench.errors import RunError
from lrbench.models.deriving import learning_weights
from lrbench.models.forward import TOKENS_PER_FORWARD, chunk_size, length_batches, log_probabilities
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scoring import step_hidden_states
from lrbench.training.checkpoints import Checkpoint, Points
from lrbench.training.loop import Curves, Schedule, optimise

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
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
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
    curves = Curves() if resume is None else Curves(loss=resume.curves["divergence"])

    def save_divergence(state: Checkpoint) -> None:
        save(replace(state, curves={"divergence": state.curves["loss"]}))

    _, spent = optimise(
        _Student(teacher, student, vocabulary),
        lambda done: islice(_batches(rollouts, updates, seed), done, None),
        Schedule(updates, learning_rate, 0.0, MAX_GRADIENT_NORM, updates_between_saves),
        curves,
        save=save_divergence,
        resume=resume,
        progress=progress,
    )
    return Distilled(curves.loss, spent)


class _Student:
    """The layers of a smaller model that learn from a larger one's distributions."""

    def __init__(self, teacher: Model, student: Model, vocabulary: SharedVocabulary) -> None:
        self.teacher = teacher
        self.student = student
        self.vocabulary = vocabulary
        self.weights = learning_weights(student)

    def loss(self, update: int, batch: list[Rollout]) -> float:
        for weight in self.weights.values():
            weight.grad = None
        return _backward(self.teacher, self.student, self.vocabulary, batch)

    def measured(self, batch: list[Rollout]) -> Mapping[str, float]:
        return {}

    def tensors(self) -> dict[str, Tensor]:
        return {f"weights/{name}": weight.detach().contiguous() for name, weight in self.weights.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"weights/{name}"])

    def describe(self, loss: float, norm: float, update: int, batch: list[Rollout]) -> str:
        return (
            f"the divergence of the amateur is {loss} and its gradient's norm {norm} at update {update}; "
            "lower pair.amateur.derive.learning_rate"
        )


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
