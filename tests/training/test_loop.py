"""Training learns, resumes exactly, and stops when the loss is not a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lrbench.errors import NonFiniteLossError
from lrbench.recipe.schema import Lora, Training
from lrbench.sampling.samples import Samples
from lrbench.training.adapters import adapter_state
from lrbench.training.loop import Checkpoint, train
from tests.training.conftest import VOCABULARY

TRAINING = Training(updates=12, rollouts_per_update=4, learning_rate=5e-3, lora=Lora(r=4, dropout=0.1))


def run(
    model: Any, samples: Samples, training: Training = TRAINING, **options: Any
) -> tuple[Any, Any, list[Checkpoint]]:
    saved: list[Checkpoint] = []
    adapted, curves = train(
        model,
        VOCABULARY,
        samples,
        training,
        seed=options.pop("seed", 0),
        updates_between_saves=5,
        save=saved.append,
        **options,
    )
    return adapter_state(adapted), curves, saved


def assert_identical(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls(tiny_model: Callable[..., Any], samples: Samples) -> None:
    _, curves, _ = run(tiny_model(seed=1), samples, TRAINING.model_copy(update={"updates": 60}))
    losses = [value for _, value in curves.loss]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_learning_rate_falls_linearly_to_almost_nothing(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    _, curves, _ = run(tiny_model(seed=1), samples)
    assert [rate for _, rate in curves.learning_rate] == pytest.approx(
        [5e-3 * (1 - update / 12) for update in range(12)]
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    first, again, other = (run(tiny_model(seed=1), samples, seed=seed)[0] for seed in (0, 0, 1))
    assert_identical(first, again)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_resuming_from_any_save_ends_with_the_same_bytes(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    whole, curves, saved = run(tiny_model(seed=1), samples)
    assert [checkpoint.update for checkpoint in saved] == [5, 10]
    for checkpoint in saved:
        done = {name: values[: checkpoint.update] for name, values in checkpoint.curves.items()}
        resumed, again, _ = run(
            tiny_model(seed=1),
            samples,
            resume=Checkpoint(checkpoint.update, checkpoint.tensors, done),
        )
        assert_identical(whole, resumed)
        assert again == curves


def test_a_loss_that_is_not_a_number_names_its_batch(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = tiny_model(seed=1)
    model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(NonFiniteLossError, match=r"loss is nan .*at update 0.*problems p\d+"):
        run(model, samples)


def test_a_last_update_that_ruins_the_weights_is_not_kept(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    ruinous = TRAINING.model_copy(update={"updates": 1, "learning_rate": float("inf")})
    with pytest.raises(NonFiniteLossError, match="at update 0"):
        run(tiny_model(seed=1), samples, ruinous)
