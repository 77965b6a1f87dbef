from __future__ import annotations

import pytest
import torch

from lrbench.embedded.muon import Muon, orthogonalised


def test_singular_values_end_near_one_and_vectors_stay() -> None:
    matrices = torch.randn(3, 24, 40, generator=torch.Generator().manual_seed(0))
    for matrix, found in zip(matrices, orthogonalised(matrices), strict=True):
        assert torch.linalg.svdvals(found).min() > 0.5
        assert torch.linalg.svdvals(found).max() < 1.3
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        values = left.T @ found @ right.T
        assert torch.allclose(values, torch.diag(torch.diag(values)), atol=1e-4)


def test_a_tall_matrix_is_treated_as_its_transpose() -> None:
    matrices = torch.randn(2, 40, 24, generator=torch.Generator().manual_seed(1))
    assert torch.equal(orthogonalised(matrices), orthogonalised(matrices.mT).mT)


def test_it_moves_as_torchs_own_does_up_to_its_rounding() -> None:
    torch.manual_seed(0)
    shapes = [(16, 16), (16, 48), (48, 16), (16, 16)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    begun = [matrix.detach().clone() for matrix in ours]
    mine = Muon(ours, lr=0.01, weight_decay=0.1)
    other = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, same in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            same.grad = one.grad.clone()
        mine.step()
        other.step()
    for one, same, start in zip(ours, theirs, begun, strict=True):
        moved = (same - start).norm().item()
        assert (one - same).norm().item() < 0.02 * moved
        assert moved == pytest.approx((one - start).norm().item(), rel=0.02)


def test_a_matrix_without_a_gradient_stays() -> None:
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    Muon([matrix], lr=1.0, weight_decay=0.5).step()
    assert torch.equal(matrix.data, torch.ones(2, 2))
