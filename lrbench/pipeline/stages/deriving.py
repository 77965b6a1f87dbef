"""The stage that makes an amateur out of the expert, for experts without a smaller sibling."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from lrbench.errors import FieldError
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.estimating.shapes import layers_of
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.checking import About, Check
from lrbench.pipeline.stages.rollouts import GreedyRollouts, read_artifact_rollouts
from lrbench.pipeline.stages.saving import Saves
from lrbench.pipeline.stages.tasks import FirstLayers, Known, Learning, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.recipe.schema import Derivation
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.files import writing_errors

CURVE_FILE = "divergence.json"
FIELD = ("pair", "amateur", "derive", "layers")
# Of one update.
ROLLOUTS_PER_UPDATE = 4


@dataclass(frozen=True)
class DerivedAmateur(Stage):
    """A model folder: the expert's first layers, distilled on the expert's greedy rollouts."""

    name: ClassVar[str] = "derive"
    version: ClassVar[int] = 1

    expert: LocatedModel
    rollouts: GreedyRollouts
    derivation: Derivation

    @property
    def label(self) -> str:
        """For people."""
        return f"amateur of the first {self.derivation.layers} layers of {model_name(self.expert.name)}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, and everything that the recipe says of the derivation."""
        return {
            "expert": model_identity(self.expert),
            "derivation": self.derivation.model_dump(mode="json"),
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """What the amateur learns from."""
        return {"rollouts": self.rollouts}

    @property
    def size(self) -> int:
        """Updates."""
        return self.derivation.distill_updates

    def amateur(self, name: str, dtype: str) -> LocatedModel:
        """The model that the stage makes, known by the stage's key before it is there."""
        attention = self.expert.attention
        return LocatedModel(name, Path(), f"derived:{self.key}", dtype, (), here=False, attention=attention)

    @property
    def model_made(self) -> FirstLayers:
        """The amateur."""
        return FirstLayers(self.amateur("", "").identity, self.expert, self.derivation.layers)

    def check_files(self) -> None:
        """Whether the expert has more layers than are kept."""
        layers = layers_of(self.expert)
        if layers is not None:
            self._check_layers(layers)

    def checks(self, workspace: Workspace) -> Iterator[Check]:
        """Also whether the first layers can be taken out of the expert."""
        yield from super().checks(workspace)

        def check() -> None:
            from lrbench.models.deriving import derivable_layers

            self._check_layers(derivable_layers(self.expert))

        yield Check(About.LAYERS, self.derivation.layers, check)

    def _check_layers(self, layers: int) -> None:
        kept = self.derivation.layers
        if kept >= layers:
            raise FieldError(
                FIELD, kept, f"found {kept}, allowed is less than the {layers} of {self.expert.name}"
            )

    def task(self, known: Known) -> Task:
        """About what training the expert costs: the expert is read, and fewer layers learn."""
        _, steps = self.rollouts.expected(known)
        return Learning(self.expert, self.size, ROLLOUTS_PER_UPDATE, steps, ROLLOUTS_PER_UPDATE * steps)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Distil, saving every few updates, and commit a model folder with the expert's tokenizer."""
        from lrbench.models.deriving import keep_layers
        from lrbench.training.distilling import distill

        derivation = self.derivation
        saves = Saves(draft)
        student = keep_layers(workspace.expert.weights, derivation.layers)
        distilled = distill(
            workspace.expert.weights,
            student,
            workspace.expert.vocabulary,
            read_artifact_rollouts(inputs["rollouts"]),
            updates=derivation.distill_updates,
            learning_rate=derivation.learning_rate,
            seed=derivation.seed,
            updates_between_saves=workspace.runtime.updates_between_saves,
            save=saves.save,
            resume=saves.resume(progress),
            progress=lambda _update, measured: progress.advance(
                1, note=f"KL {measured['loss']:.3f}", divergence=measured["loss"]
            ),
        )
        curve = json.dumps(distilled.divergence)
        draft.commit(CURVE_FILE, lambda path: path.write_text(curve), saves.unaccounted(distilled.seconds))
        with TemporaryDirectory() as folder, writing_errors(Path(folder, "model")):
            student.save_pretrained(folder)
            workspace.expert.tokenizer.save_pretrained(folder)
            for source in sorted(Path(folder).iterdir()):
                draft.commit(source.name, partial(shutil.copyfile, source))
        saves.discard()
        return {
            "derived_divergence_first": distilled.divergence[0][1],
            "derived_divergence_last": distilled.divergence[-1][1],
        }
