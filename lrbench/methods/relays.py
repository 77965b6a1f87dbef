"""Answers that models write in turns: one after what another has written, or with it in the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lrbench.methods.answer import Answer, Count, ModelName, seed_for
from lrbench.methods.section import Section

# Where a chain's template takes the plan.
PLAN = "{plan}"


class Agreement(Section):
    """A chain's answer has to be the one that the model `by` gives to the bare question.

    Both are written once by the likeliest tokens, and where they differ again, sampled at `temperature`, in
    at most `rounds` rounds in all.
    """

    by: ModelName
    rounds: Annotated[int, Field(ge=1, le=1024)] = 5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def seeds(self, number: int, prompt: Sequence[int]) -> tuple[int, int]:
        """The seeds, in a round by its number, of the chain and of the model that has to agree."""
        chain, other = (seed_for(f"{who}/{self.seed}/{number}", prompt) for who in ("chain", "agree"))
        return chain, other


class Chain(Answer):
    """The first of two models writes a plan, the second one answers with it.

    With `place: prompt` the plan stands after the question, as the template `tell` has it, and is no part of
    the answer; with `answer` the answer begins with it. `ask` is what the first is told after the question.
    A plan has at most `tokens` tokens, null for as many as an answer. Without a plan, or with an empty one,
    the second model answers the bare question. With `agree` another model has to give the same answer.
    """

    word: ClassVar[str] = "chain"
    drawn: ClassVar[bool] = True

    chain: Annotated[tuple[ModelName, ModelName], Field(strict=False)]
    place: Literal["prompt", "answer"] = "prompt"
    ask: str = ""
    tell: str | None = None
    tokens: Count | None = None
    agree: Agreement | None = None

    @model_validator(mode="after")
    def _takes_the_plan(self) -> Chain:
        if self.tell is not None and self.tell.count(PLAN) != 1:
            raise ValueError(f"`tell` says how the plan is told, and has to hold {PLAN} once")
        return self

    @property
    def in_turns(self) -> bool:
        """They do."""
        return True

    @property
    def planner(self) -> str:
        """The model that writes the plan."""
        return self.chain[0]

    @property
    def solver(self) -> str:
        """The model that answers."""
        return self.chain[1]

    @property
    def around(self) -> tuple[str, str]:
        """What stands before and after the plan: blank lines, towards whatever it stands beside."""
        template = self.tell
        if template is None:
            template = f"\n\n{PLAN}" if self.place == "prompt" else f"{PLAN}\n\n"
        before, _, after = template.partition(PLAN)
        return before, after

    @property
    def models(self) -> frozenset[str]:
        """Both, and the one that has to agree."""
        return frozenset(self.chain) | (frozenset() if self.agree is None else {self.agree.by})

    @property
    def samples(self) -> int:
        """A plan and an answer, and in every round those that have to agree."""
        return 2 if self.agree is None else 3 * self.agree.rounds

    @property
    def undrawable(self) -> str | None:
        """Those that have to agree are sampled until they do."""
        if self.agree is None:
            return None
        return (
            "`measure` cannot sample an answer by `chain` with `agree`, which samples until two models "
            "agree; leave out this arm, `agree` or `measure`"
        )

    @property
    def label(self) -> str:
        """For people: `arm:solver with a plan of arm:planner`."""
        where = "with" if self.place == "prompt" else "after"
        words = f"{self.solver} {where} a plan of {self.planner}"
        if self.tokens is not None:
            words += f", at most {self.tokens} tokens"
        if self.agree is None:
            return words
        return f"{words}, until {self.agree.by} agrees, at most {self.agree.rounds} rounds"
