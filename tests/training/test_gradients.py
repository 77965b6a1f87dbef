"""One gradient, however it is computed: in pieces, after running out of memory, recomputed, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lrbench.errors import RunError
from lrbench.methods.presets import BY_NAME
from lrbench.models.pieces import Pieces
from lrbench.recipe.schema import Lora, Runtime, Training
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training import gradients as gradients_module
from lrbench.training.adapters import adapter_state, attach_adapter
from lrbench.training.dropout import TokenDropout
from lrbench.training.gradients import Gradients
from lrbench.training.loop import Trained, train
from lrbench.training.loss import needed_tokens
from lrbench.training.packing import forwards_of
from lrbench.training.portions import Portion
from lrbench.training.team import Team
from tests.training.conftest import VOCABULARY

TRAINING = Training(updates=8, rollouts_per_update=6, learning_rate=5e-3, lora=Lora(r=4, dropout=0.3))


def gradients_of(model: Any, team: Team | None = None, **runtime: Any) -> Gradients:
    """Those of an adapter that already changes the model."""
    adapted = attach_adapter(model, TRAINING.lora, seed=0).train()
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    parameters = [weight for weight in adapted.parameters() if weight.requires_grad]
    expert = adapted.get_base_model()
    dropout = TokenDropout(adapted, seed=0)
    return Gradients(expert, VOCABULARY, parameters, dropout, Runtime(**runtime), team or Team())


def flat(
    gradients: Gradients, samples: Samples, batch: list[int], update: int = 3
) -> tuple[float, torch.Tensor]:
    loss = gradients.of(update, Portion(samples, batch))
    return loss.item(), torch.cat([weight.grad.flatten() for weight in gradients.parameters])  # type: ignore[union-attr]


def trained(model: Any, samples: Samples, training: Training = TRAINING, **runtime: Any) -> Trained:
    return train(
        model,
        VOCABULARY,
        samples,
        training,
        seed=0,
        runtime=Runtime(**runtime),
        save=lambda _: None,
    )


def adapters(run: Trained) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in adapter_state(run.adapted).values()])


@pytest.mark.parametrize("tokens", [1, 30, 64])
def test_accumulation_equals_one_large_batch_with_dropout_on(
    tiny_model: Callable[..., Any], samples: Samples, tokens: int
) -> None:
    batch = list(range(len(samples)))
    whole = flat(gradients_of(tiny_model(seed=1)), samples, batch)
    parts = flat(gradients_of(tiny_model(seed=1), tokens_per_forward=tokens), samples, batch)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    assert whole[1].abs().max() > 1e-3
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-4, atol=1e-6)


def test_rollouts_that_share_rows_have_the_gradient_that_they_have_padded_with_dropout_on(
    tiny_model: Callable[..., Any],
) -> None:
    neither = BY_NAME["neither"].ingredients
    assert neither is not None
    rollouts = [
        Rollout(f"p{length}", 0, (9, 8, 10), tuple(range(11, 11 + length))) for length in (2, 40, 5, 9, 17, 3)
    ]
    samples = build_samples(rollouts, {}, neither)
    batch = list(range(len(samples)))
    packed, padded = (gradients_of(tiny_model(seed=1)) for _ in range(2))
    packed.pack, padded.pack = True, False
    lengths = list(needed_tokens(samples, batch).values())
    (forward,) = forwards_of(lengths, packed.pieces.tokens, packed.pack)
    assert sorted(map(len, forward)) == [1, 1, 4]
    found, expected = flat(packed, samples, batch), flat(padded, samples, batch)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-6)


def test_the_shares_of_a_team_sum_to_the_whole(tiny_model: Callable[..., Any], samples: Samples) -> None:
    """Without the sum that a real team does in between."""

    class Apart(Team):
        def sum(self, tensors: Any) -> None:
            pass

    batch = list(range(len(samples)))
    whole = flat(gradients_of(tiny_model(seed=1)), samples, batch)
    shares = [flat(gradients_of(tiny_model(seed=1), Apart(rank, 3)), samples, batch) for rank in range(3)]
    assert sum(loss for loss, _ in shares) == pytest.approx(whole[0], rel=1e-5)
    torch.testing.assert_close(sum(gradient for _, gradient in shares), whole[1], rtol=1e-4, atol=1e-6)
    alone = flat(gradients_of(tiny_model(seed=1), Apart(1, 2)), samples, [0])
    assert alone[0] == 0
    assert not alone[1].any()


@pytest.mark.parametrize(
    "failure", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 1 bytes")]
)
def test_out_of_memory_halves_the_pieces_and_leaves_the_gradient(
    tiny_model: Callable[..., Any],
    samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    failure: RuntimeError,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Memory runs out in the backward pass, when some of the gradient is there already."""
    batch = list(range(len(samples)))
    whole = flat(gradients_of(tiny_model(seed=1), tokens_per_forward=60), samples, batch)
    gradients = gradients_of(tiny_model(seed=1), tokens_per_forward=60)
    backward = torch.autograd.backward
    calls = []

    def failing(part: torch.Tensor) -> None:
        backward(part)
        calls.append(gradients.pieces.tokens)
        if calls.count(60) == 2 and calls[-1] == 60:
            raise failure

    monkeypatch.setattr(torch.autograd, "backward", failing)
    found = flat(gradients, samples, batch)
    assert calls[:2] == [60, 60]
    assert set(calls[2:]) == {30}
    assert gradients.pieces == Pieces(30, 128)
    assert "going on with 30 tokens at once" in caplog.text
    assert found[0] == pytest.approx(whole[0], rel=1e-5)
    torch.testing.assert_close(found[1], whole[1], rtol=1e-4, atol=1e-6)


def test_one_rollout_that_does_not_fit_is_told_with_its_sizes(
    tiny_model: Callable[..., Any], samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gradients_module, "batch_losses", failing)
    message = r"one rollout of \d+ tokens alone .* on cpu and a vocabulary of 61 tokens. Set runtime.grad"
    with pytest.raises(RunError, match=message):
        flat(gradients_of(tiny_model(seed=1)), samples, [0, 1, 2])


def test_another_failure_is_not_taken_for_a_lack_of_memory(
    tiny_model: Callable[..., Any], samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(gradients_module, "batch_losses", failing)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        flat(gradients_of(tiny_model(seed=1)), samples, [0])


def test_gradient_checkpointing_trains_the_same_adapter(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = tiny_model(seed=1)
    found = trained(model, samples, gradient_checkpointing=True)
    assert torch.equal(adapters(found), adapters(trained(tiny_model(seed=1), samples)))
    assert not model.is_gradient_checkpointing


@pytest.mark.slow
def test_a_compiled_model_trains_the_same_adapter_up_to_rounding(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    training = TRAINING.model_copy(update={"updates": 3})
    model = tiny_model(seed=1, layers=1)
    found = trained(model, samples, training, compile=True)
    plain = trained(tiny_model(seed=1, layers=1), samples, training)
    torch.testing.assert_close(adapters(found), adapters(plain), rtol=1e-3, atol=1e-4)
    assert model.base_model._compiled_call_impl is None


def test_a_model_in_bfloat16_has_its_loss_and_its_adapter_in_float32(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    training = TRAINING.model_copy(update={"updates": 60})
    found = trained(tiny_model(seed=1).to(torch.bfloat16), samples, training)
    assert {tensor.dtype for tensor in adapter_state(found.adapted).values()} == {torch.float32}
    losses = [value for _, value in found.curves.loss]
    exact = [value for _, value in trained(tiny_model(seed=1), samples, training).curves.loss]
    assert losses[0] == pytest.approx(exact[0], rel=0.05)
    assert losses[0] != torch.tensor(losses[0]).bfloat16().item()
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
