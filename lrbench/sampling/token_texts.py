"""What the token ids of an artifact read as, kept beside them: looking into steps needs no tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

TOKENS_FILE = "tokens.json"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def token_texts(tokenizer: Tokenizer, token_ids: Iterable[int]) -> dict[int, str]:
    """Token id -> its text. A token that is part of a character reads as the tokenizer's own name for it."""
    texts = {}
    for token in sorted(set(token_ids)):
        text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        if REPLACEMENT in text or not text:
            text = tokenizer.convert_ids_to_tokens(token)
        texts[token] = str(text)
    return texts


def ids_of(rollouts: Iterable[Rollout], scores: Scores) -> set[int]:
    """Every token id that these rollouts and their scores name."""
    named = (scores.support_ids, scores.top1_expert, scores.top1_amateur)
    found = {int(token) for ids in named for token in np.unique(ids)}
    return found.union(*(rollout.token_ids for rollout in rollouts))


def write_token_texts(path: Path, texts: dict[int, str]) -> None:
    """Write the texts as one JSON object."""
    path.write_text(json.dumps(texts, ensure_ascii=False, indent=0), encoding="utf-8")


def read_token_texts(path: Path) -> dict[int, str]:
    """Read the texts back."""
    return {int(token): text for token, text in json.loads(path.read_text(encoding="utf-8")).items()}
