"""The models of a run, loaded when first needed and at most once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.models.source import LocatedModel
from lrbench.recipe.schema import Runtime

if TYPE_CHECKING:
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.generation import Engine
    from lrbench.sampling.scoring import LoadedPair


class Workspace:
    """Expert, amateur, tokenizer and vocabularies of one recipe; torch is imported on first use."""

    def __init__(self, expert: LocatedModel, amateur: LocatedModel | None, runtime: Runtime) -> None:
        self.expert_source = expert
        self.amateur_source = amateur
        self.runtime = runtime

    @cached_property
    def device(self) -> Any:
        """Where models live; also makes torch deterministic and sets its threads."""
        import torch

        from lrbench.models.loading import choose_device

        torch.use_deterministic_algorithms(True, warn_only=True)
        if self.runtime.threads is not None:
            torch.set_num_threads(self.runtime.threads)
        return choose_device(self.runtime.device)

    @cached_property
    def tokenizer(self) -> Any:
        """The expert's tokenizer."""
        from lrbench.models.loading import load_tokenizer

        return load_tokenizer(self.expert_source)

    @cached_property
    def stop_ids(self) -> list[int]:
        """Token ids that end the expert's turn."""
        from lrbench.models.loading import stop_token_ids

        return stop_token_ids(self.tokenizer)

    @cached_property
    def expert(self) -> Any:
        """The expert without any adapter."""
        return self._load(self.expert_source)

    @cached_property
    def vocabulary(self) -> SharedVocabulary:
        """The expert's own vocabulary, without padding rows."""
        from lrbench.models.loading import output_rows
        from lrbench.models.vocabulary import own_vocabulary

        return own_vocabulary(self.tokenizer.get_vocab(), output_rows(self.expert_source))

    @cached_property
    def shared_vocabulary(self) -> SharedVocabulary:
        """The vocabulary of the pair; raises `VocabularyMismatchError` when it is not shared."""
        from lrbench.models.loading import load_tokenizer, output_rows
        from lrbench.models.vocabulary import prove_shared_vocabulary

        assert self.amateur_source is not None
        return prove_shared_vocabulary(
            self.tokenizer.get_vocab(),
            output_rows(self.expert_source),
            load_tokenizer(self.amateur_source).get_vocab(),
            output_rows(self.amateur_source),
        )

    @cached_property
    def pair(self) -> LoadedPair:
        """Both models and their shared vocabulary."""
        from lrbench.sampling.scoring import LoadedPair

        assert self.amateur_source is not None
        return LoadedPair(self.expert, self._load(self.amateur_source), self.shared_vocabulary)

    @contextmanager
    def expert_with(self, adapter: Path | None) -> Iterator[Any]:
        """The expert with the adapter of a folder applied, or as it is for None."""
        if adapter is None:
            yield self.expert
            return
        from lrbench.training.adapters import load_adapter

        adapted = load_adapter(self.expert, adapter)
        try:
            yield adapted
        finally:
            self.detach(adapted)

    def detach(self, adapted: Any) -> None:
        """Give the expert back as it was before an adapter was attached."""
        self.__dict__["expert"] = adapted.unload()

    def engine(self, model: Any) -> Engine:
        """What completes prompts with `model`: the expert, with or without an adapter."""
        from lrbench.sampling.generation import Engine

        return Engine(model, self.vocabulary, self.stop_ids, self.runtime.batch_size)

    def _load(self, source: LocatedModel) -> Any:
        from lrbench.models.forward import check_output_layer
        from lrbench.models.loading import load_model

        model = load_model(source, self.device)
        check_output_layer(model, source.name)
        return model
