"""The packed loss and its gradients equal one row per (prefix, token)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.methods.presets import BY_NAME
from lrbench.models.forward import log_probabilities
from lrbench.models.pieces import Pieces
from lrbench.recipe.schema import Lora
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.adapters import attach_adapter
from lrbench.training.loss import batch_losses
from lrbench.training.output_gradient import Chunk, mean_divergence
from tests.oracles import training as oracle
from tests.training.conftest import VOCABULARY

LORA = Lora(r=4, dropout=0.0)


def adapted(tiny_model: Callable[..., Any], lora: Lora = LORA) -> Any:
    """A model with an adapter that already changes it, so that gradients of A are not zero."""
    model = attach_adapter(tiny_model(seed=1), lora, seed=0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model.get_base_model()


def batch_loss(model: Any, samples: Samples, batch: list[int], **options: Any) -> torch.Tensor:
    return sum(batch_losses(model, VOCABULARY, samples, batch, **options), torch.zeros(()))


def loss_and_gradients(model: Any, compute: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    loss = compute()
    loss.backward()
    gradients = [weight.grad.flatten() for _, weight in model.named_parameters() if weight.requires_grad]
    return loss.item(), torch.cat(gradients)


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
@pytest.mark.parametrize("tokens", [1, 40, 10_000])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("learning", [("q_proj", "v_proj"), ("v_proj", "lm_head"), ("lm_head",)])
def test_loss_and_gradients_equal_one_row_per_prefix(
    tiny_model: Callable[..., Any],
    samples: Samples,
    chunk: int,
    tokens: int,
    pack: bool,
    learning: tuple[str, ...],
) -> None:
    model = adapted(tiny_model, LORA.model_copy(update={"target_modules": learning}))
    batch = list(range(0, len(samples), 2))
    expected = loss_and_gradients(model, lambda: oracle.loss(model, VOCABULARY, samples, batch))
    found = loss_and_gradients(
        model, lambda: batch_loss(model, samples, batch, pieces=Pieces(tokens, chunk), pack=pack)
    )
    assert found[0] == pytest.approx(expected[0], abs=1e-6)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-6)


def chunks_of(counts: list[int], size: int) -> list[Chunk]:
    """Random targets of so many tokens at each position, in chunks of so many positions."""
    random = torch.Generator().manual_seed(0)
    found = []
    for start in range(0, len(counts), size):
        part = np.array(counts[start : start + size])
        ids = [torch.randperm(VOCABULARY.size - 8, generator=random)[:count] + 8 for count in part]
        weights = [torch.rand(count, generator=random) for count in part]
        normal = torch.cat([weight / weight.sum() for weight in weights])
        found.append(Chunk(slice(start, start + size), part, torch.cat(ids), normal))
    return found


def by_autograd(model: Any, hidden_PD: torch.Tensor, chunk: Chunk, steps: int) -> torch.Tensor:
    """The formula of one chunk, with all of its distributions in memory."""
    log_p_PV = log_probabilities(model, hidden_PD, VOCABULARY)
    rows_M = torch.as_tensor(np.repeat(np.arange(len(chunk.counts)), chunk.counts))
    return (chunk.weights * (chunk.weights.log() - log_p_PV[rows_M, chunk.ids])).sum() / steps


def test_the_gradient_is_that_of_finite_differences(tiny_model: Callable[..., Any]) -> None:
    lora = Lora(r=2, dropout=0.0, target_modules=("lm_head",))
    model = adapted(tiny_model, lora).double()
    learning = [weight for weight in model.lm_head.parameters() if weight.requires_grad]
    chunks = chunks_of([1, 4, 2, 1, 3], size=2)
    hidden_PD = torch.randn(5, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def divergence(hidden_PD: torch.Tensor, *_learning: torch.Tensor) -> torch.Tensor:
        return mean_divergence(model, VOCABULARY, hidden_PD, chunks, steps=7)

    assert torch.autograd.gradcheck(divergence, (hidden_PD.requires_grad_(), *learning))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_bit_is_other_than_by_autograd(
    tiny_model: Callable[..., Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block is three rows, of chunks that have ten."""
    monkeypatch.setattr("lrbench.sampling.step_scores.LOGITS_PER_BLOCK", 3 * 64)
    model = tiny_model(seed=1).to(dtype)
    (chunk,) = chunks_of([1, 5, 2, 2, 1, 8, 3, 1, 1, 4], size=10)
    hidden_PD = torch.randn(10, 32, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    expected = by_autograd(model, hidden_PD, chunk, steps=13)
    found = mean_divergence(model, VOCABULARY, hidden_PD, [chunk], steps=13)
    assert found.item() == expected.item()
    assert torch.equal(*(torch.autograd.grad(loss, hidden_PD)[0] for loss in (found, expected)))


def test_the_output_layer_sees_every_position_once_and_a_chunk_at_a_time(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = adapted(tiny_model)
    rows: list[int] = []
    model.lm_head.register_forward_pre_hook(lambda _module, hidden: rows.append(len(hidden[0])))
    batch_loss(model, samples, list(range(30)), pieces=Pieces(10_000, 7)).backward()
    assert rows == [7, 7, 7, 7, 2]


def test_the_own_token_target_is_cross_entropy(tiny_model: Callable[..., Any], samples: Samples) -> None:
    sft = BY_NAME["sft"].ingredients
    assert sft is not None
    whole = build_samples(samples.rollouts, {}, sft)
    model = adapted(tiny_model)
    rollout = whole.rollouts[0]
    logits = model(input_ids=torch.tensor([rollout.token_ids])).logits[0, len(rollout.prompt_ids) - 1 : -1]
    keep = [token for token in range(VOCABULARY.size) if token not in VOCABULARY.unused]
    labels = torch.tensor([keep.index(token) for token in rollout.completion_ids])
    expected = torch.nn.functional.cross_entropy(logits[:, keep], labels)
    found = batch_loss(model, whole, list(range(rollout.steps)))
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_rollout_named_by_two_steps_far_apart_is_read_once(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = adapted(tiny_model)
    rows = []
    model.base_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: rows.append(kwargs["input_ids"].shape[0]), with_kwargs=True
    )
    of_first = [index for index in range(len(samples)) if samples.rollout[index] == samples.rollout[0]]
    batch_loss(model, samples, of_first)
    assert rows == [1]


def test_dropout_in_the_output_layer_is_the_same_forward_and_backward(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    lora = Lora(r=4, dropout=0.5, target_modules=("lm_head",))
    model = attach_adapter(tiny_model(seed=1), lora, seed=0).train().get_base_model()
    weight = next(weight for name, weight in model.named_parameters() if "lora_B" in name)
    batch = list(range(12))

    def loss_at(shift: float) -> float:
        with torch.no_grad():
            weight[9, 0] += shift
        torch.manual_seed(3)
        loss = batch_loss(model, samples, batch)
        if shift == 0:
            loss.backward()
        with torch.no_grad():
            weight[9, 0] -= shift
        return loss.item()

    loss_at(0)
    assert weight.grad is not None
    slope = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2
    assert weight.grad[9, 0].item() == pytest.approx(slope, rel=0.02, abs=1e-4)
