"""What an amateur with a tokenizer of its own reads where the expert reads a rollout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lrbench.errors import ModelError
from lrbench.models.alignment import Alignment
from lrbench.models.prompt import render_prompt
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.token_texts import REPLACEMENT

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer


@dataclass(frozen=True)
class Reading:
    """Token ids that a model reads, and for each step the position whose hidden state predicts it.

    Nothing after the last of `positions` is read.
    """

    token_ids: tuple[int, ...]
    positions: tuple[int, ...]


def own_reading(rollout: Rollout) -> Reading:
    """A rollout as the model reads it whose token ids it has.

    Step t is predicted at the last token before it: position len(prompt) - 1 + t.
    """
    first = len(rollout.prompt_ids) - 1
    return Reading(rollout.token_ids[:-1], tuple(range(first, first + rollout.steps)))


@dataclass(frozen=True)
class Translator:
    """Turns the expert's rollouts into what the amateur reads."""

    alignment: Alignment
    expert: Tokenizer
    amateur: Tokenizer

    def reading(self, rollout: Rollout, problem: str, system_prompt: str | None) -> Reading:
        """The problem in the amateur's own chat template, then the completion token by token.

        A token that is not shared is read as the amateur's tokens for its text, and the next step is
        predicted after the last of them. Raises `ModelError` for a token that the amateur cannot read.
        """
        ids = render_prompt(self.amateur, problem, system_prompt)
        positions = []
        for token in rollout.completion_ids:
            positions.append(len(ids) - 1)
            ids.extend(self._amateur_ids(token))
        return Reading(tuple(ids[: positions[-1] + 1]), tuple(positions))

    def _amateur_ids(self, token: int) -> tuple[int, ...]:
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._spelt(token)
        return found

    @cached_property
    def _known(self) -> dict[int, tuple[int, ...]]:
        shared = zip(self.alignment.expert_ids.tolist(), self.alignment.amateur_ids.tolist(), strict=True)
        return {ours: (theirs,) for ours, theirs in shared}

    def _spelt(self, token: int) -> tuple[int, ...]:
        """The amateur's tokens for the text of a token that is not shared."""
        text = self.expert.decode([token], clean_up_tokenization_spaces=False)
        if REPLACEMENT not in text:
            encoded: list[int] = self.amateur.encode(text, add_special_tokens=False)
            return tuple(encoded)
        # Part of a character: byte-level tokenizers have every byte as a token, written by the same letter.
        name = self.expert.convert_ids_to_tokens(token)
        pieces: list[int] = [self._amateur_vocabulary.get(letter, -1) for letter in name]
        if -1 in pieces or self.amateur.decode(pieces, clean_up_tokenization_spaces=False) != text:
            raise ModelError(
                f"the expert's token {token} ({name!r}) is a part of a character that the amateur's "
                "tokenizer cannot write; choose an amateur whose tokenizer is of the same kind"
            )
        return tuple(pieces)

    @cached_property
    def _amateur_vocabulary(self) -> dict[str, int]:
        vocabulary: dict[str, int] = self.amateur.get_vocab()
        return vocabulary
