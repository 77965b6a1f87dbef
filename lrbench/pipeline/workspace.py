"""The models of a run, loaded when first needed and at most once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.models.source import LocatedModel, placed
from lrbench.models.turn_marks import TurnMarks, end_of_turn, turn_marks
from lrbench.recipe.schema import EngineChoice, Runtime
from lrbench.sampling.engines.padding import Padding
from lrbench.store.artifact import Artifact

if TYPE_CHECKING:
    from lrbench.models.alignment import Alignment
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.engines.base import Engine, TokenRules
    from lrbench.sampling.engines.canary import Scoring
    from lrbench.sampling.engines.server import ServedModel
    from lrbench.sampling.engines.vllm import VllmModel
    from lrbench.sampling.reading import Translator
    from lrbench.sampling.scoring import LoadedPair

logger = logging.getLogger(__name__)


class Workspace:
    """Expert, amateur, tokenizer and vocabularies of one recipe; torch is imported on first use."""

    def __init__(
        self,
        expert: LocatedModel,
        amateur: LocatedModel | None,
        runtime: Runtime,
        largest_rank: int = 0,
    ) -> None:
        """`largest_rank` is that of the adapters an engine has to make room for."""
        self.expert_source = expert
        self.amateur_source = amateur
        self.runtime = runtime
        self.largest_rank = largest_rank
        self._padding = Padding()
        self._placed_amateur: LocatedModel | None = None
        self._servers: dict[EngineChoice, ServedModel] = {}
        self._read: dict[str, tuple[str, Any]] = {}

    @cached_property
    def device(self) -> Any:
        """Where models live; also makes torch deterministic and sets its threads.

        Raises `FieldError` when the machine has no such device, or too few for the training processes.
        """
        import torch

        from lrbench.models.loading import choose_device
        from lrbench.pipeline.cuda import beyond, usable_devices

        torch.use_deterministic_algorithms(True, warn_only=True)
        if self.runtime.threads is not None:
            torch.set_num_threads(self.runtime.threads)
        device = choose_device(self.runtime.device)
        missing = beyond(self.runtime, usable_devices()) if device.type == "cuda" else None
        if missing is not None:
            raise missing
        return device

    @property
    def hardware(self) -> dict[str, str]:
        """What the work runs on."""
        import torch

        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {"device": name, "threads": str(torch.get_num_threads())}

    @property
    def memory_held(self) -> dict[str, str]:
        """What is on the GPU now, and what of it are the models loaded: after a stage, all but a little."""
        from lrbench.models.memory import held_on_gpu

        loaded = [self.__dict__[name] for name in ("expert", "amateur") if name in self.__dict__]
        return held_on_gpu(self.device, loaded)

    @cached_property
    def tokenizer(self) -> Any:
        """The expert's tokenizer."""
        from lrbench.models.loading import load_tokenizer

        return load_tokenizer(self.expert_source)

    @property
    def turn_marks(self) -> TurnMarks:
        """What begins and ends a turn of the expert."""
        return turn_marks(self.expert_source)

    @cached_property
    def expert(self) -> Any:
        """The expert without any adapter."""
        return self._load(self.expert_source, self.device)

    @cached_property
    def vocabulary(self) -> SharedVocabulary:
        """The expert's own vocabulary, without padding rows."""
        from lrbench.models.loading import output_rows
        from lrbench.models.vocabulary import own_vocabulary

        return own_vocabulary(self.tokenizer.get_vocab(), output_rows(self.expert_source))

    @cached_property
    def shared_vocabulary(self) -> SharedVocabulary:
        """The vocabulary of the pair; raises `VocabularyMismatchError` when it is not shared.

        An amateur that is derived has the expert's own tokenizer, so before it is there too it is known.
        """
        from lrbench.models.loading import output_rows
        from lrbench.models.vocabulary import prove_shared_vocabulary

        assert self.amateur_source is not None
        if not self.amateur_source.here:
            return self.vocabulary
        return prove_shared_vocabulary(
            self.tokenizer.get_vocab(),
            output_rows(self.expert_source),
            self.amateur_tokenizer.get_vocab(),
            output_rows(self.amateur_source),
        )

    @cached_property
    def amateur_tokenizer(self) -> Any:
        """The amateur's tokenizer; that of one that is yet to be derived is the expert's."""
        from lrbench.models.loading import load_tokenizer

        assert self.amateur_source is not None
        return load_tokenizer(self.amateur_source) if self.amateur_source.here else self.tokenizer

    @cached_property
    def alignment(self) -> Alignment:
        """The tokens that the pair shares whatever their ids; raises `VocabularyMismatchError` for none."""
        from lrbench.models.alignment import align_tokens
        from lrbench.models.loading import output_rows

        assert self.amateur_source is not None
        amateur = self.amateur_source if self.amateur_source.here else self.expert_source
        return align_tokens(
            self.tokenizer.get_vocab(),
            output_rows(self.expert_source),
            self.amateur_tokenizer.get_vocab(),
            output_rows(amateur),
            (end_of_turn(self.expert_source), end_of_turn(amateur)),
        )

    @cached_property
    def translator(self) -> Translator:
        """What turns the expert's rollouts into what an aligned amateur reads."""
        from lrbench.sampling.reading import Translator

        return Translator(self.alignment, self.tokenizer, self.amateur_tokenizer)

    @cached_property
    def amateur(self) -> Any:
        """The amateur, until it is released; on the CPU where the pair takes turns on its device."""
        import torch

        device = torch.device("cpu") if self.takes_turns else self.device
        return self._load(self._amateur_here, device)

    @cached_property
    def takes_turns(self) -> bool:
        """Whether the device is too small for both models and the work of scoring.

        Loads the expert, so that what is left beside it is known; holds until the amateur is released.
        """
        _ = self.expert
        if self.device.type == "cpu":
            return False
        from lrbench.models.memory import free_bytes
        from lrbench.pipeline.turns import fits_beside

        free = free_bytes(self.device)
        if fits_beside(self.expert_source, self._amateur_here, free):
            return False
        logger.warning(
            "%s does not fit beside %s in the %.1f GiB left on %s: they take turns there, which takes longer",
            self._amateur_here.name,
            self.expert_source.name,
            free / 2**30,
            self.device,
        )
        return True

    @property
    def _amateur_here(self) -> LocatedModel:
        """The amateur, as a stage has placed it where it is derived."""
        assert self.amateur_source is not None
        return self._placed_amateur or self.amateur_source

    @property
    def pair(self) -> LoadedPair:
        """Both models and their shared vocabulary."""
        from lrbench.sampling.scoring import LoadedPair

        amateur = self.amateur
        return LoadedPair(self.expert, amateur, self.shared_vocabulary, takes_turns=self.takes_turns)

    @property
    def aligned_pair(self) -> LoadedPair:
        """Both models and the tokens that they share."""
        from lrbench.sampling.scoring import LoadedPair

        amateur = self.amateur
        return LoadedPair(self.expert, amateur, self.vocabulary, self.alignment, self.takes_turns)

    def place_amateur(self, folder: Path) -> None:
        """Say where the amateur is that a stage has derived."""
        assert self.amateur_source is not None
        self._placed_amateur = placed(self.amateur_source, folder)

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

    def read_once(self, artifact: Artifact, read: Callable[[Artifact], Any]) -> Any:
        """What `read` gives for the artifact, kept until another one of its stage is read.

        A sweep reads the same scores for every one of its points.
        """
        key, value = self._read.get(artifact.stage, ("", None))
        if key != artifact.key:
            value = read(artifact)
            self._read[artifact.stage] = artifact.key, value
        return value

    def release_amateur(self) -> None:
        """Free the amateur's memory; it is loaded again should more be scored."""
        self.__dict__.pop("amateur", None)
        self.__dict__.pop("takes_turns", None)

    def count_padding(self) -> Padding:
        """What engines of this process compute from now on, until it is counted anew."""
        self._padding = Padding()
        return self._padding

    def check_expert(self) -> None:
        """Find out before any work whether the expert can be built and has an embedding for every token.

        Raises `ModelError` when it cannot. Loads its tokenizer and no weights.
        """
        from lrbench.models.loading import check_architecture, check_tokens

        check_architecture(self.expert_source)
        check_tokens(self.expert_source, self.tokenizer)

    def check_amateur(self) -> None:
        """The same of an amateur that is not yet to be derived."""
        from lrbench.models.loading import check_architecture, check_tokens

        if self.amateur_source is not None and self.amateur_source.here:
            check_architecture(self.amateur_source)
            check_tokens(self.amateur_source, self.amateur_tokenizer)

    def check_engine(self, choice: EngineChoice) -> None:
        """Find out before any work whether an engine is there. Raises `UserError` when it is not."""
        if choice.name == "vllm":
            from lrbench.sampling.engines.vllm import require_vllm

            require_vllm()
        elif choice.name == "server":
            self._server(choice)

    @contextmanager
    def engine(self, choice: EngineChoice, adapter: Path | None = None) -> Iterator[Engine]:
        """What completes prompts with the expert, or with the expert and the adapter of a folder.

        Raises `RunError` when the adapter turns out to change nothing, `ModelError` when a server runs
        another model.
        """
        if choice.name == "hf":
            from lrbench.sampling.engines.transformers import TransformersEngine

            with self.expert_with(adapter) as model:
                yield TransformersEngine(model, self.token_rules, self.runtime.batch_size, self._padding)
        elif choice.name == "vllm":
            engine = self._vllm.engine(adapter)
            if adapter is not None:
                self._prove_adapter(self._vllm.engine(None), engine, adapter)
            yield engine
        else:
            with self._served(choice, adapter) as served:
                yield served

    @cached_property
    def token_rules(self) -> TokenRules:
        """What every engine has to know of the expert's tokens."""
        from lrbench.models.loading import context_length, output_rows
        from lrbench.sampling.engines.base import TokenRules

        rows = output_rows(self.expert_source)
        padding = range(self.vocabulary.size, rows)
        return TokenRules(
            stop_ids=self.turn_marks.stops,
            no_tokens=(*self.vocabulary.unused, *padding),
            context=context_length(self.expert_source),
            rows=rows,
        )

    @cached_property
    def _vllm(self) -> VllmModel:
        from lrbench.sampling.engines.vllm import VllmModel

        return VllmModel(self.expert_source, self.token_rules, self.runtime.batch_size, self.largest_rank)

    def _server(self, choice: EngineChoice) -> ServedModel:
        from lrbench.sampling.engines.server import ServedModel

        if choice not in self._servers:
            self._servers[choice] = ServedModel(choice, self.runtime.batch_size)
        return self._servers[choice]

    @contextmanager
    def _served(self, choice: EngineChoice, adapter: Path | None) -> Iterator[Engine]:
        """A server's model, once it has proven that it computes what this process computes."""
        from lrbench.sampling.engines.canary import prove_same_model

        server = self._server(choice)
        base = server.engine(self.token_rules)
        with nullcontext(base) if adapter is None else server.adapted(self.token_rules, adapter) as engine:
            if adapter is not None:
                self._prove_adapter(base, engine, adapter)
            with self.expert_with(adapter) as model:
                prove_same_model(engine, model, self._probe, str(choice.url), self.expert_source.dtype)
            yield engine

    def _prove_adapter(self, base: Scoring, adapted: Scoring, adapter: Path) -> None:
        from lrbench.sampling.engines.canary import prove_adapter_counts
        from lrbench.training.adapters import changes_model

        if changes_model(adapter):
            prove_adapter_counts(base, adapted, self._probe, str(adapter))

    @cached_property
    def _probe(self) -> list[int]:
        from lrbench.sampling.engines.canary import probe_ids

        return probe_ids(self.tokenizer)

    def _load(self, source: LocatedModel, device: Any) -> Any:
        from lrbench.models.forward import check_output_layer
        from lrbench.models.loading import load_model

        model = load_model(source, device)
        check_output_layer(model, source.name)
        return model
