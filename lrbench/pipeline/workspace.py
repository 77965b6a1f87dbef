"""Where the stages of one pair of models work: its models, engines and what was read, each had once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from lrbench.models.source import LocatedModel
from lrbench.pipeline.holding.answering import KeptAnswering
from lrbench.pipeline.holding.engines import Engines
from lrbench.pipeline.holding.machine import Machine
from lrbench.pipeline.holding.model import HeldModel
from lrbench.pipeline.holding.pair import Pair
from lrbench.recipe.schema import Runtime
from lrbench.store.artifact import Artifact


class Workspace:
    """The machine, the expert, the pair and the engines of one recipe; torch is imported on first use."""

    def __init__(
        self,
        expert: LocatedModel,
        amateur: LocatedModel | None,
        runtime: Runtime,
        largest_rank: int = 0,
    ) -> None:
        """`largest_rank` is that of the adapters an engine has to make room for."""
        self.sources = expert, amateur
        self.runtime = runtime
        self.machine = Machine(runtime)
        self.expert = HeldModel(expert, self.machine)
        self.engines = Engines(self.expert, largest_rank)
        self.answering = KeptAnswering()
        self._beside: dict[tuple[LocatedModel, Path | None], HeldModel] = {}
        self._read: dict[str, tuple[str, Any]] = {}

    @cached_property
    def pair(self) -> Pair:
        """The expert with its amateur, for stages that read both."""
        amateur = self.sources[1]
        assert amateur is not None
        return Pair(self.expert, HeldModel(amateur, self.machine))

    def pair_of(
        self,
        first: LocatedModel,
        second: LocatedModel,
        adapters: tuple[Path | None, Path | None] = (None, None),
    ) -> Pair:
        """Two models of the recipe as a pair, each with the adapter of a folder, or None.

        That of expert and amateur, without any, is the recipe's own.
        """
        if (first, second) == self.sources and adapters == (None, None):
            return self.pair
        return Pair(self.held(first, adapters[0]), self.held(second, adapters[1]))

    def held(self, source: LocatedModel, adapter: Path | None = None) -> HeldModel:
        """A model of the recipe as it is loaded, by itself or with the adapter of a folder on."""
        if adapter is not None:
            held = self.beside(source, adapter)
            held.adapt(adapter)
            return held
        if source == self.expert.source:
            return self.expert
        return self.pair.amateur if source == self.sources[1] else self.beside(source)

    def let_go(self, source: LocatedModel) -> None:
        """Free the memory of a model beside the expert; it is loaded again should it be needed."""
        if source == self.sources[1]:
            self.pair.release_amateur()
        elif source != self.expert.source:
            self.held(source).release()

    def beside(self, source: LocatedModel, folder: Path | None = None) -> HeldModel:
        """Another model than the expert by itself, or in the state that the stage of a folder has made."""
        return self._beside.setdefault((source, folder), HeldModel(source, self.machine))

    def hold_beside(self, wanted: Iterable[tuple[LocatedModel, Path | None]]) -> None:
        """Free the memory of all models beside the expert but the `wanted` ones."""
        for key in self._beside.keys() - set(wanted):
            self._beside.pop(key).release()

    def weights_beside(self, source: LocatedModel, folder: Path | None) -> Any:
        """The loaded model, with the adapter of the folder, or from it where a stage has made the model."""
        held = self.beside(source, folder)
        if folder is not None:
            if source.here:
                held.adapt(folder)
            else:
                held.place(folder)
        return held.weights

    @property
    def memory_held(self) -> dict[str, str]:
        """What is on the GPU now, and what of it are the models loaded: after a stage, all but a little."""
        from lrbench.models.memory import held_on_gpu

        amateur = [] if self.sources[1] is None else self.pair.amateur.held
        beside = [model for held in self._beside.values() for model in held.held]
        return held_on_gpu(self.machine.device, [*self.expert.held, *amateur, *beside])

    def read_once(self, artifact: Artifact, read: Callable[[Artifact], Any]) -> Any:
        """What `read` gives for the artifact, kept until another one of its stage is read.

        A sweep reads the same scores for every one of its points.
        """
        key, value = self._read.get(artifact.stage, ("", None))
        if key != artifact.key:
            value = read(artifact)
            self._read[artifact.stage] = artifact.key, value
        return value
