"""How many rows fit into memory; asks no framework, so that plans can ask too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from lrbench.models.pieces import TOKENS_PER_FORWARD

# More rows at once hardly write faster, and a failure would lose more.
MOST_ROWS = 256
# A GPU says when it is full. A machine ends the process instead, and others want its memory too.
SHARE_OF_FREE = {"cpu": 0.5, "cuda": 0.8}
# A cache that grows by a token is written anew, layer by layer, into pieces of memory that hardly fit.
CACHE_COPIES = 2
# Logits of a row in float32, its noise, and their sum.
ROW_LOGITS = 3
# Where Linux tells a process in a container what it may use.
CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Widths:
    """Sizes of a decoder: `key_values` are the key numbers of one token and layer, `number` is in bytes."""

    layers: int
    hidden: int
    intermediate: int
    key_values: int
    vocabulary: int
    number: int

    def cache(self, tokens: float) -> float:
        """Bytes of the keys and values of `tokens`."""
        return tokens * self.layers * 2 * self.key_values * self.number

    def layer_states(self, tokens: float) -> float:
        """Bytes that one layer holds of `tokens` that it reads."""
        return tokens * (6 * self.hidden + 3 * self.intermediate) * self.number


def rows_at_once(widths: Widths, *, tokens: float, free: float, device: str) -> int:
    """How many rows of `tokens`, prompt and completion together, can be written in `free` bytes.

    `device` is `cpu` or `cuda`. From 1 to `MOST_ROWS`: whether one row fits is found out when it is written.
    """
    row = CACHE_COPIES * widths.cache(tokens) + ROW_LOGITS * widths.vocabulary * 4
    reading = widths.layer_states(max(TOKENS_PER_FORWARD[device], tokens))
    room = SHARE_OF_FREE[device] * free - reading
    return max(1, min(MOST_ROWS, int(room // row)))


def free_on_machine() -> int:
    """Bytes of the machine's memory that can still be used, or of its container's."""
    available = psutil.virtual_memory().available
    left = _left_by_group()
    return available if left is None else min(available, left)


def _left_by_group() -> int | None:
    """Bytes that the limit of this process's control group leaves, as of a container; None without one."""
    try:
        limit = (CONTROL_GROUP / "memory.max").read_text().strip()
        used = int((CONTROL_GROUP / "memory.current").read_text())
        # Files that are cached are let go before anything else.
        statistics = (CONTROL_GROUP / "memory.stat").read_text().splitlines()
        files = sum(int(line.split()[1]) for line in statistics if line.startswith("inactive_file "))
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used + files) if limit != "max" else None
