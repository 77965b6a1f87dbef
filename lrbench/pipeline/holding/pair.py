"""The pair of a run: what its models share, and both of them loaded for scoring."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrbench.models.turn_marks import end_of_turn
from lrbench.pipeline.holding.model import HeldModel

if TYPE_CHECKING:
    from lrbench.models.alignment import Alignment
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.reading import Translator
    from lrbench.sampling.scoring import LoadedPair

logger = logging.getLogger(__name__)


class Pair:
    """Expert and amateur. An amateur that is yet to be derived has the expert's tokenizer and vocabulary."""

    def __init__(self, expert: HeldModel, amateur: HeldModel) -> None:
        self.expert = expert
        self.amateur = amateur

    @property
    def _tokens_of_amateur(self) -> HeldModel:
        """The model whose tokens the amateur has."""
        return self.amateur if self.amateur.source.here else self.expert

    def check_amateur(self) -> None:
        """Find out before any work whether the amateur can be built, unless it is yet to be derived.

        Raises `ModelError` when it cannot.
        """
        self._tokens_of_amateur.check()

    @property
    def tokenizers(self) -> tuple[Any, Any]:
        """Of the expert and of the amateur."""
        return self.expert.tokenizer, self._tokens_of_amateur.tokenizer

    @cached_property
    def shared_vocabulary(self) -> SharedVocabulary:
        """The vocabulary of the pair; raises `VocabularyMismatchError` when it is not shared."""
        from lrbench.models.vocabulary import prove_shared_vocabulary

        if not self.amateur.source.here:
            return self.expert.vocabulary
        expert, amateur = self.tokenizers
        return prove_shared_vocabulary(
            expert.get_vocab(), self.expert.rows, amateur.get_vocab(), self.amateur.rows
        )

    @cached_property
    def alignment(self) -> Alignment:
        """The tokens that the pair shares whatever their ids; raises `VocabularyMismatchError` for none."""
        from lrbench.models.alignment import align_tokens

        expert, amateur = self.tokenizers
        other = self._tokens_of_amateur
        return align_tokens(
            expert.get_vocab(),
            self.expert.rows,
            amateur.get_vocab(),
            other.rows,
            (end_of_turn(self.expert.source), end_of_turn(other.source)),
        )

    @cached_property
    def translator(self) -> Translator:
        """What turns the expert's rollouts into what an aligned amateur reads."""
        from lrbench.sampling.reading import Translator

        return Translator(self.alignment, *self.tokenizers)

    @property
    def loaded(self) -> LoadedPair:
        """Both models and their shared vocabulary."""
        from lrbench.sampling.scoring import LoadedPair

        amateur = self._loaded_amateur
        return LoadedPair(self.expert.weights, amateur, self.shared_vocabulary, takes_turns=self.takes_turns)

    @property
    def loaded_aligned(self) -> LoadedPair:
        """Both models and the tokens that they share."""
        from lrbench.sampling.scoring import LoadedPair

        amateur = self._loaded_amateur
        return LoadedPair(
            self.expert.weights, amateur, self.expert.vocabulary, self.alignment, self.takes_turns
        )

    @property
    def _loaded_amateur(self) -> Any:
        """The amateur; on the CPU where the pair takes turns on its device."""
        import torch

        return self.amateur.on(torch.device("cpu") if self.takes_turns else self.amateur.machine.device)

    @cached_property
    def takes_turns(self) -> bool:
        """Whether the device is too small for both models and the work of scoring.

        Loads the expert, so that what is left beside it is known; holds until the amateur is released.
        """
        _ = self.expert.weights
        device = self.expert.machine.device
        if device.type == "cpu":
            return False
        from lrbench.models.memory import free_bytes
        from lrbench.pipeline.turns import fits_beside

        free = free_bytes(device)
        if fits_beside(self.expert.source, self.amateur.located, free):
            return False
        logger.warning(
            "%s does not fit beside %s in the %.1f GiB left on %s: they take turns there, which takes longer",
            self.amateur.located.name,
            self.expert.source.name,
            free / 2**30,
            device,
        )
        return True

    def release_amateur(self) -> None:
        """Free the amateur's memory; it is loaded again should more be scored."""
        self.amateur.release()
        self.__dict__.pop("takes_turns", None)
