"""Learning a router of tokens: chances of divergent tokens, by the cross-entropy of their labels.

Shapes: N steps, D hidden states, E embeddings, K largest logits, M steps of validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.methods.learnt_routes import TokenRouter
from lrbench.models.forward import (
    TOKENS_PER_FORWARD,
    chunk_size,
    length_batches,
    output_logits,
    unwrapped,
)
from lrbench.models.loading import Model
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.routers import NETWORK, Router, RouterNetwork, Shape, network_state, seen
from lrbench.sampling.scoring import step_hidden_states
from lrbench.training.checkpoints import Checkpoint
from lrbench.training.drawing import Draws
from lrbench.training.loop import Curves, Schedule, optimise

# As for adapters; what was published says nothing of it.
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Labelled:
    """What is known of N steps: hidden states (N, D), the K largest logits (N, K), the ids of the tokens that
    would be written (N,), and labels (N,): 1 where they are divergent, else 0.

    `embed` gives the embeddings (N, E) of ids, in float32 on its model's device.
    """

    hidden: Tensor
    logits: Tensor
    tokens: Tensor
    labels: Tensor
    embed: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, places: Sequence[int]) -> Labelled:
        """The steps at `places`."""
        at = torch.as_tensor(places, dtype=torch.long)
        return Labelled(self.hidden[at], self.logits[at], self.tokens[at], self.labels[at], self.embed)

    def found_by(self, network: RouterNetwork, device: torch.device) -> Tensor:
        """(N,) the logits that the network gives."""
        found_N: Tensor = network(
            self.hidden.to(device).float(), self.embed(self.tokens.to(device)), self.logits.to(device)
        )
        return found_N


@torch.no_grad()
def labelled_steps(
    model: Model,
    vocabulary: SharedVocabulary,
    rollouts: Sequence[Rollout],
    labels_N: NDArray[np.int8],
    top: int,
) -> Labelled:
    """What the model makes of every step of `rollouts`, on the CPU, with the labels (N,) that these have."""
    table = unwrapped(model).get_input_embeddings()
    top = min(top, vocabulary.size)
    parts: list[tuple[Tensor, ...]] = [()] * len(rollouts)
    most = TOKENS_PER_FORWARD[model.device.type]
    for indices in length_batches([len(each.token_ids) for each in rollouts], len(rollouts), most):
        batch = [rollouts[index] for index in indices]
        hidden_ND = step_hidden_states(model, batch)
        found = [
            seen(output_logits(model, hidden_CD, vocabulary), top)
            for hidden_CD in torch.split(hidden_ND, chunk_size(vocabulary))
        ]
        tokens_N, logits_NK = (torch.cat(each) for each in zip(*found, strict=True))
        columns = [
            torch.split(each.cpu(), [one.steps for one in batch]) for each in (hidden_ND, logits_NK, tokens_N)
        ]
        for index, *own in zip(indices, *columns, strict=True):
            parts[index] = tuple(own)
    hidden, logits, tokens = (torch.cat(each) for each in zip(*parts, strict=True))
    labels = torch.from_numpy(labels_N.astype(np.int64))
    return Labelled(hidden, logits, tokens, labels, lambda ids: table(ids).detach().float())


def learn_router(
    steps: Labelled,
    validation: Labelled,
    router: TokenRouter,
    *,
    seed: int,
    device: torch.device,
    updates_between_saves: int,
    save: Callable[[Checkpoint], None],
    resume: Checkpoint | None = None,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
) -> tuple[Router, Curves, float]:
    """What has learnt from `steps`, its curves, and the seconds of its updates; `resume` goes on from a save.

    Randomness depends on seed and update alone, so an interrupted and an uninterrupted run end with the same
    bytes. `steps` has at least one step. Raises `NonFiniteLossError`.
    """
    hidden, embedded = steps.hidden.shape[1], steps.embed(steps.tokens[:1].to(device)).shape[1]
    width = router.width_for(hidden)
    shape = Shape(hidden, embedded, steps.logits.shape[1], width, router.layers, router.dropout)
    with _drawing(seed, 0, device):
        network = RouterNetwork(shape)
    learner = _Network(network.to(device), seed, device)
    updates = updates_of(router, len(steps))
    schedule = Schedule(
        updates, router.rate_at(width), router.weight_decay, MAX_GRADIENT_NORM, updates_between_saves
    )
    curves = Curves() if resume is None else Curves(**resume.curves)
    draws = Draws(range(len(steps)), seed)
    at_once = min(router.batch, len(steps))

    def batches(done: int) -> Iterator[Labelled]:
        for update in range(done, updates):
            places = range(update * at_once, (update + 1) * at_once)
            yield steps.only([draws.at(place) for place in places])

    _, seconds = optimise(learner, batches, schedule, curves, save=save, resume=resume, progress=progress)
    network.eval()
    with torch.no_grad():
        parts = [
            validation.only(range(start, min(start + router.batch, len(validation))))
            for start in range(0, len(validation), router.batch)
        ]
        chances_M = torch.cat([torch.sigmoid(part.found_by(network, device)).cpu() for part in parts])
    return Router(network, chances_M, validation.labels), curves, seconds


def updates_of(router: TokenRouter, steps: int) -> int:
    """How many updates so many steps are in all epochs."""
    return router.epochs * ceil(steps / min(router.batch, steps))


class _Network:
    """The network, which learns from labelled steps."""

    def __init__(self, network: RouterNetwork, seed: int, device: torch.device) -> None:
        self.network = network
        self.weights: Mapping[str, Tensor] = dict(network.named_parameters())
        self.seed = seed
        self.device = device

    def loss(self, update: int, batch: Labelled) -> float:
        self.network.train()
        for weight in self.weights.values():
            weight.grad = None
        with _drawing(self.seed, update + 1, self.device):
            found_N = batch.found_by(self.network, self.device)
        labels_N = batch.labels.to(self.device, torch.float32)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(found_N, labels_N)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def measured(self, batch: Labelled) -> Mapping[str, float]:
        return {}

    def tensors(self) -> dict[str, Tensor]:
        return {f"{NETWORK}{name}": value for name, value in self.network.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.network.load_state_dict(network_state(tensors))

    def describe(self, loss: float, norm: float, update: int, batch: Labelled) -> str:
        return (
            f"the loss of a router is {loss} and its gradient's norm {norm} at update {update}, over "
            f"{len(batch)} steps; lower its learning_rate"
        )


@contextmanager
def _drawing(seed: int, number: int, device: torch.device) -> Iterator[None]:
    """What is drawn within depends on seed and number alone; what is drawn elsewhere is left as it is."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 2**32 + number)
        yield
