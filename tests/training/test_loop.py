"""Training learns, resumes exactly, and stops when the loss is not a number."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import count
from typing import Any

import pytest
import torch

from lrbench.errors import NonFiniteLossError
from lrbench.methods.fidelity import Fidelity
from lrbench.methods.presets import BY_NAME
from lrbench.recipe.schema import Lora, Runtime, Training
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.adapters import adapter_state
from lrbench.training.checkpoints import Checkpoint
from lrbench.training.loop import Trained, train
from lrbench.training.reference_loss import RowForm
from tests.training.conftest import VOCABULARY, random_rollouts

TRAINING = Training(updates=12, rollouts_per_update=4, learning_rate=5e-3, lora=Lora(r=4, dropout=0.1))


def run(
    model: Any, samples: Samples, training: Training = TRAINING, **options: Any
) -> tuple[dict[str, torch.Tensor], Trained, list[Checkpoint]]:
    saved: list[Checkpoint] = []
    trained = train(
        model,
        VOCABULARY,
        samples,
        training,
        seed=options.pop("seed", 0),
        runtime=options.pop("runtime", Runtime(updates_between_saves=5)),
        # What is saved must not change while training goes on.
        save=lambda state: saved.append(deepcopy(state)),
        **options,
    )
    return adapter_state(trained.adapted), trained, saved


def assert_identical(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_loss_falls(tiny_model: Callable[..., Any], samples: Samples) -> None:
    _, trained, _ = run(tiny_model(seed=1), samples, TRAINING.model_copy(update={"updates": 60}))
    losses = [value for _, value in trained.curves.loss]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_learning_rate_falls_linearly_to_almost_nothing(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    _, trained, _ = run(tiny_model(seed=1), samples)
    assert [rate for _, rate in trained.curves.learning_rate] == pytest.approx(
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
    held_out = random_rollouts(5)
    whole, trained, saved = run(tiny_model(seed=1), samples, held_out=held_out)
    assert [checkpoint.update for checkpoint in saved] == [5, 10]
    for checkpoint in saved:
        resumed, again, _ = run(tiny_model(seed=1), samples, held_out=held_out, resume=checkpoint)
        assert_identical(whole, resumed)
        assert again.curves == trained.curves


def test_training_as_the_public_scripts_do_resumes_exactly_and_hazards_that_change_nothing_change_nothing(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    training = TRAINING.model_copy(update={"rollouts_per_update": None, "steps_per_update": 16})

    def trained(*hazards: str, **options: Any) -> tuple[Any, Trained, list[Checkpoint]]:
        rows = RowForm(Fidelity.of(hazards), padding=3)
        return run(tiny_model(seed=1), samples, training, rows=rows, **options)

    scripted = ("last_column", "rows_shuffled", "accumulation_summed")
    whole, learnt, saved = trained(*scripted)
    # The last update of an epoch is what is left of it.
    assert min(count for _, count in learnt.curves.steps) == len(samples) % 16 > 0
    for checkpoint in saved:
        resumed, again, _ = trained(*scripted, resume=checkpoint)
        assert_identical(whole, resumed)
        assert again.curves == learnt.curves
    own = run(tiny_model(seed=1), samples, training)[0]
    # No row is as long as what is cut, so these are our own steps and dropout, one row at a time.
    cut = trained("rows_truncated")[0]
    for name, weight in own.items():
        torch.testing.assert_close(cut[name], weight, rtol=1e-3, atol=1e-4)
    assert any(not torch.allclose(whole[name], own[name], atol=1e-3) for name in own)


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


def test_measuring_held_out_perplexity_changes_no_bit_of_the_adapter(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    plain, without, _ = run(tiny_model(seed=1), samples)
    measured, trained, _ = run(tiny_model(seed=1), samples, held_out=random_rollouts(5))
    assert_identical(plain, measured)
    assert trained.curves.loss == without.curves.loss
    assert "held_out_perplexity" not in without.curves.measured
    assert [update for update, _ in trained.curves.held_out_perplexity] == list(range(13))


def test_held_out_perplexity_is_measured_some_twenty_times_however_long_training_is(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    training = TRAINING.model_copy(update={"updates": 45, "rollouts_per_update": 1})
    _, trained, _ = run(tiny_model(seed=1), samples, training, held_out=random_rollouts(2))
    updates = [update for update, _ in trained.curves.held_out_perplexity]
    assert (updates[0], updates[-1], len(updates)) == (0, 45, 21)


def test_training_on_the_held_out_rollouts_themselves_lowers_their_perplexity(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    sft = BY_NAME["sft"].ingredients
    assert sft is not None
    whole = build_samples(samples.rollouts, {}, sft)
    training = TRAINING.model_copy(update={"updates": 40})
    _, trained, _ = run(tiny_model(seed=1), whole, training, held_out=samples.rollouts)
    points = [value for _, value in trained.curves.held_out_perplexity]
    assert points[-1] < 0.7 * points[0]


def test_after_its_seconds_no_update_begins_and_the_learning_rate_has_fallen_with_them(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    """A clock that moves by 1 each time it is read: an update takes 1 second."""
    ticks = count()
    _, trained, _ = run(tiny_model(seed=1), samples, seconds=8, clock=lambda: float(next(ticks)))
    assert (trained.updates, trained.seconds, trained.stopped_by) == (8, 8.0, "seconds")
    rates = [rate for _, rate in trained.curves.learning_rate]
    assert rates == pytest.approx([5e-3 * (1 - update / 8) for update in range(8)])


def test_seconds_that_last_longer_than_the_updates_change_nothing(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    unlimited, _, _ = run(tiny_model(seed=1), samples)
    ticks = count()
    limited, trained, _ = run(tiny_model(seed=1), samples, seconds=12, clock=lambda: float(next(ticks)))
    assert (trained.updates, trained.stopped_by) == (12, "updates")
    assert_identical(unlimited, limited)


def test_seconds_before_an_interruption_count(tiny_model: Callable[..., Any], samples: Samples) -> None:
    ticks = count()
    whole, _, saved = run(tiny_model(seed=1), samples, seconds=8, clock=lambda: float(next(ticks)))
    assert [(checkpoint.update, checkpoint.seconds) for checkpoint in saved] == [(5, 5.0)]
    resumed, trained, _ = run(
        tiny_model(seed=1), samples, seconds=8, clock=lambda: float(next(ticks)), resume=saved[0]
    )
    assert (trained.updates, trained.seconds) == (8, 8.0)
    assert_identical(whole, resumed)


def test_one_update_is_done_however_short_the_time(tiny_model: Callable[..., Any], samples: Samples) -> None:
    _, trained, _ = run(tiny_model(seed=1), samples, seconds=1e-9)
    assert (trained.updates, trained.stopped_by) == (1, "seconds")
