"""Kept steps as the files of the paper's public scripts: one JSON object a line, written and read back.

`prompt_id` is the question itself and `prefix` the completion before the step as text, since the fine-tuning
script puts its prompts together from these two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError
from lrbench.methods.section import Section
from lrbench.recipe.messages import excerpt
from lrbench.sampling.samples import Samples

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

# How far the weights of a step may be from one: the scripts write what a GPU has rounded.
ROUNDING = 1e-2


class ScriptedStep(Section):
    """One line: a kept step with its target. `step` counts from 0, `kl_divergence` is in nats, or null."""

    prompt_id: str
    step: Annotated[int, Field(ge=0)]
    prefix: str
    tokens: tuple[str, ...] = Field(strict=False)
    token_ids: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1, strict=False)
    weights: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(strict=False)
    kl_divergence: float | None

    @model_validator(mode="after")
    def _fits_together(self) -> ScriptedStep:
        if not len(self.tokens) == len(self.token_ids) == len(self.weights):
            raise ValueError(
                f"holds {len(self.tokens)} tokens, {len(self.token_ids)} token_ids and {len(self.weights)} "
                "weights, which have to be as many"
            )
        if abs(math.fsum(self.weights) - 1) > ROUNDING:
            raise ValueError(f"weights sum to {math.fsum(self.weights):.4g}, and have to sum to 1")
        return self


def scripted_steps(
    samples: Samples, tokenizer: Tokenizer, texts: Mapping[str, str]
) -> Iterator[ScriptedStep]:
    """The kept steps of `samples`; `texts` holds the question of every problem by its id."""
    targets = samples.targets
    for index in range(len(samples)):
        rollout, step = samples.rollouts[samples.rollout[index]], int(samples.step[index])
        span = slice(targets.offsets[index], targets.offsets[index + 1])
        token_ids = targets.ids[span].tolist()
        kl = float(samples.kl[index])
        yield ScriptedStep(
            prompt_id=texts[rollout.problem_id],
            step=step,
            prefix=tokenizer.decode(list(rollout.completion_ids[:step])),
            tokens=tuple(tokenizer.decode([token]) for token in token_ids),
            token_ids=tuple(token_ids),
            weights=tuple(targets.weights[span].tolist()),
            kl_divergence=kl if math.isfinite(kl) else None,
        )


def read_scripted_steps(path: Path) -> Iterator[ScriptedStep]:
    """The lines of a file that the sampling script, or `lrbench samples --format reference`, has written.

    Raises `DataError` with file and line for what is no such line, and for a file without any.
    """
    number = 0
    for number, value in read_json_lines(path):
        try:
            yield ScriptedStep.model_validate(value)
        except ValidationError as error:
            raise DataError(f"{path}:{number}: {_wrong(error)}") from error
    if not number:
        raise DataError(f"{path}: holds no kept step; allowed is one JSON object a line")


def _wrong(error: ValidationError) -> str:
    """The first thing that is wrong with a line, in words."""
    detail = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(map(str, detail["loc"]))
    needed = f"a line holds {', '.join(ScriptedStep.model_fields)}"
    match detail["type"]:
        case "missing":
            return f"has no `{field}`; {needed}"
        case "extra_forbidden":
            return f"has the unknown field `{excerpt(field)}`; {needed}"
        case "model_type" | "model_attributes_type":
            return f"is no JSON object; {needed}"
        case "value_error":
            return str(detail["msg"]).removeprefix("Value error, ")
        case _:
            return f"`{field}`: {str(detail['msg'])[:1].lower()}{str(detail['msg'])[1:]}"


def compared(ours: Iterator[ScriptedStep], theirs: Iterator[ScriptedStep]) -> dict[str, Any]:
    """Two files' steps held against each other: `both`, `ours_alone` and `theirs_alone` are counts.

    Of those in both, `same_tokens` have one support, and `weight` (of these) and `kl` (in nats) are the
    largest differences; None where there is none to compare.
    """
    own = {(found.prompt_id, found.step, found.prefix): found for found in ours}
    others = {(found.prompt_id, found.step, found.prefix): found for found in theirs}
    pairs = [(own[place], others[place]) for place in own.keys() & others.keys()]
    weights, divergences = [], []
    for first, second in pairs:
        one, two = (dict(zip(found.token_ids, found.weights, strict=True)) for found in (first, second))
        if one.keys() == two.keys():
            weights.append(max(abs(one[token] - two[token]) for token in one))
        if first.kl_divergence is not None and second.kl_divergence is not None:
            divergences.append(abs(first.kl_divergence - second.kl_divergence))
    return {
        "both": len(pairs),
        "ours_alone": len(own) - len(pairs),
        "theirs_alone": len(others) - len(pairs),
        "same_tokens": len(weights),
        "weight": max(weights, default=None),
        "kl": max(divergences, default=None),
    }
