"""What is measured beyond whether one answer is right: samples, confidences, traces, what is forgotten.

`measure: {samples: 8, temperature: 0.6, top_p: 0.95}`, `measure: {confidence: "I am (\\d+)% sure"}`,
`measure: {traces: true, weighed_by: teacher}`, `measure: {repeats: 2}`, `measure: {forgetting: SUITE}`, or
several of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from pydantic import Field, field_validator

from lrbench.methods.presets import MOST_REPEATS, UNTRAINED
from lrbench.methods.section import Section
from lrbench.recipe.claims import AVERAGE
from lrbench.recipe.kinds import Kind
from lrbench.recipe.messages import did_you_mean, excerpt
from lrbench.recipe.suites import SECOND
from lrbench.suites.declaration import AnySuite
from lrbench.suites.patterns import why_unusable
from lrbench.suites.shipped import SHIPPED
from lrbench.suites.suite import Evaluation, is_known, named_suite, suite_of

SEED_BYTES = 7
# What protocols have as `decoding` where answers are sampled.
SAMPLED = "sampled"


@dataclass(frozen=True)
class Draws:
    """How answers are sampled, `samples` of them to every item: part of how a score is measured."""

    samples: int
    temperature: float
    top_p: float
    seed: int

    @property
    def protocol(self) -> dict[str, Any]:
        """What a score's protocol says of it, in place of greedy decoding."""
        return {"decoding": SAMPLED, **asdict(self)}

    @property
    def label(self) -> str:
        """For people: `8 samples at temperature 0.6`."""
        return f"{self.samples} samples at temperature {self.temperature:g}"

    def seed_of(self, item: str, draw: int) -> int:
        """The seed of one draw of an item: its own, whatever else is measured or in the batch."""
        digest = hashlib.sha256(f"measure/{self.seed}/{draw}/{item}".encode()).digest()
        return int.from_bytes(digest[:SEED_BYTES], "big")


class Measure(Section):
    """What is measured besides: several answers to every item, what is looked at in them, what is forgotten.

    `samples` answers are drawn at `temperature` from the likeliest tokens that hold `top_p` of the chance;
    null has every item answered once, by the likeliest tokens. `seed` is apart from the recipe's
    own: what a draw is depends on it, the item and the draw alone.
    `confidence` is a pattern whose first group finds, in its last match, how sure an answer says it is. It is
    read in what was written and decides nothing of that.
    `forgetting` is a second suite, as `evaluation.suite` has one, on which every arm is measured in the same
    way and set against the untrained expert: what training costs elsewhere.
    `traces` also keeps of every answer how likely its tokens are to the arm's model, and after how many of
    them it was first right; it changes no answer, and takes an evaluation of its own. `weighed_by` is one of
    the recipe's `models`: the tokens of traces are weighed by how likely it finds them too.
    `repeats` is how often every arm with a plain answer is measured, each time with fewer rows at once, so
    that rounding falls otherwise: what then differs is noise. null is once. Nothing is trained again.
    """

    samples: Annotated[int, Field(ge=1, le=1024)] | None = None
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    confidence: Annotated[str | None, Field(min_length=1, max_length=1000), Kind.LABEL] = None
    forgetting: AnySuite | None = None
    traces: bool = False
    weighed_by: Annotated[str | None, Field(min_length=1)] = None
    repeats: Annotated[int, Field(ge=2, le=MOST_REPEATS)] | None = None

    @field_validator("confidence")
    @classmethod
    def _usable(cls, pattern: str | None) -> str | None:
        why = None if pattern is None else why_unusable(pattern, "the confidence")
        if why is not None:
            raise ValueError(f"the pattern {why}")
        return pattern

    @property
    def draws(self) -> Draws | None:
        """How answers are sampled; None where every item is answered once."""
        if self.samples is None:
            return None
        return Draws(self.samples, self.temperature, self.top_p, self.seed)


def is_sampled(measure: object) -> bool:
    """Whether `measure`, as written or as read, has answers sampled; what is neither has not."""
    if isinstance(measure, Mapping):
        return measure.get("samples") is not None
    return isinstance(measure, Measure) and measure.samples is not None


def weighing_problems(measure: Measure, models: Iterable[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit between `measure.weighed_by` and the recipe's `models`; a path and a message each."""
    name, known = measure.weighed_by, list(models)
    if name is not None and not measure.traces:
        yield ("measure", "weighed_by"), "given without `traces: true`, whose tokens it weighs"
    if name is not None and name not in known:
        there = f"those are {', '.join(known)}{did_you_mean(name, known)}" if known else "there are none"
        yield ("measure", "weighed_by"), f"`{excerpt(name)}` is none of the recipe's `models`; {there}"


def measure_problems(measure: Measure, *, of_tasks: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit within `measure`, or with items `of_tasks` of lm-eval; a path and a message each."""
    if measure.traces and of_tasks:
        yield (
            ("measure", "traces"),
            "does not go with `evaluation.lm_eval`, whose tasks judge answers themselves",
        )
    if measure.samples is not None:
        if of_tasks:
            yield ("measure",), "does not go with `evaluation.lm_eval`, whose tasks are answered once each"
        return
    asked = (measure.confidence, measure.forgetting, measure.repeats)
    if not measure.traces and all(one is None for one in asked):
        yield (
            ("measure",),
            "measures nothing; give `samples`, `confidence`, `traces`, `repeats` or `forgetting`",
        )
        return
    for name in ("temperature", "top_p", "seed"):
        # A recipe that says everything has the defaults.
        if getattr(measure, name) != Measure.model_fields[name].default:
            yield ("measure", name), "given without `samples`, which says how many answers are sampled"


def second_suite_problems(
    forgetting: AnySuite, evaluation: Evaluation, has_expert: bool
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit between a second suite and the first; a path and a message each.

    `has_expert` says whether an arm is the expert as it is.
    """
    if not has_expert:
        yield (
            SECOND,
            f"is counted from the expert as it is, and no arm is that; add the arm `{UNTRAINED.name}`",
        )
    if not is_known(evaluation) or (isinstance(forgetting, str) and forgetting not in SHIPPED):
        return
    first, second = suite_of(evaluation), named_suite(forgetting)
    if second.benchmarks == tuple(replace(one, suite=second.name) for one in first.benchmarks):
        yield (
            SECOND,
            f"is the suite `{first.name}` that `evaluation` measures; what is forgotten shows on another",
        )
    elif second.name in (first.name, AVERAGE, *first.names):
        said = "suite" if second.name == first.name else "column"
        named = SECOND if isinstance(forgetting, str) else (*SECOND, "name")
        yield named, f"the {said} of `evaluation` is called `{second.name}` too; give this another name"
