"""A layer with room holds, after any sequence of steps, what transformers' own holds."""

from __future__ import annotations

import gc

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import DynamicLayer

from lrbench.sampling.engines.room import ROOM, LayerWithRoom

# New columns that come, or which rows stay with how many columns, as when rows are done.
MOVES = st.lists(
    st.one_of(
        st.integers(1, 3),
        st.just(ROOM),
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=2), st.integers(2, 5)),
    ),
    min_size=1,
    max_size=12,
)


@given(MOVES)
def test_a_layer_with_room_holds_what_one_without_holds(
    moves: list[int | tuple[list[int], int]],
) -> None:
    draw = torch.Generator().manual_seed(0)
    usual, roomy = DynamicLayer(), LayerWithRoom()
    rows, seen = 2, []
    for layer in (usual, roomy):
        layer.update(torch.ones(rows, 3, 2, 4), torch.zeros(rows, 3, 2, 4))
    for move in moves:
        if isinstance(move, int):
            keys, values = (torch.randn(rows, 3, move, 4, generator=draw) for _ in range(2))
            given_back = roomy.update(keys, values)
            expected = usual.update(keys, values)
            seen.append((given_back, [part.clone() for part in given_back]))
            assert all(map(torch.equal, given_back, expected))
        else:
            places = torch.tensor([min(place, rows - 1) for place in move[0]])
            rows = len(places)
            for layer in (usual, roomy):
                parts = [
                    part[:, :, -move[1] :].index_select(0, places) for part in (layer.keys, layer.values)
                ]
                if isinstance(layer, LayerWithRoom):
                    layer.hold(*parts)
                else:
                    layer.keys, layer.values = parts
        assert roomy.get_seq_length() == usual.get_seq_length()
    for given_back, copies in seen:
        assert all(map(torch.equal, given_back, copies)), "an earlier step's columns were written over"


def test_what_is_replaced_is_not_kept_in_memory() -> None:
    def with_room() -> int:
        gc.collect()
        tensors = (held for held in gc.get_objects() if type(held) is torch.Tensor)
        return sum(held.shape == (2, 3, 2 + ROOM, 7) for held in tensors)

    layer = LayerWithRoom()
    for columns in (2, 1):
        layer.update(torch.ones(2, 3, columns, 7), torch.ones(2, 3, columns, 7))
    assert with_room() == 2
    layer.hold(torch.ones(1, 3, 3, 7), torch.ones(1, 3, 3, 7))
    assert with_room() == 0
