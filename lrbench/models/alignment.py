"""Alignment: the tokens that two models with different tokenizers share, matched by their strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import VocabularyMismatchError
from lrbench.models.vocabulary import SharedVocabulary, own_vocabulary


@dataclass(frozen=True, eq=False)
class Alignment:
    """S shared tokens: `expert_ids[i]` and `amateur_ids[i]`, each (S,), stand for the same one.

    They are in ascending id of the expert, and none comes twice on either side. `expert` and `amateur` are
    the whole vocabularies of the two.
    """

    expert: SharedVocabulary
    amateur: SharedVocabulary
    expert_ids: NDArray[np.int64]
    amateur_ids: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many tokens are shared."""
        return len(self.expert_ids)


def align_tokens(
    expert: Mapping[str, int],
    expert_rows: int,
    amateur: Mapping[str, int],
    amateur_rows: int,
    ends_of_turn: tuple[int, int],
) -> Alignment:
    """The tokens that both models have: those of equal strings, and what ends a turn in each.

    `expert` and `amateur` map token -> id; ids beyond a model's output rows do not count. `ends_of_turn` are
    the expert's token and the amateur's, which have one role under whatever names; they are matched with each
    other and with no other token. Raises `VocabularyMismatchError` when no token is shared.
    """
    end_expert, end_amateur = ends_of_turn
    amateur_of = {
        index: amateur[token]
        for token, index in expert.items()
        if token in amateur and index != end_expert and amateur[token] != end_amateur
    }
    amateur_of[end_expert] = end_amateur
    # Where several strings have one id, that id is matched once.
    expert_of = {theirs: ours for ours, theirs in sorted(amateur_of.items(), reverse=True)}
    shared = sorted(
        (ours, theirs) for theirs, ours in expert_of.items() if ours < expert_rows and theirs < amateur_rows
    )
    if not shared:
        raise VocabularyMismatchError("expert and amateur do not share a single token")
    expert_ids, amateur_ids = np.array(shared, dtype=np.int64).T
    return Alignment(
        own_vocabulary(expert, expert_rows), own_vocabulary(amateur, amateur_rows), expert_ids, amateur_ids
    )
