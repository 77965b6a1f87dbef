"""How much of a model's work is in memory at once; a module of its own, so that plans need no torch."""

from __future__ import annotations

# Constants, so that they cannot make equal keys mean different bytes: small forwards stay in a CPU's cache,
# a GPU needs large ones to be busy.
TOKENS_PER_FORWARD = {"cpu": 1024, "cuda": 16384}
POSITIONS_PER_CHUNK = 256
# Blocks above 32 MiB are given back to the system when freed; below, glibc keeps them and fragments.
LOGITS_PER_CHUNK = 2**24


def chunk_positions(vocabulary: int) -> int:
    """Positions whose distributions are held at once: at most 64 MiB of float32 for one tensor of them."""
    return max(1, min(POSITIONS_PER_CHUNK, LOGITS_PER_CHUNK // vocabulary))
