"""The shared vocabulary: proven by comparing id -> token maps, never assumed from sizes.

Models of one family are padded to different numbers of output rows; rows beyond the shared tokens
stand for nothing and are left out of every distribution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from lrbench.errors import VocabularyMismatchError

DIFFERENCES_SHOWN = 5


@dataclass(frozen=True)
class SharedVocabulary:
    """Token ids 0..size-1, of which `unused` stand for no token; `identity` hashes the whole map."""

    size: int
    unused: tuple[int, ...]
    identity: str


def own_vocabulary(tokens: Mapping[str, int], output_rows: int) -> SharedVocabulary:
    """The vocabulary of one model: `tokens` maps token -> id. Rows of padding are left out."""
    by_id = {index: token for token, index in tokens.items() if index < output_rows}
    size = max(by_id) + 1
    digest = hashlib.sha256(repr(sorted(by_id.items())).encode()).hexdigest()
    return SharedVocabulary(size, tuple(index for index in range(size) if index not in by_id), digest)


def prove_shared_vocabulary(
    expert: Mapping[str, int], expert_rows: int, amateur: Mapping[str, int], amateur_rows: int
) -> SharedVocabulary:
    """The vocabulary both models speak, proven token by token.

    Raises `VocabularyMismatchError` naming the first ids that stand for different tokens.
    """
    expert_by_id = {index: token for token, index in expert.items() if index < expert_rows}
    amateur_by_id = {index: token for token, index in amateur.items() if index < amateur_rows}
    differing = [
        index
        for index in sorted(expert_by_id.keys() | amateur_by_id.keys())
        if expert_by_id.get(index) != amateur_by_id.get(index)
    ]
    if differing:
        shown = "\n".join(
            f"  id {index}: expert {_show(expert_by_id.get(index))}, "
            f"amateur {_show(amateur_by_id.get(index))}"
            for index in differing[:DIFFERENCES_SHOWN]
        )
        raise VocabularyMismatchError(
            f"expert and amateur do not share a vocabulary: {len(differing)} ids stand for different tokens, "
            f"the first are\n{shown}\nChoose an amateur with the expert's tokenizer, or compare the "
            "tokens that both have with `pair.align: tokens`."
        )
    return own_vocabulary(expert, expert_rows)


def _show(token: str | None) -> str:
    return "nothing" if token is None else repr(token)
