"""Prefixes decoded and tokenised again, as the public scripts do: the same text, perhaps other tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lrbench.sampling.rollouts import Rollout

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer


def retokenised(tokenizer: Tokenizer, rollout: Rollout, step: int) -> tuple[int, ...]:
    """The token ids of prompt and completion before `step`, written out and read again as one text."""
    prefix = rollout.completion_ids[:step]
    text = tokenizer.decode(list(rollout.prompt_ids)) + tokenizer.decode(list(prefix))
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def respelt(
    tokenizer: Tokenizer, steps: Iterable[tuple[Rollout, int]]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Of `steps`, each a rollout and a step of it, those whose prefix reads otherwise: place and new ids."""
    for place, (rollout, step) in enumerate(steps):
        ids = retokenised(tokenizer, rollout, step)
        if ids != rollout.token_ids[: len(rollout.prompt_ids) + step]:
            yield place, ids
