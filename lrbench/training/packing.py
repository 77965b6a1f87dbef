"""Which sequences share a forward, and a row of it, so that little of the work is padding.

Shapes: B rows, T tokens, D hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lrbench.models.forward import hidden_states, length_batches, pad_right
from lrbench.models.loading import Model

# A row of several sequences needs an attention mask, which costs more than a little padding does.
WORTH_PACKING = 0.9

Row = list[int]
Forward = list[Row]


def forwards_of(lengths: Sequence[int], tokens: int, pack: bool) -> list[Forward]:
    """Indices of all sequences, by forward and row; a forward has at most `tokens` tokens, padding included.

    A row holds one sequence, unless `pack` is set and sharing rows saves at least a tenth of all tokens. No
    row is longer than the longest sequence; where one row has more than `tokens`, it is a forward by itself.
    """
    padded = [[[index] for index in batch] for batch in length_batches(lengths, len(lengths), tokens)]
    if not pack or not lengths:
        return padded
    rows = _shared_rows(lengths)
    widths = [sum(lengths[index] for index in row) for row in rows]
    packed = [[rows[place] for place in batch] for batch in length_batches(widths, len(rows), tokens)]
    saves = _tokens(packed, lengths) <= WORTH_PACKING * _tokens(padded, lengths)
    return packed if saves else padded


def _shared_rows(lengths: Sequence[int]) -> list[Row]:
    """Sequences in rows no longer than the longest of them: first fit, longest first (Johnson 1973)."""
    room = max(lengths)
    rows: list[Row] = []
    free: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        place = next((place for place, left in enumerate(free) if left >= lengths[index]), len(rows))
        if place == len(rows):
            rows.append([])
            free.append(room)
        rows[place].append(index)
        free[place] -= lengths[index]
    return rows


def _tokens(forwards: list[Forward], lengths: Sequence[int]) -> int:
    """Tokens of all forwards, padding included."""
    return sum(
        len(forward) * max(sum(lengths[index] for index in row) for row in forward) for forward in forwards
    )


def packed_hidden_states(model: Model, rows: Sequence[Sequence[Sequence[int]]]) -> Tensor:
    """Last hidden states (B, T, D) of rows of token sequences, none of which sees another.

    Positions begin at 0 with each sequence. Where they do so within a row, the attention of the model is
    confined to each sequence by transformers; `supports_packing` proves it.
    """
    ids_BT = pad_right([[token for sequence in row for token in sequence] for row in rows], model.device)
    if all(len(row) == 1 for row in rows):
        return hidden_states(model, ids_BT)
    positions_BT = np.zeros(ids_BT.shape, dtype=np.int64)
    for row, positions_T in zip(rows, positions_BT, strict=True):
        used = sum(map(len, row))
        # Padding is a sequence of its own, so that nothing is masked everywhere.
        lengths = [*map(len, row), len(positions_T) - used]
        positions_T[:] = np.concatenate([np.arange(length) for length in lengths])
    hidden_BTD: Tensor = model.base_model(
        input_ids=ids_BT, position_ids=torch.as_tensor(positions_BT, device=model.device), use_cache=False
    ).last_hidden_state
    return hidden_BTD


@torch.no_grad()
def supports_packing(model: Model) -> bool:
    """Whether sequences that share a row get the hidden states that they get alone.

    Tried rather than looked up: an architecture may have no positions, or a memory along the row. Dropout is
    off meanwhile, which would tell them apart.
    """
    sequences = [list(range(1, 8)), list(range(3, 14))]
    learning = model.training
    model.eval()
    try:
        packed_TD = packed_hidden_states(model, [sequences])[0]
        alone = [packed_hidden_states(model, [[sequence]])[0] for sequence in sequences]
    except (TypeError, ValueError):
        return False
    finally:
        model.train(learning)
    tolerance = 1e-4 if packed_TD.dtype == torch.float32 else 5e-2
    return torch.allclose(packed_TD.float(), torch.cat(alone).float(), rtol=tolerance, atol=tolerance)
