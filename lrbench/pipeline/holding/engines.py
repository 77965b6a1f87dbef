"""The engines of a run: what completes prompts with its expert, adapted or not, proven to run that model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.pipeline.holding.model import HeldModel
from lrbench.recipe.schema import EngineChoice
from lrbench.sampling.engines.padding import Padding

if TYPE_CHECKING:
    from lrbench.sampling.engines.base import Engine
    from lrbench.sampling.engines.canary import Scoring
    from lrbench.sampling.engines.server import ServedModel, ServerEngine
    from lrbench.sampling.engines.transformers import TransformersEngine
    from lrbench.sampling.engines.vllm import VllmModel


class Engines:
    """Engines of one model; those of `vllm` and `server` stay for all that is asked of them."""

    def __init__(self, model: HeldModel, largest_rank: int = 0) -> None:
        """`largest_rank` is that of the adapters an engine has to make room for."""
        self.model = model
        self.largest_rank = largest_rank
        self._batch_size = model.machine.runtime.batch_size
        self._padding = Padding()
        self._servers: dict[tuple[str, str | None], ServedModel] = {}

    @property
    def padding(self) -> Padding:
        """What is counted now."""
        return self._padding

    def count_padding(self) -> Padding:
        """What engines of this process compute from now on, until it is counted anew."""
        self._padding = Padding()
        return self._padding

    def in_a_queue(self, choice: EngineChoice) -> bool:
        """Whether prompts of the next shard take the places that become free."""
        machine = self.model.machine
        return machine.runtime.in_a_queue(choice, on_cpu=machine.device.type != "cuda")

    def check(self, choice: EngineChoice) -> None:
        """Find out before any work whether an engine is there. Raises `UserError` when it is not."""
        if choice.name == "vllm":
            from lrbench.sampling.engines.vllm import require_vllm

            require_vllm()
        elif choice.name == "server":
            for address in choice.addresses:
                self._served_at(address, choice.served_as)

    @contextmanager
    def open(
        self,
        choice: EngineChoice,
        adapter: Path | None = None,
        *,
        stops: tuple[int, ...] | None = None,
        merged: bool = False,
        stop_repeats: int | None = None,
    ) -> Iterator[Engine]:
        """What completes prompts with the model, or with the model and the adapter of a folder.

        In this process, `stops` may end completions in place of what ends a turn of the model, and an adapter
        may be `merged` into weights of bfloat16. `stop_repeats` ends completions as rules have it. Raises
        `RunError` when the adapter turns out to change nothing, `ModelError` when a server runs another
        model.
        """
        if choice.name == "hf":
            with self.model.with_adapter(adapter, merged) as model:
                here = self.writing_with(model, stops)
                here.rules = replace(here.rules, stop_repeats=stop_repeats)
                yield here
        elif choice.name == "vllm":
            engine = self._vllm.engine(adapter)
            if adapter is not None:
                self._prove_adapter(self._vllm.engine(None), engine, adapter)
            engine.rules = replace(engine.rules, stop_repeats=stop_repeats)
            yield engine
        else:
            with self._served(choice, adapter) as served:
                served.rules = replace(served.rules, stop_repeats=stop_repeats)
                yield served

    def writing_with(self, model: Any, stops: tuple[int, ...] | None = None) -> TransformersEngine:
        """What completes prompts in this process with the model as it is now, such as one in training."""
        from lrbench.sampling.engines.transformers import TransformersEngine

        rules = self.model.token_rules
        rules = rules if stops is None else replace(rules, stop_ids=stops)
        return TransformersEngine(model, rules, self._batch_size, self._padding)

    @cached_property
    def _vllm(self) -> VllmModel:
        from lrbench.sampling.engines.vllm import VllmModel

        return VllmModel(
            self.model.source,
            self.model.token_rules,
            self._batch_size,
            self.largest_rank,
            self.model.machine.runtime.cuda_graphs,
            self.model.machine.runtime.tensor_parallel,
        )

    def _served_at(self, address: str, served_as: str | None) -> ServedModel:
        from lrbench.sampling.engines.server import ServedModel

        if (address, served_as) not in self._servers:
            self._servers[address, served_as] = ServedModel(address, served_as, self._batch_size)
        return self._servers[address, served_as]

    @contextmanager
    def _served(self, choice: EngineChoice, adapter: Path | None) -> Iterator[Engine]:
        """The model of all servers together, once each has proven that it computes what this process does."""
        from lrbench.sampling.engines.several_servers import SeveralServers

        with ExitStack() as stack:
            engines = [
                stack.enter_context(self._proven(self._served_at(address, choice.served_as), adapter))
                for address in choice.addresses
            ]
            yield engines[0] if len(engines) == 1 else SeveralServers(engines, self.model.token_rules)

    @contextmanager
    def _proven(self, server: ServedModel, adapter: Path | None) -> Iterator[ServerEngine]:
        from lrbench.sampling.engines.canary import prove_same_model

        rules = self.model.token_rules
        base = server.engine(rules)
        with nullcontext(base) if adapter is None else server.adapted(rules, adapter) as engine:
            if adapter is not None:
                self._prove_adapter(base, engine, adapter)
            with self.model.with_adapter(adapter) as model:
                prove_same_model(engine, model, self._probe, server.endpoint.url, self.model.source.dtype)
            yield engine

    def _prove_adapter(self, base: Scoring, adapted: Scoring, adapter: Path) -> None:
        from lrbench.sampling.engines.canary import prove_adapter_counts
        from lrbench.training.adapters import changes_model

        if changes_model(adapter):
            prove_adapter_counts(base, adapted, self._probe, str(adapter))

    @cached_property
    def _probe(self) -> list[int]:
        from lrbench.sampling.engines.canary import probe_ids

        return probe_ids(self.model.tokenizer)
