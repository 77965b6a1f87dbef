"""Training an arm's adapter, with saves that let a killed run go on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.models.source import LocatedModel, model_identity
from lrbench.pipeline.progress import Progress
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.samples import ArmSamples
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import Training
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft

if TYPE_CHECKING:
    from lrbench.training.loop import Checkpoint

SAVE_FILE = "save.safetensors"
CURVES_FILE = "curves.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class TrainedAdapter(Stage):
    """The LoRA adapter that an arm's samples give."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 1

    arm: str
    expert: LocatedModel
    samples: ArmSamples
    training: Training
    seed: int

    @property
    def label(self) -> str:
        """What the stage makes, for people."""
        return f"adapter of {self.arm} ({self.training.updates} updates)"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expert, the training settings and the seed; not the arm's name."""
        training = self.training.model_dump(mode="json")
        training["lora"]["target_modules"] = sorted(set(self.training.lora.target_modules))
        return {
            "expert": model_identity(self.expert),
            "training": training,
            "seed": self.seed,
        }

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The samples learnt from."""
        return {"samples": self.samples}

    @property
    def size(self) -> int:
        """Updates."""
        return self.training.updates

    @property
    def keep(self) -> tuple[str, ...]:
        """The adapter in PEFT's format, and the curves; no saves."""
        return (*ADAPTER_FILES, CURVES_FILE)

    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Train, saving every few updates, and commit the adapter and its curves."""
        from lrbench.sampling.samples import ROLLOUTS_FILE, STEPS_FILE, read_samples
        from lrbench.training.adapters import write_adapter_config, write_adapter_weights
        from lrbench.training.batches import update_batches
        from lrbench.training.loop import train

        samples = read_samples(inputs["samples"].file(ROLLOUTS_FILE), inputs["samples"].file(STEPS_FILE))
        resume = _read_save(draft.path(SAVE_FILE)) if draft.has(SAVE_FILE) else None
        if resume is not None:
            progress.advance(resume.update)
        clock = _Clock()
        adapted, curves = train(
            workspace.expert,
            workspace.vocabulary,
            samples,
            self.training,
            seed=self.seed,
            updates_between_saves=workspace.runtime.updates_between_saves,
            save=lambda state: _commit_save(draft, state, clock.lap()),
            resume=resume,
            progress=lambda _update, loss: progress.advance(1, note=f"loss {loss:.3f}"),
        )
        draft.commit(
            ADAPTER_FILES[0],
            lambda path: write_adapter_config(path, self.training.lora, self.expert.identity),
        )
        draft.commit(ADAPTER_FILES[1], lambda path: write_adapter_weights(path, adapted), clock.lap())
        draft.commit(CURVES_FILE, lambda path: path.write_text(json.dumps(vars(curves))))
        workspace.detach(adapted)
        batches = list(update_batches(samples, self.training, self.seed))
        return {
            "updates": self.training.updates,
            "final_loss": curves.loss[-1][1],
            "tuned_tokens": len(set(chain.from_iterable(batches))),
            "trained_steps": sum(map(len, batches)),
        }


class _Clock:
    """Seconds between laps, so that work redone after a kill is not counted twice."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds


def _commit_save(draft: Draft, state: Checkpoint, seconds: float) -> None:
    from safetensors.torch import save_file

    facts = {"update": str(state.update), "curves": json.dumps(state.curves)}
    draft.commit(SAVE_FILE, lambda path: save_file(state.tensors, path, metadata=facts), seconds)


def _read_save(path: Path) -> Checkpoint:
    from safetensors import safe_open

    from lrbench.training.loop import Checkpoint

    with safe_open(path, framework="pt") as opened:
        facts = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    curves = {
        name: [(int(update), float(value)) for update, value in points]
        for name, points in json.loads(facts["curves"]).items()
    }
    return Checkpoint(int(facts["update"]), tensors, curves)
