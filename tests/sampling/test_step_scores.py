"""What is computed from logits in blocks equals the definitions, in float64 over whole distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.models.forward import UNUSED_LOGIT
from lrbench.sampling import step_scores
from lrbench.sampling.step_scores import step_columns

ALPHA_MIN = 0.05


def random_logits(steps: int, vocabulary: int, seed: int, spread: float = 3.0) -> torch.Tensor:
    return spread * torch.randn(steps, vocabulary, generator=torch.Generator().manual_seed(seed))


def own_tokens(logits_CV: torch.Tensor) -> torch.Tensor:
    """Some token of each row, the first row's none of them."""
    steps, vocabulary = logits_CV.shape
    return torch.arange(-1, steps - 1).clamp(max=vocabulary - 1)


def columns_of(expert_CV: torch.Tensor, amateur_CV: torch.Tensor) -> dict[str, np.ndarray]:
    return step_columns(expert_CV, amateur_CV, own_tokens(expert_CV), ALPHA_MIN)


def assert_as_defined(expert_CV: torch.Tensor, amateur_CV: torch.Tensor, tolerance: float) -> None:
    found = columns_of(expert_CV, amateur_CV)
    log_p = torch.log_softmax(expert_CV.double(), -1).numpy()
    log_q = torch.log_softmax(amateur_CV.double(), -1).numpy()
    p, q = np.exp(log_p), np.exp(log_q)
    np.testing.assert_allclose(found["kl"], (p * (log_p - log_q)).sum(-1), atol=tolerance)
    np.testing.assert_allclose(found["kl_reverse"], (q * (log_q - log_p)).sum(-1), atol=tolerance)
    np.testing.assert_allclose(found["entropy_expert"], -(p * log_p).sum(-1), atol=tolerance)
    np.testing.assert_allclose(found["entropy_amateur"], -(q * log_q).sum(-1), atol=tolerance)
    assert found["top1_expert"].tolist() == p.argmax(-1).tolist()
    assert found["top1_amateur"].tolist() == q.argmax(-1).tolist()
    np.testing.assert_allclose(found["top1_log_p_amateur"], log_q.max(-1), atol=tolerance)
    own = own_tokens(expert_CV).tolist()
    for model, log_probabilities in (("expert", log_p), ("amateur", log_q)):
        column = found[f"own_log_p_{model}"]
        assert np.isnan(column[0])
        expected = [row[token] for row, token in zip(log_probabilities, own, strict=True)]
        np.testing.assert_allclose(column[1:], expected[1:], atol=tolerance)
    support = p >= ALPHA_MIN * p.max(-1, keepdims=True)
    assert found["support_lengths"].tolist() == support.sum(-1).tolist()
    assert found["support_ids"].tolist() == np.nonzero(support)[1].tolist()
    np.testing.assert_allclose(found["support_log_p_expert"], log_p[support], atol=tolerance)
    np.testing.assert_allclose(found["support_log_p_amateur"], log_q[support], atol=tolerance)


@given(
    steps=st.integers(1, 9),
    vocabulary=st.integers(2, 70),
    seed=st.integers(0, 2**20),
    spread=st.floats(0.1, 20),
    in_a_block=st.integers(1, 200),
)
def test_columns_are_as_defined(
    steps: int, vocabulary: int, seed: int, spread: float, in_a_block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_scores, "LOGITS_PER_BLOCK", in_a_block)
        expert_CV, amateur_CV = (random_logits(steps, vocabulary, seed + part, spread) for part in (0, 1))
        assert_as_defined(expert_CV, amateur_CV, tolerance=1e-4)


def test_a_vocabulary_of_152_000_is_summed_without_loss() -> None:
    size = 152_064
    assert_as_defined(random_logits(6, size, 0), random_logits(6, size, 1), tolerance=2e-5)


def test_of_tokens_that_are_equally_likely_the_first_is_the_first_choice() -> None:
    logits_CV = torch.tensor([[0.0, 2.0, 2.0, 1.0], [3.0, 0.0, 3.0, 3.0]])
    found = columns_of(logits_CV, logits_CV.flip(0))
    assert found["top1_expert"].tolist() == [1, 0]
    assert found["top1_amateur"].tolist() == [0, 1]


def test_what_stands_for_no_token_has_no_part() -> None:
    expert_CV, amateur_CV = random_logits(3, 12, 0), random_logits(3, 12, 1)
    without = columns_of(expert_CV, amateur_CV)
    padding_CU = torch.full((3, 5), UNUSED_LOGIT)
    padded = columns_of(torch.cat([expert_CV, padding_CU], dim=1), torch.cat([amateur_CV, padding_CU], dim=1))
    for name, column in without.items():
        np.testing.assert_allclose(padded[name], column, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_of_half_precision_are_summed_in_float32(dtype: torch.dtype) -> None:
    expert_CV, amateur_CV = random_logits(4, 5000, 0).to(dtype), random_logits(4, 5000, 1).to(dtype)
    found = columns_of(expert_CV, amateur_CV)
    wide = columns_of(expert_CV.float(), amateur_CV.float())
    assert found["kl"].dtype == np.float32
    assert all(np.array_equal(found[name], wide[name], equal_nan=True) for name in wide)


def test_the_logits_given_are_left_as_they_are() -> None:
    expert_CV, amateur_CV = random_logits(2, 9, 0), random_logits(2, 9, 1)
    before = expert_CV.clone(), amateur_CV.clone()
    columns_of(expert_CV, amateur_CV)
    assert torch.equal(expert_CV, before[0])
    assert torch.equal(amateur_CV, before[1])
