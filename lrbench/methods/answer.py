"""The base of all answers: what writes at evaluation, and what every kind of it says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from lrbench.methods.component import Component
from lrbench.methods.learnt_routes import TokenRouter

# The arm's own model, as the components speak of it.
OWN = "own"
# The engine that computes in this process, and so can read several models, or change what one prefers.
HERE = "hf"
SEED_BYTES = 6

ModelName = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10**15)]


class Answer(Component):
    """Base of all answers.

    `here` says whether the engine has to compute in this process: a server or vLLM gives tokens away that
    only the model it serves has chosen. `drawn` says whether the same answer can be sampled several times,
    at a temperature that is not its own. `repeats` says that it is a plain answer written once more, so that
    whatever differs from the first is noise.
    """

    here: ClassVar[bool] = True
    drawn: ClassVar[bool] = False
    repeats: ClassVar[bool] = False

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that was written, and what was not, at its default."""
        return {"answer": self.model_dump()}

    @property
    def in_turns(self) -> bool:
        """Whether models write in turns, by what was written before or is about to be."""
        return False

    @property
    def models(self) -> frozenset[str]:
        """The arm's own model."""
        return frozenset({OWN})

    @property
    def learnt(self) -> tuple[str, TokenRouter] | None:
        """What is trained for such answers beside the arm's own model, after the other model; or None."""
        return None

    @property
    def samples(self) -> int:
        """How many completions are written for each question, at most."""
        return 1

    def rows_at_once(self, own: int) -> int:
        """How many rows are written at once where an engine would write its `own` number."""
        return own

    @property
    def sampled_at(self) -> float:
        """The temperature at which they are written; 0 for greedy ones."""
        return 0.0

    @property
    def given(self) -> str:
        """The text that every answer begins with; it is part of the answer."""
        return ""

    @property
    def single_tokens(self) -> tuple[str, ...]:
        """Texts that have to be one token each of the arm's own model."""
        return ()

    def unservable(self, engine: str) -> str | None:
        """Why the engine called `engine` cannot write such answers; None where it can."""
        if not self.here or engine == HERE:
            return None
        return (
            f"an answer by `{self.word}` has a say in every token, which the engine {engine} leaves to the "
            f"one model it serves; evaluate with `{HERE}`"
        )

    @property
    def undrawable(self) -> str | None:
        """Why such answers cannot be sampled several times; None where they can."""
        if self.drawn:
            return None
        return (
            f"`measure` cannot sample an answer by `{self.word}`, which samples or rules tokens itself; "
            "leave out this arm, or `measure`"
        )


def seed_for(purpose: str, prompt: Sequence[int]) -> int:
    """A seed that every prompt (token ids) has once and for all, another one for every purpose."""
    digest = hashlib.sha256(f"{purpose}/{','.join(map(str, prompt))}".encode()).digest()
    return int.from_bytes(digest[:SEED_BYTES])


def lot(purpose: str, prompt: Sequence[int]) -> float:
    """A number from 0 up to, and without, 1 that every prompt (token ids) draws once and for all."""
    return seed_for(purpose, prompt) / float(256**SEED_BYTES)
