"""Muon in float32: momentum whose direction is orthogonalised (Jordan, kellerjordan.github.io/posts/muon).

torch's own rounds the iteration to bfloat16, which a CPU without instructions for it computes slowly: there
it takes two thirds of a training of models as small as these. Matrices of one shape are computed together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
# The quintic's coefficients and number of iterations, as published: singular values end near one, not at it.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
SMALLEST_NORM = 1e-7
# The step of a matrix is as long as AdamW's usually is (Moonlight, arXiv 2502.16982).
STEP = 0.2


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for matrices alone."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in alike.items():
                directions_NRC = orthogonalised(torch.stack([self._direction(each) for each in matrices]))
                rate = group["lr"] * STEP * math.sqrt(max(shape))
                for matrix, direction_RC in zip(matrices, directions_NRC, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.sub_(direction_RC, alpha=rate)

    def _direction(self, matrix: Tensor) -> Tensor:
        """The gradient, carried on by its momentum."""
        gradient = matrix.grad
        assert gradient is not None
        momentum: Tensor = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
        momentum.lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonalised(matrices_NRC: Tensor) -> Tensor:
    """Matrices (N, R, C) with the same singular vectors and singular values near one (Newton-Schulz)."""
    if matrices_NRC.shape[1] > matrices_NRC.shape[2]:
        return orthogonalised(matrices_NRC.transpose(1, 2)).transpose(1, 2)
    norms_N11 = matrices_NRC.flatten(1).norm(dim=1).clamp(min=SMALLEST_NORM)[:, None, None]
    found_NRC: Tensor = matrices_NRC / norms_N11
    for _ in range(ITERATIONS):
        gram_NRR = found_NRC @ found_NRC.mT
        gram_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=CUBIC, alpha=QUINTIC)
        found_NRC = torch.baddbmm(found_NRC, gram_NRR, found_NRC, beta=LINEAR)
    return found_NRC
