"""Routers of tokens: the network, what it reads of a model, the bound beyond which a token is routed.

Shapes: N steps, D hidden states, E embeddings, K largest logits, V vocabulary, W width, M validated steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lrbench.errors import RunError
from lrbench.methods.learnt_routes import TokenRouter

# How much wider the inner layer of a block is, as published.
EXPANSION = 4
NETWORK, CHANCES, LABELS = "network/", "validation/chances", "validation/labels"


@dataclass(frozen=True)
class Shape:
    """The sizes of a network: of what it reads (D, E and K), and its own."""

    hidden: int
    embedded: int
    top: int
    width: int
    layers: int
    dropout: float


class Block(nn.Module):
    """A layer normalised, widened and narrowed again, added to what it began with."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, width * EXPANSION)
        self.narrow = nn.Linear(width * EXPANSION, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states_NW: Tensor) -> Tensor:
        """(N, W) the states after it."""
        inner = self.dropout(nn.functional.gelu(self.wide(self.norm(states_NW))))
        changed_NW: Tensor = states_NW + self.dropout(self.narrow(inner))
        return changed_NW


class RouterNetwork(nn.Module):
    """How likely a token is divergent, from what the model that would write it makes of the step.

    As R2R's: the logits are projected to the width of the hidden states, all three inputs together to that of
    the network, and residual blocks follow.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.logits = nn.Linear(shape.top, shape.hidden)
        self.together = nn.Linear(2 * shape.hidden + shape.embedded, shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, shape.dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.out = nn.Linear(shape.width, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, hidden_ND: Tensor, embedded_NE: Tensor, logits_NK: Tensor) -> Tensor:
        """(N,) the logits of the chances, from float32 inputs."""
        states_NW = self.together(torch.cat([hidden_ND, embedded_NE, self.logits(logits_NK)], dim=-1))
        for block in self.blocks:
            states_NW = block(states_NW)
        found_N: Tensor = self.out(self.norm(states_NW)).squeeze(-1)
        return found_N


def seen(logits_NV: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """The ids (N,) that would be written, of equals the lowest, and the K largest logits (N, K), falling."""
    logits_NV = logits_NV.float()
    return logits_NV.argmax(-1), logits_NV.topk(top, dim=-1).values


@dataclass(frozen=True)
class Router:
    """A network that has learnt, and what validation gave: chances (M,), and labels (M,), 1 divergent."""

    network: RouterNetwork
    chances: Tensor
    labels: Tensor

    def bound(self, router: TokenRouter) -> float:
        """Chances strictly above it are routed. Raises `RunError` where validation cannot say which."""
        rule, value = router.rule
        if rule == "above":
            return value
        if rule == "recall":
            return self._bound_of_recall(value)
        falling = self.chances.sort(descending=True).values
        routed = round(value * len(falling))
        # Nothing and everything are meant as such, whatever chances there will be.
        return math.inf if not routed else -math.inf if routed == len(falling) else falling[routed].item()

    def _bound_of_recall(self, recall: float) -> float:
        divergent = self.chances[self.labels == 1].sort(descending=True).values
        if not len(divergent):
            raise RunError(
                f"none of the {len(self.labels):,} tokens that a router is validated on is divergent, so no "
                "bound has a recall; give the router a `share` or a bound `above`, or raise data.problems"
            )
        last = divergent[math.ceil(recall * len(divergent)) - 1]
        return torch.nextafter(last, torch.tensor(-math.inf)).item()


def write_router(path: Path, router: Router) -> None:
    """Write all of it as one safetensors file; its shape is in the metadata."""
    tensors = {f"{NETWORK}{name}": value for name, value in router.network.state_dict().items()}
    tensors |= {CHANCES: router.chances, LABELS: router.labels}
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        path,
        metadata={"shape": json.dumps(asdict(router.network.shape))},
    )


def read_router(path: Path, device: torch.device) -> Router:
    """Read back what was written; the network is on `device`, and learns no more."""
    with safe_open(path, framework="pt") as opened:
        shape = Shape(**json.loads(opened.metadata()["shape"]))
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    network = RouterNetwork(shape)
    network.load_state_dict(network_state(tensors))
    return Router(network.to(device).eval(), tensors[CHANCES], tensors[LABELS])


def network_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of tensors by name those of the network, as it calls them."""
    return {name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)}
