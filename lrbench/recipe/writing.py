"""How the rollouts of a source are written: what it says itself, and the recipe's `sampling` for the rest."""

from __future__ import annotations

from lrbench.methods.checks import Agreement, Anything
from lrbench.methods.source import REFERENCE_STAGE, WRITING, Source
from lrbench.methods.writers import Mixture, Written
from lrbench.recipe.schema import Sampling


def sampling_of(source: Source, sampling: Sampling) -> Sampling:
    """The recipe's sampling as it holds for a source; the system prompt is the one that is learnt under."""
    if isinstance(source, Mixture) and len(source.parts) > 1:
        # All parts are learnt under one system prompt.
        learnt = sampling_of(source.parts[0], sampling).system_prompt
        return sampling.model_copy(update={"system_prompt": learnt})
    source = source.parts[0]
    if not isinstance(source, Written):
        return sampling
    own: dict[str, object] = {}
    if source.system_prompt is not None and not source.forget_prompt:
        own["system_prompt"] = source.system_prompt
    if source.is_greedy:
        if source.max_new_tokens is not None:
            own["max_new_tokens"] = source.max_new_tokens
        return sampling.model_copy(update=own)
    given = {
        "samples_per_problem": source.samples,
        "temperature": source.temperature,
        "max_new_tokens": source.max_new_tokens,
    }
    solutions = {name: value for name, value in given.items() if value is not None}
    return sampling.model_copy(update=own | {"solutions": sampling.solutions.model_copy(update=solutions)})


def written_out(source: Written, sampling: Sampling) -> Written:
    """The source with nothing left to the recipe."""
    own = sampling_of(source, sampling)
    update: dict[str, object] = {"system_prompt": source.system_prompt or sampling.system_prompt}
    if source.is_greedy:
        update |= {"samples": 1, "max_new_tokens": own.max_new_tokens}
    else:
        solutions = own.solutions
        update |= {
            "samples": solutions.samples_per_problem,
            "temperature": solutions.temperature,
            "max_new_tokens": solutions.max_new_tokens,
        }
    return source.model_copy(update=update)


def labelled_by(model: str) -> Written:
    """What the labels of a learnt route come from: what the other model writes by its likeliest tokens."""
    return Written(writer=model, temperature=0.0)


def asked_problems(source: Source, sampling: Sampling, problems: int) -> list[int]:
    """How many of the `problems` each distinct piece of work asks that writes for a source."""
    asked: dict[object, int] = {}
    for part in source.parts:
        count = part.first_problems or problems
        if not isinstance(part, Written):
            if part.stage in WRITING and part.stage != REFERENCE_STAGE:
                asked[part.stage] = count
            continue
        if part.is_data:
            continue
        whole = written_out(part, sampling)
        agreed = isinstance(whole.check, Agreement)
        fields = {name: getattr(whole, name) for name in Written.model_fields if name != "shape"}
        written = fields | {"problems": count} | ({"check": Anything()} if agreed else {})
        asked[repr(written)] = count
        if agreed:
            asked[repr(fields)] = count
    return list(asked.values())
