"""What a recipe claims of its arms: `lightr > sft on gsm8k by 2`, `lightr == sft on average within 1`.

A claim cannot change a result; whether results support it is found out afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from lrbench.recipe.messages import Path, did_you_mean, excerpt, found
from lrbench.suites.suite import is_known, suite_of

# Where a claim can be about: a benchmark of the recipe's suite, or the mean over those it measures.
AVERAGE = "average"

Relation = Literal[">", "<", "=="]

GRAMMAR = (
    "`FIRST > SECOND on WHERE`, the same with `<` or with `by POINTS` behind it, or "
    "`FIRST == SECOND on WHERE within POINTS`"
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_CLAIM = re.compile(
    rf"({_NAME})\s*(>|<|==)\s*({_NAME})\s+on\s+({_NAME})(?:\s+(by|within)\s+([0-9]{{1,3}}(?:\.[0-9]{{1,9}})?))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Claim:
    """One claim: `first` is above, below or as good as `second` on a benchmark or on the `average`.

    `margin` is in points of accuracy: for `>` and `<` how large the difference is at least (0: any), for
    `==` how far apart the two are at most. `no_worse` makes the one whose margin is below 0.
    """

    text: str
    first: str
    relation: Relation
    second: str
    where: str
    margin: float


def parse_claim(text: str) -> Claim:
    """The claim that `text` makes. Raises `ValueError` with a message for the user where it makes none."""
    match = _CLAIM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"found {found(text)}, allowed is {GRAMMAR}")
    first, relation, second, where, word, points = match.groups()
    if first == second:
        raise ValueError(f"found {found(text)}, which compares `{excerpt(first)}` with itself")
    if relation == "==" and word != "within":
        message = "needs its margin in points, such as `within 1`: equality without one cannot be shown"
        raise ValueError(f"found {found(text)}; `==` {message}")
    if relation != "==" and word == "within":
        raise ValueError(f"found {found(text)}; `within` belongs to `==`, allowed after `{relation}` is `by`")
    margin = float(points or 0)
    if margin > 100:
        raise ValueError(f"found {found(text)}; a difference of accuracies is at most 100 points")
    if relation == "==" and margin == 0:
        raise ValueError(f"found {found(text)}; the margin of `==` has to be above 0, such as `within 1`")
    return Claim(text, first, cast(Relation, relation), second, where, margin)


def no_worse(first: str, second: str, where: str, points: float) -> Claim:
    """That `first` is worse than `second` by less than `points` points, if at all."""
    return Claim(
        f"{first} no worse than {second} on {where} by {points:g}", first, ">", second, where, -points
    )


def wrong_claims(sections: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What is wrong with the claims among the valid `sections` of a recipe, by itself and beside the rest."""
    for place, text in enumerate(sections.get("claims", ())):
        path = ("claims", place)
        try:
            claim = parse_claim(text)
        except ValueError as error:
            yield path, str(error)
            continue
        if "arms" in sections:
            arms = [arm.name for arm in sections["arms"]]
            for name in {claim.first, claim.second} - set(arms):
                yield path, _unknown(name, "no arm of this recipe; its arms are", arms)
        if "evaluation" in sections and is_known(sections["evaluation"]):
            measured = sections["evaluation"].benchmarks or suite_of(sections["evaluation"]).names
            if claim.where not in (AVERAGE, *measured):
                yield path, _unknown(claim.where, "not measured; measured are", [AVERAGE, *measured])


def _unknown(name: str, what: str, known: list[str]) -> str:
    return f"`{excerpt(name)}` is {what} {', '.join(known)}{did_you_mean(name, known)}"
