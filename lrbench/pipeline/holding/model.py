"""One model of a run: its tokenizer, vocabulary and weights, each loaded when first needed and once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.models.source import LocatedModel, placed
from lrbench.models.turn_marks import TurnMarks, turn_marks
from lrbench.pipeline.holding.machine import Machine

if TYPE_CHECKING:
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.engines.base import TokenRules

# A folder of a whole model has it, one of an adapter has not.
CONFIG_NAME = "config.json"
# What the public scripts merge an adapter in.
MERGED_IN = "bfloat16"


class HeldModel:
    """A located model as far as it is loaded; `source` is where a plan found it.

    A model that a stage makes is not there before: `source` says what is known of it, `place` where it is.
    """

    def __init__(self, source: LocatedModel, machine: Machine) -> None:
        self.source = source
        self.machine = machine
        self._placed: LocatedModel | None = None
        self._adapter: Path | None = None
        self._weights: Any = None
        self._alike: dict[str, bool] = {}

    @property
    def located(self) -> LocatedModel:
        """The model, as a stage has placed it where it is made by one."""
        return self._placed or self.source

    def place(self, folder: Path) -> None:
        """Say where the model is that a stage has made."""
        self._placed = placed(self.source, folder)

    def check(self) -> None:
        """Find out before any work whether the model can be built and has an embedding for every token.

        Raises `ModelError` when it cannot. Loads its tokenizer and no weights.
        """
        from lrbench.models.loading import check_architecture, check_tokens

        check_architecture(self.source)
        check_tokens(self.source, self.tokenizer)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        from lrbench.models.loading import load_tokenizer

        return load_tokenizer(self.source)

    @property
    def turn_marks(self) -> TurnMarks:
        """What begins and ends a turn of the model."""
        return turn_marks(self.source)

    @property
    def rows(self) -> int:
        """Of the output layer, those of padding included."""
        from lrbench.models.loading import output_rows

        return output_rows(self.source)

    @cached_property
    def vocabulary(self) -> SharedVocabulary:
        """The model's own vocabulary, without padding rows."""
        from lrbench.models.vocabulary import own_vocabulary

        return own_vocabulary(self.tokenizer.get_vocab(), self.rows)

    def has_tokens_of(self, other: HeldModel) -> bool:
        """Whether every token id stands for the same token as in the other model."""
        from lrbench.errors import VocabularyMismatchError
        from lrbench.models.vocabulary import prove_shared_vocabulary

        if other.source.identity not in self._alike:
            try:
                prove_shared_vocabulary(
                    other.tokenizer.get_vocab(), other.rows, self.tokenizer.get_vocab(), self.rows
                )
                self._alike[other.source.identity] = True
            except VocabularyMismatchError:
                self._alike[other.source.identity] = False
        return self._alike[other.source.identity]

    @cached_property
    def token_rules(self) -> TokenRules:
        """What every engine has to know of the model's tokens."""
        from lrbench.models.loading import context_length
        from lrbench.sampling.engines.base import TokenRules

        rows = self.rows
        padding = range(self.vocabulary.size, rows)
        return TokenRules(
            stop_ids=self.turn_marks.stops,
            no_tokens=(*self.vocabulary.unused, *padding),
            context=context_length(self.source),
            rows=rows,
        )

    # Weights

    @property
    def weights(self) -> Any:
        """The loaded model as `adapt` has it, on the machine's device if it is loaded now."""
        return self.on(self.machine.device)

    def on(self, device: Any) -> Any:
        """The loaded model; it goes to `device` if it is loaded now."""
        if self._weights is None:
            weights = _load(self.located, device)
            if self._adapter is not None:
                from lrbench.training.adapters import load_adapter

                # The model itself, whose modules are adapted now: PEFT's wrapper has no hidden states.
                weights = load_adapter(weights, self._adapter).get_base_model()
            self._weights = weights
        return self._weights

    @property
    def held(self) -> list[Any]:
        """The loaded model, where it is loaded."""
        return [] if self._weights is None else [self._weights]

    def release(self) -> None:
        """Free the memory of the weights; they are loaded again should they be needed."""
        self._weights = None

    @contextmanager
    def with_adapter(self, adapter: Path | None, merged: bool = False) -> Iterator[Any]:
        """The loaded model with the adapter of a folder applied, or as it is for None.

        `merged` has it merged into weights of bfloat16, which are then those of a model of their own. Where
        the folder holds a whole model, which the expert became by a change of its weights, it is that one.
        """
        if adapter is None:
            yield self.weights
            return
        if (adapter / CONFIG_NAME).exists():
            self.release()
            yield _load(placed(self.source, adapter), self.machine.device)
            return
        if merged:
            # Two models of this size need not fit beside each other.
            self.release()
            yield _merged(self.located, adapter, self.machine.device)
            return
        from lrbench.training.adapters import load_adapter

        adapted = load_adapter(self.weights, adapter)
        try:
            yield adapted
        finally:
            self.detach(adapted)

    def adapt(self, adapter: Path) -> None:
        """Have the model loaded with the adapter of a folder applied; it must not be loaded without it."""
        self._adapter = adapter

    def detach(self, adapted: Any) -> None:
        """Have the loaded model back as it was before an adapter was attached."""
        self._weights = adapted.unload()


def _merged(source: LocatedModel, adapter: Path, device: Any) -> Any:
    """The model in bfloat16 with an adapter merged into it, then in the dtype that it is measured in."""
    import torch

    from lrbench.models.loading import load_model
    from lrbench.training.adapters import merge_adapter

    merged = merge_adapter(load_model(replace(source, dtype=MERGED_IN), device), adapter)
    return merged.to(getattr(torch, source.dtype))


def _load(source: LocatedModel, device: Any) -> Any:
    from lrbench.models.forward import check_output_layer
    from lrbench.models.loading import load_model

    model = load_model(source, device)
    check_output_layer(model, source.name)
    return model
