"""Routing by a network that reads a model's states while the model writes.

Shapes: B rows, D hidden states, R rows of an output layer, V ids that every model has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.models.forward import unwrapped
from lrbench.models.loading import Model
from lrbench.sampling.engines.policies import Policy, Setting, largest, noted
from lrbench.sampling.engines.rows import Row
from lrbench.sampling.routers import RouterNetwork, seen


@dataclass
class Watched:
    """A `network` beside the model that it watches; chances above the `bound` are routed.

    `hidden` (B, D) is what the model's output layer has read last.
    """

    network: RouterNetwork
    bound: float
    model: Model
    hidden: Tensor | None = None

    def routed(self, logits_BV: Tensor) -> Tensor:
        """(B,) where the other model writes, from the logits that the model gave in its last forward."""
        assert self.hidden is not None
        tokens_B, logits_BK = seen(logits_BV, self.network.shape.top)
        embedded_BE = unwrapped(self.model).get_input_embeddings()(tokens_B).float()
        return torch.sigmoid(self.network(self.hidden.float(), embedded_BE, logits_BK)) > self.bound


@contextmanager
def watching(network: RouterNetwork, bound: float, model: Model) -> Iterator[Watched]:
    """The network beside a loaded model, which notes what its output layer reads as long as this is open."""
    watched = Watched(network, bound, model)

    def note(_layer: object, inputs: tuple[Tensor, ...]) -> None:
        watched.hidden = inputs[0][:, -1]

    handle = model.get_output_embeddings().register_forward_pre_hook(note)
    try:
        yield watched
    finally:
        handle.remove()


class LearntRouting(Policy):
    """The second of two models writes where a network has the first go astray; `names` are theirs."""

    def __init__(self, watched: Watched, names: tuple[str, str], setting: Setting) -> None:
        super().__init__(setting)
        self.watched = watched
        self.names = names

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What the model writes that each row goes to."""
        first_BV, second_BV = (self.shared(logits_BR).float() for logits_BR in logits)
        routed_B = self.watched.routed(self.usable(first_BV))
        noted(rows, [self.names[routed] for routed in routed_B.tolist()])
        return largest(self.scored(torch.where(routed_B[:, None], second_BV, first_BV), rows))
