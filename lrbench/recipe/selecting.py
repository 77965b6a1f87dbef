"""Choosing the points of a sweep on training problems, so that nobody chooses one on the test sets.

`evaluation: {select_on: validation}`, or `{select_on: {validation: 60}}` with so many problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from lrbench.methods.section import Section
from lrbench.recipe.messages import Path
from lrbench.suites.declaration import LARGEST_COUNT, AnySuite, SuiteDeclaration

# The word that a recipe writes, and what the board of the validation problems is called.
VALIDATION = "validation"
SELECT_ON = ("evaluation", "select_on")
# All points are measured on one set of problems, in one way, and by one expert.
COMMON = ("evaluation", "measure", "pair.expert", "data.train", "data.selection", "data.seed")


class SelectOn(Section):
    """On how many training problems the point of every swept arm is chosen.

    They are those that `data` would select after the ones that any point learns from or holds out, and that
    have an answer. Nothing is learnt from them. The chosen points alone are measured on the suite.
    """

    model_config = ConfigDict(
        json_schema_extra={"allowed": f"`{VALIDATION}`, or a mapping with the field {VALIDATION}"}
    )

    validation: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] = 100

    @model_validator(mode="before")
    @classmethod
    def _word_alone(cls, value: Any) -> Any:
        return {} if value == VALIDATION else value


def selection_problems(
    suite: AnySuite | None, forgetting: AnySuite | None, *, of_tasks: bool
) -> Iterator[tuple[Path, str]]:
    """What does not fit between choosing on validation problems and what else is measured."""
    if of_tasks:
        yield (
            SELECT_ON,
            "does not go with `evaluation.lm_eval`, whose tasks say themselves how they are asked",
        )
    for path, declared in ((("evaluation", "suite"), suite), (("measure", "forgetting"), forgetting)):
        if isinstance(declared, SuiteDeclaration) and declared.name == VALIDATION:
            yield (
                (*path, "name"),
                f"`{VALIDATION}` is the board of what points are chosen on; give yours another name",
            )


def is_common(field: str) -> bool:
    """Whether all points of a sweep that is chosen from have to agree in a field, by its dotted name."""
    return any(is_within(field, name) for name in COMMON) and not is_within(field, ".".join(SELECT_ON))


def is_within(field: str, name: str) -> bool:
    """Whether a field is the one called `name`, or one of its own."""
    return field == name or field.startswith(f"{name}.")
