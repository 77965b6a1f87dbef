"""The stage that changes some of the expert's own weights, without any training."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.errors import RunError
from lrbench.methods.changes import Edit
from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.rollouts import GreedyRollouts, read_artifact_rollouts
from lrbench.pipeline.stages.tasks import Known, Scoring, Task
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.references import model_name
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.files import writing_errors

if TYPE_CHECKING:
    from lrbench.models.editing import Text
    from lrbench.sampling.rollouts import Rollout

# The sentences that stand for language in general.
GENERAL_TEXTS = 256


@dataclass(frozen=True)
class EditedModel(Stage):
    """A model folder: the expert with some weights changed by what it does on its own greedy rollouts."""

    name: ClassVar[str] = "edit"
    version: ClassVar[int] = 1

    expert: LocatedModel
    rollouts: GreedyRollouts
    edit: Edit

    @property
    def label(self) -> str:
        """For people."""
        return f"{model_name(self.expert.name)} edited ({self.edit.label})"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, and what is changed."""
        return {"expert": model_identity(self.expert), **self.edit.identity}

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """What the expert reads."""
        return {"rollouts": self.rollouts}

    @property
    def size(self) -> int:
        """One model."""
        return 1

    def task(self, known: Known) -> Task:
        """The expert reads the rollouts about twice, or once and as well what they are set against."""
        rollouts, steps = self.rollouts.expected(known)
        other = rollouts if self.edit.scaling is None else GENERAL_TEXTS
        return Scoring((self.expert,), rollouts + other, steps, 1)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Change the expert in memory, and commit it as a model folder with the expert's tokenizer."""
        rollouts = read_artifact_rollouts(inputs["rollouts"])
        model = workspace.expert.weights
        started = time.monotonic()
        try:
            statistics = self._edit(model, rollouts, workspace)
            seconds = time.monotonic() - started
            with TemporaryDirectory() as folder, writing_errors(Path(folder, "model")):
                model.save_pretrained(folder)
                workspace.expert.tokenizer.save_pretrained(folder)
                for source in sorted(Path(folder).iterdir()):
                    draft.commit(source.name, partial(shutil.copyfile, source), seconds)
                    seconds = 0.0
        finally:
            # What is in memory is not the expert any more.
            workspace.expert.release()
        progress.advance(1)
        return statistics

    def _edit(self, model: Any, rollouts: list[Rollout], workspace: Workspace) -> dict[str, Any]:
        from lrbench.models.editing import Text, project_heads, scale_weights

        texts = [Text(rollout.token_ids, len(rollout.prompt_ids)) for rollout in rollouts]
        scaling, projection = self.edit.scaling, self.edit.projection
        if scaling is not None:
            sets = {"train": texts, "general": list(_general(workspace.expert.tokenizer))}
            changed, total = scale_weights(
                model,
                sets[scaling.for_texts],
                sets[scaling.against],
                by=scaling.by,
                share=scaling.share,
                drawn=scaling.drawn,
            )
            return {"scaled_weights": changed, "weights_looked_at": total}
        assert projection is not None
        lengths = [len(text.ids) - text.begins for text in texts]
        short = [text for text, length in zip(texts, lengths, strict=True) if length < projection.short]
        long = [text for text, length in zip(texts, lengths, strict=True) if length > projection.long]
        if not short or not long:
            raise RunError(
                f"{self.label}: of {len(texts):,} rollouts {len(short):,} have less than {projection.short} "
                f"tokens and {len(long):,} more than {projection.long}, and both are needed; they have "
                f"{min(lengths, default=0)} to {max(lengths, default=0)}"
            )
        chosen = project_heads(model, short, long, projection.heads)
        return {
            "short_rollouts": len(short),
            "long_rollouts": len(long),
            "edited_heads": [list(place) for place in chosen],
        }


def _general(tokenizer: Any) -> Iterator[Text]:
    """Sentences that are not about mathematics, the same ones everywhere."""
    from random import Random

    from lrbench.embedded.small_talk import exchange
    from lrbench.models.editing import Text

    rng = Random(0)
    for _ in range(GENERAL_TEXTS):
        ids = tokenizer.encode(" ".join(exchange(rng)), add_special_tokens=False)
        yield Text(tuple(ids))
