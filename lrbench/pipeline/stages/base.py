"""What a stage is: a name, an identity, inputs, and the work that makes its artifact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from lrbench.pipeline.progress import Progress
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice
from lrbench.store.artifact import Artifact
from lrbench.store.draft import Draft
from lrbench.store.keys import stage_key

# The name under which a stage reads the artifact of one of its `earlier_keys`.
EARLIER = "earlier"


class Stage(ABC):
    """One unit of pipeline work. Two stages with equal keys are the same work.

    `version` rises whenever the same identity would give another output, and `changes` says why it did, in
    words that end a sentence beginning "made again, since". Stages that turn problems into prompts are marked
    by `renders_prompts`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    changes: ClassVar[Mapping[int, str]] = {}
    renders_prompts: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """What the stage makes, for people."""

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Every fact, besides the inputs, that can change the output; JSON values."""

    @property
    def inputs(self) -> Mapping[str, Stage]:
        """The stages whose artifacts this one reads, by the name it reads them under."""
        return {}

    @property
    def earlier_keys(self) -> tuple[str, ...]:
        """Keys of artifacts that this one can be made from with less work; `work` gets one as `EARLIER`."""
        return ()

    @property
    @abstractmethod
    def size(self) -> int:
        """How many units of work the stage has, for the progress bar."""

    @property
    def most_tokens(self) -> int:
        """Upper bound of the tokens that models write, for `plan`."""
        return 0

    @property
    def engine_choice(self) -> EngineChoice | None:
        """The engine the stage writes with, where it does."""
        return None

    def check(self, artifacts: Mapping[str, Artifact]) -> None:  # noqa: B027 - most stages can always try
        """Raise `RunError` where what is made already shows that the stage cannot be; loads no model.

        `artifacts` holds, by their keys, those of all stages behind this one.
        """

    @abstractmethod
    def work(
        self, draft: Draft, inputs: Mapping[str, Artifact], workspace: Workspace, progress: Progress
    ) -> dict[str, Any]:
        """Commit every file of the artifact to `draft` and return its statistics (JSON values).

        Files committed by an earlier, interrupted attempt are in the draft already.
        """

    @property
    def keep(self) -> tuple[str, ...] | None:
        """The files of the finished artifact; None keeps every committed file."""
        return None

    @cached_property
    def key(self) -> str:
        """The address of the artifact in the store."""
        return stage_key(
            self.name, self.version, self.identity, {name: stage.key for name, stage in self.inputs.items()}
        )
