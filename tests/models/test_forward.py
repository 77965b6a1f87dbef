"""Batches of similar length hold every sequence once, within their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lrbench.models.forward import length_batches


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
