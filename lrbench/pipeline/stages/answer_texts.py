"""The text of an answer that is a rollout, and the tokens of one that is given as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import end_of_turn
from lrbench.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from lrbench.sampling.rollouts import Rollout


def text_of(rollout: Rollout, workspace: Workspace) -> str:
    """What is written and finished, without what ends the turn."""
    body = rollout.completion_ids[:-1]
    text: str = workspace.expert.tokenizer.decode(body, clean_up_tokenization_spaces=False)
    return text


def answer_ids(expert: LocatedModel, workspace: Workspace, text: str) -> tuple[int, ...]:
    """The expert's tokens of an answer, and the one that ends its turn.

    Raises `ModelError` where its tokenizer cannot read the text, or no token ends its turns.
    """
    from lrbench.models.prompt import render_answer

    return (*render_answer(workspace.expert.tokenizer, text), end_of_turn(expert))
