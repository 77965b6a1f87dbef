"""The gradient of one update: in pieces that fit into memory, by one process or several."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lrbench.errors import RunError
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory, size_of
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Runtime
from lrbench.training.dropout import TokenDropout
from lrbench.training.loss import batch_losses, needed_tokens
from lrbench.training.packing import supports_packing
from lrbench.training.portions import Losses, Portion
from lrbench.training.team import Team

logger = logging.getLogger(__name__)


class Gradients:
    """Accumulates over forwards, and halves these when memory runs out: the sum stays what it is.

    However the rollouts of an update are cut into forwards or dealt out to processes, loss and gradient
    differ by rounding alone, dropout included. `losses` gives the parts of another loss than ours.
    """

    def __init__(
        self,
        model: Model,
        vocabulary: SharedVocabulary,
        parameters: Sequence[Tensor],
        dropout: TokenDropout,
        runtime: Runtime,
        team: Team,
        losses: Losses | None = None,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.parameters = parameters
        self.dropout = dropout
        self.team = team
        self.losses = losses
        self.told: dict[str, float] = {}
        self.pieces = Pieces.usual(model.device.type, vocabulary.size, runtime.tokens_per_forward)
        self.pack = supports_packing(model)

    def of(self, update: int, portion: Portion) -> Tensor:
        """The loss of a portion, whose gradient is left in `grad` of the parameters, dropout on.

        What else its parts say, behind their loss, is added up and left in `told`.
        Raises `RunError` when the smallest piece of it does not fit into memory.
        """
        while (loss := self._tried(update, portion)) is None:
            self.pieces = self.pieces.halved()
            logger.warning(
                "out of memory while training: going on with %d tokens at once", self.pieces.tokens
            )
            if self.model.device.type == "cuda":
                torch.cuda.empty_cache()
        gradients = [
            torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self.parameters
        ]
        self.team.sum([loss, *gradients])
        for weight, gradient in zip(self.parameters, gradients, strict=True):
            weight.grad = gradient
        self.told = dict(zip(portion.told, loss[1:].tolist(), strict=True))
        return loss[0]

    def _tried(self, update: int, portion: Portion) -> Tensor | None:
        """(1 + told,) the loss of this process's share, or None when memory ran out on the way."""
        torch.manual_seed(self.dropout.seed * 1_000_003 + update)
        self.dropout.update = update
        for weight in self.parameters:
            weight.grad = None
        loss = torch.zeros(1 + len(portion.told), device=self.model.device)
        try:
            for part in (portion.losses or self.losses or batch_losses)(
                self.model,
                self.vocabulary,
                portion.samples,
                portion.steps,
                pieces=self.pieces,
                pack=self.pack,
                dropout=self.dropout,
                share=self.team.share,
            ):
                part = part.reshape(-1)
                torch.autograd.backward(part[0])
                loss += part.detach()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            longest = max(needed_tokens(portion.samples, portion.steps).values())
            if self.pieces.are_smallest(longest):
                raise RunError(self._too_large(longest)) from error
            return None
        return loss

    def _too_large(self, longest: int) -> str:
        return (
            f"out of memory: one rollout of {longest} tokens alone is too much to train on, with "
            f"{size_of(self.model)} and a vocabulary of {self.vocabulary.size:,} tokens. Set "
            "runtime.gradient_checkpointing, lower sampling.max_new_tokens, or use a smaller expert or a "
            "smaller dtype."
        )


@contextmanager
def ways_of_computing(model: Model, runtime: Runtime) -> Iterator[None]:
    """Gradient checkpointing and compilation of `model` where `runtime` asks for them, within the context."""
    body = model.base_model
    if runtime.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if runtime.compile:
        body.compile(dynamic=True)
    try:
        yield
    finally:
        if runtime.gradient_checkpointing:
            model.gradient_checkpointing_disable()
        if runtime.compile:
            body._compiled_call_impl = None
