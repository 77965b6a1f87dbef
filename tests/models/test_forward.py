"""Batches of similar length hold every sequence once, within their bounds; logits are the output layer's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM

from lrbench.models.forward import length_batches, output_logits
from lrbench.models.vocabulary import SharedVocabulary


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 8), st.integers(1, 200))
def test_every_sequence_is_in_one_batch_and_no_batch_is_too_large(
    lengths: list[int], rows: int, tokens: int
) -> None:
    batches = length_batches(lengths, rows, tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens


def test_similar_lengths_go_together() -> None:
    assert length_batches([9, 1, 8, 2], rows=2, tokens=100) == [[1, 3], [2, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_are_the_same_wherever_they_are_written(dtype: torch.dtype) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=40, num_key_value_heads=1, **shape)).to(dtype)
    vocabulary = SharedVocabulary(33, unused=(3, 30), identity="")
    hidden_ND = torch.randn(5, 16, dtype=dtype)
    with torch.no_grad():
        plain_NV = output_logits(model, hidden_ND, vocabulary)
        room_NR = torch.full((8, 40), 7.0, dtype=dtype)
        written_NV = output_logits(model, hidden_ND, vocabulary, room_NR)
        whole_NR = model.lm_head(hidden_ND)
    assert plain_NV.shape == (5, 33)
    torch.testing.assert_close(written_NV, plain_NV)
    assert written_NV.data_ptr() == room_NR.data_ptr()
    assert bool((room_NR[5:] == 7.0).all())
    kept = [index for index in range(33) if index not in vocabulary.unused]
    torch.testing.assert_close(plain_NV[:, kept], whole_NR[:, kept])
    for unused in vocabulary.unused:
        assert torch.isfinite(plain_NV[:, unused]).all()
        assert (plain_NV[:, unused] < -60_000).all()
