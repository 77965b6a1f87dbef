"""One way to build prompts: the stages of a run prove it by the token ids of fixed prompts."""

from __future__ import annotations

from lrbench.errors import PromptsChangedError
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.workspace import Workspace
from lrbench.store.artifact import Artifact

STATISTIC = "prompt_canary"


class PromptCanary:
    """Compares the canary of every stage that renders prompts with the first one met in a run."""

    def __init__(self) -> None:
        self._first: tuple[Stage, str] | None = None

    def before(self, stage: Stage, workspace: Workspace) -> dict[str, str]:
        """What a stage about to work has to record; raises `PromptsChangedError` when it would not match."""
        if not stage.prompts:
            return {}
        from lrbench.models.prompt import canary_hash

        canary = canary_hash(workspace.expert.tokenizer, None)
        self._compare(stage, canary)
        return {STATISTIC: canary}

    def after(self, stage: Stage, artifact: Artifact) -> None:
        """Raise `PromptsChangedError` when a finished stage, whenever made, built its prompts otherwise."""
        if stage.prompts:
            self._compare(stage, artifact.statistics[STATISTIC])

    def _compare(self, stage: Stage, canary: str) -> None:
        first, expected = self._first = self._first or (stage, canary)
        if canary != expected:
            raise PromptsChangedError(
                f"{stage.label}: its prompts are built otherwise than those of {first.label} (canary "
                f"{canary[:8]} against {expected[:8]}), because the library that applies the chat template "
                "has changed between the two. Go back to the version that made the earlier stage, or start "
                "over with another folder of runs."
            )
