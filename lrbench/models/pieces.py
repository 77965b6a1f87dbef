"""How much of a model's work is in memory at once; a module of its own, so that plans need no torch."""

from __future__ import annotations

from dataclasses import dataclass

# Constants, so that they cannot make equal keys mean different bytes: small forwards stay in a CPU's cache,
# a GPU needs large ones to be busy.
TOKENS_PER_FORWARD = {"cpu": 1024, "cuda": 16384}
POSITIONS_PER_CHUNK = 256
# Blocks above 32 MiB are given back to the system when freed; below, glibc keeps them and fragments.
LOGITS_PER_CHUNK = 2**24
# Below this many positions a chunk is small beside one forward.
FEWEST_POSITIONS = 16


def chunk_positions(vocabulary: int) -> int:
    """Positions whose distributions are held at once: at most 64 MiB of float32 for one tensor of them."""
    return max(1, min(POSITIONS_PER_CHUNK, LOGITS_PER_CHUNK // vocabulary))


@dataclass(frozen=True)
class Pieces:
    """How much of a piece of work is in memory at once: tokens of a forward, positions with distributions."""

    tokens: int
    positions: int

    @classmethod
    def usual(cls, device: str, vocabulary: int, tokens: int | None = None) -> Pieces:
        """What is used on a `cpu` or `cuda` as long as it fits; `tokens` is by device unless given."""
        return cls(tokens or TOKENS_PER_FORWARD[device], chunk_positions(vocabulary))

    def halved(self) -> Pieces:
        """Pieces of half the size."""
        fewer = max(FEWEST_POSITIONS, self.positions // 2)
        return Pieces(max(1, self.tokens // 2), min(self.positions, fewer))

    def are_smallest(self, longest: int) -> bool:
        """Whether halving would gain nothing where the longest row has so many tokens."""
        return self.tokens <= longest and self.positions <= FEWEST_POSITIONS
