"""Signals of a step that is being written are those that scores of it would hold."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.answers import Gate
from lrbench.sampling.engines.live_signals import SIGNALS, Views
from lrbench.sampling.step_scores import step_columns


def test_a_rule_can_be_of_every_signal_and_of_no_other() -> None:
    assert set(SIGNALS) == set(get_args(Gate.model_fields["signal"].annotation))


@given(
    rows=st.integers(1, 5),
    vocabulary=st.integers(2, 70),
    seed=st.integers(0, 2**20),
    spread=st.floats(0.1, 20),
)
def test_signals_are_the_columns_of_scores(rows: int, vocabulary: int, seed: int, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    first_BV, second_BV = (spread * torch.randn(rows, vocabulary, generator=random) for _ in range(2))
    columns = step_columns(first_BV, second_BV, torch.zeros(rows, dtype=torch.long), 0.05)
    columns["entropy"] = columns["entropy_expert"]
    columns["disagree"] = columns["top1_expert"] != columns["top1_amateur"]
    columns["step"] = np.arange(rows)
    prompts = [(row,) for row in range(rows)]
    views = Views(first_BV.log_softmax(-1), second_BV.log_softmax(-1), range(rows), prompts)
    for name, signal in SIGNALS.items():
        if name == "random":
            continue
        np.testing.assert_allclose(signal(views).numpy(), columns[name], atol=1e-4, err_msg=name)


def test_equal_choices_are_compared_by_their_lowest_ids() -> None:
    first_BV, second_BV = torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([[0.0, 5.0, 1.0]])
    assert SIGNALS["disagree"](Views(first_BV, second_BV, [0], [()])).tolist() == [0]
    assert SIGNALS["disagree"](Views(second_BV.roll(1), first_BV, [0], [()])).tolist() == [1]


def test_what_is_random_is_drawn_by_prompt_and_step_and_evenly() -> None:
    rows = 2000
    anything = torch.zeros(rows, 2)
    prompts = [(row % 50,) for row in range(rows)]
    views = Views(anything, anything, [row // 50 for row in range(rows)], prompts)
    drawn = SIGNALS["random"](views)
    assert torch.equal(drawn, SIGNALS["random"](views))
    assert len(set(drawn.tolist())) == rows
    assert (drawn < 0.3).float().mean().item() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(
    ("gate", "held"),
    [
        (Gate(signal="kl", above=0.4), [False, True, False]),
        (Gate(signal="kl", below=0.4), [True, False, False]),
        (Gate(signal="kl", above=1e300), [False] * 3),
        (Gate(signal="kl", above=-1.0), [True] * 3),
    ],
)
def test_a_bound_itself_is_neither_above_nor_below_it(gate: Gate, held: list[bool]) -> None:
    assert gate.holds(torch.tensor([0.1, 0.5, 0.4])).tolist() == held
