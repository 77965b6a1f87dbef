"""Sequences that share a row see themselves alone; rows are shared where that saves work."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.recipe.schema import Lora
from lrbench.training.adapters import attach_adapter
from lrbench.training.packing import forwards_of, packed_hidden_states, supports_packing

SEQUENCES = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3], [11], [3, 1, 4, 1, 5, 9, 2, 6]]


def test_a_packed_sequence_has_the_hidden_states_that_it_has_alone(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(seed=4)
    rows = [[SEQUENCES[0], SEQUENCES[1], SEQUENCES[2]], [SEQUENCES[3]]]
    hidden_BTD = packed_hidden_states(model, rows)
    for row, sequences in enumerate(rows):
        column = 0
        for sequence in sequences:
            found = hidden_BTD[row, column : column + len(sequence)]
            alone = model.base_model(input_ids=torch.tensor([sequence])).last_hidden_state[0]
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)
            column += len(sequence)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_with_rotary_positions_can_be_packed(
    tiny_model: Callable[..., Any], dtype: torch.dtype
) -> None:
    assert supports_packing(tiny_model(seed=4).to(dtype))


def test_dropout_of_an_adapter_that_has_learnt_does_not_hide_it(tiny_model: Callable[..., Any]) -> None:
    """A training that is resumed packs as the one that it goes on from."""
    model = tiny_model(seed=4)
    adapted = attach_adapter(model, Lora(dropout=0.5), seed=0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    adapted.train()
    assert supports_packing(adapted.get_base_model())
    assert all(module.training for module in adapted.modules())


def test_a_model_without_positions_is_found_out() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    config = BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2)
    assert not supports_packing(BloomForCausalLM(config).eval())


def test_a_model_with_a_memory_along_the_row_is_found_out() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4)
    assert not supports_packing(MambaForCausalLM(config).eval())


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 300), st.booleans())
def test_every_sequence_is_in_one_row_and_no_forward_is_too_large(
    lengths: list[int], tokens: int, pack: bool
) -> None:
    forwards = forwards_of(lengths, tokens, pack)
    assert sorted(chain.from_iterable(chain.from_iterable(forwards))) == list(range(len(lengths)))
    for forward in forwards:
        widths = [sum(lengths[index] for index in row) for row in forward]
        assert max(widths) <= max(lengths)
        assert len(forward) * max(widths) <= tokens or len(forward) == 1


def test_rows_are_shared_only_where_that_saves_a_tenth() -> None:
    assert forwards_of([10, 10, 10], 1000, pack=True) == [[[0], [1], [2]]]
    assert forwards_of([40, 10, 20, 10], 1000, pack=True) == [[[0], [2, 1, 3]]]
    assert forwards_of([40, 10, 20, 10], 1000, pack=False) == [[[1], [3], [2], [0]]]
    assert forwards_of([], 1000, pack=True) == []
