"""What the models of a plan make of prompts and turns, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lrbench.models.source import LocatedModel
from lrbench.models.template import refused
from lrbench.models.turn_marks import system_prompt_left_out, turn_marks
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.pipeline.stages.rollouts import RolloutSource


def ends_of_turns(stages: Iterable[Stage]) -> list[str]:
    """For every model that is asked something in `stages`: what ends its turns."""
    marked = {model.name: turn_marks(model) for model, _ in asked(stages)}
    return [f"Ends of turn of {name}: {marks.text}." for name, marks in marked.items() if marks.stops]


def remarks_on_prompts(stages: Iterable[Stage]) -> list[str]:
    """What is to be known of how the models of `stages` are asked.

    Raises `ModelError` when a chat template shows no problem, or refuses the system prompt it is to be given.
    """
    remarks: dict[str, None] = {}
    for model, system_prompt in asked(stages):
        marks = turn_marks(model)
        remarks |= dict.fromkeys(marks.remarks)
        if system_prompt is not None and marks.system == "refused":
            raise refused(model.name, marks.refusal, has_system_prompt=True)
        if system_prompt is not None and marks.system == "ignored":
            remarks[system_prompt_left_out(model.name)] = None
    return list(remarks)


def asked(stages: Iterable[Stage]) -> Iterator[tuple[LocatedModel, str | None]]:
    """Every model that is asked something, with the system prompt that it is asked under."""
    for stage in stages:
        if isinstance(stage, RolloutSource):
            yield stage.expert, stage.sampling.system_prompt
        elif isinstance(stage, BenchmarkScore):
            yield stage.expert, stage.suite.system_prompt
