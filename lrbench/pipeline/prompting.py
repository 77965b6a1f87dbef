"""What the models of a plan make of prompts and turns, for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from lrbench.models.source import LocatedModel
from lrbench.models.template import refused
from lrbench.models.turn_marks import system_prompt_left_out, turn_marks
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.references import model_name
from lrbench.results.text import plain


def ends_of_turns(stages: Iterable[Stage]) -> list[str]:
    """What ends the turns of the models that are asked something in `stages`: a line for those that agree."""
    marked = {model.name: turn_marks(model) for model, _ in _asked(stages)}
    agreed: dict[str, list[str]] = defaultdict(list)
    for name, marks in marked.items():
        if marks.stops:
            agreed[marks.text].append(model_name(name))
    return [f"An answer of {', '.join(names)} ends at {text}." for text, names in agreed.items()]


def remarks_on_prompts(stages: Iterable[Stage]) -> list[str]:
    """What is to be known of how the models of `stages` are asked.

    Raises `ModelError` when a chat template shows no problem, or refuses the system prompt it is to be given.
    """
    remarks: dict[str, None] = {}
    for model, system_prompt in _asked(stages):
        marks = turn_marks(model)
        remarks |= dict.fromkeys(marks.remarks)
        if system_prompt is not None and marks.system == "refused":
            raise refused(model.name, marks.refusal, has_system_prompt=True)
        if system_prompt is not None and marks.system == "ignored":
            remarks[system_prompt_left_out(model.name)] = None
    return list(remarks)


def remarks_on_agreement(stages: Iterable[Stage]) -> list[str]:
    """Where rollouts are written under another system prompt than answers are measured under."""
    stages = list(stages)
    written = dict.fromkeys(prompt for stage in stages for prompt in stage.learnt_under)
    measured = dict.fromkeys(prompt for stage in stages for prompt in stage.measured_under)
    return [
        f"Rollouts are written under {_quoted(own)} (sampling.system_prompt), and answers are measured under "
        f"{_quoted(other)}: what is learnt is learnt under another prompt than it is measured under."
        for own in written
        for other in measured
        if own != other
    ]


def _quoted(system_prompt: str | None) -> str:
    return "no system prompt" if system_prompt is None else f'the system prompt "{plain(system_prompt)}"'


def _asked(stages: Iterable[Stage]) -> Iterator[tuple[LocatedModel, str | None]]:
    return chain.from_iterable(stage.prompts for stage in stages)
