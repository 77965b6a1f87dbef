"""The most tokens that the support of a step keeps, and how much probability is left out beyond them.

A model that is nearly uniform finds every token of its vocabulary plausible, and a step of it would take
megabytes. For peaked models, whose steps have a handful of plausible tokens, nothing is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TOKENS = 256


def uncrowded(
    lengths: NDArray[np.int64], ids: NDArray[np.int32], log_p_expert: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]] | None:
    """Which support tokens (M,) stay, and the expert's probability (N,) of those of each step that do not.

    The `MOST_TOKENS` likeliest of a step stay, among equals those of the lowest ids. None where all do.
    `lengths` (N,) counts each step's tokens, `ids` and `log_p_expert` are (M,).
    """
    crowded = lengths > MOST_TOKENS
    if not crowded.any():
        return None
    owner = np.repeat(np.arange(len(lengths)), lengths)
    places = np.flatnonzero(crowded[owner])
    ordered = places[np.lexsort((ids[places], -log_p_expert[places], owner[places]))]
    counts = lengths[crowded]
    rank = np.arange(len(ordered)) - np.repeat(np.cumsum(counts) - counts, counts)
    stays = np.ones(len(ids), dtype=bool)
    stays[ordered[rank >= MOST_TOKENS]] = False
    probability = np.exp(log_p_expert[~stays].astype(np.float64))
    dropped = np.bincount(owner[~stays], weights=probability, minlength=len(lengths))
    return stays, np.minimum(dropped, 1).astype(np.float32)


def uncrowded_columns(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Columns as `step_columns` makes them with no more tokens than stay, and `dropped` (N,) beside them."""
    lengths = columns["support_lengths"]
    found = uncrowded(lengths, columns["support_ids"], columns["support_log_p_expert"])
    if found is None:
        return columns | {"dropped": np.zeros(len(lengths), dtype=np.float32)}
    stays, dropped = found
    kept = {
        name: column[stays]
        for name, column in columns.items()
        if name.startswith("support_") and name != "support_lengths"
    }
    return columns | kept | {"support_lengths": np.minimum(lengths, MOST_TOKENS), "dropped": dropped}
