"""What an OpenAI-compatible server may answer, as strict types: nothing is believed that is not of them.

Fields that are not named here may hold anything, and are not read.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lrbench.errors import RunError
from lrbench.recipe.messages import dotted, found, printable

LONGEST_NAME = 200

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class _Answer(BaseModel):
    # Strict: `true` is no number, "5" is none, and 5.0 is no id.
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Card(_Answer):
    """One served model; an adapter's `parent` is the model that it changes."""

    id: Name
    parent: Name | None = None
    root: Name | None = None


class Cards(_Answer):
    """The answer at /v1/models."""

    data: list[Card]


class LogProbability(_Answer):
    """The log-probability of one token of a prompt, in nats."""

    logprob: float


class Choice(_Answer):
    """One completion. What a server leaves out that speaks of text alone is None."""

    finish_reason: str | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: list[dict[str, LogProbability] | None] | None = None


class Completion(_Answer):
    """The answer at /v1/completions where one completion was asked for."""

    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    model: str | None = None


Wanted = TypeVar("Wanted", bound=_Answer)


def read_answer(kind: type[Wanted], answer: object, where: str) -> Wanted:
    """`answer`, JSON of the server at `where`, as `kind`. Raises `RunError` with the first thing wrong."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = f"`{dotted(first['loc'])}`: " if first["loc"] else ""
        given = "" if first["type"] == "missing" else f"; found {_shown(first['input'])}"
        raise RunError(
            f"{where} does not answer as OpenAI's protocol has it: {place}{printable(first['msg'])}{given}"
        ) from error


def _shown(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) and value else found(value)
