"""Selectors by which part of an answer a token is of, where the answer itself says that another was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer

from lrbench.methods.readings import Reading
from lrbench.methods.section import Section
from lrbench.methods.selector import Keeps, Parts, Selector
from lrbench.methods.steps import Views, column

SIGNAL = "attempt"
# What stands between a wrong attempt and the next one.
SAYS_WRONG = "That is wrong."
# Of the first names of views, that of those that are no reading by two models.
VIEW = "attempts"


class Parting(Section):
    """What parts an answer into attempts: the text `after` which another one follows."""

    after: Annotated[str, Field(min_length=1)] = SAYS_WRONG

    @property
    def label(self) -> str:
        """For people."""
        return f'attempts, each behind "{self.after}"'

    @property
    def identity(self) -> Mapping[str, Any]:
        """The text."""
        return {"after": self.after}

    @property
    def view(self) -> Reading:
        """The name under which selectors see which attempts have failed."""
        return (VIEW, self.after)


class Attempt(Selector):
    """Tokens of an answer that are of no failed attempt, or with `failed: true` those of failed ones alone.

    An answer is parted where the text `after` stands, which is of the attempt that follows. Where rollouts
    were chosen by the right answer, an attempt without that has failed; anywhere else one that another
    follows and that has not the answer of the last.
    """

    word: ClassVar[str] = "by_attempt"

    signal: Literal["attempt"]
    failed: bool | None = None
    after: Annotated[str, Field(min_length=1)] | None = None

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def is_meant_by(cls, written: Mapping[Any, Any]) -> bool:
        """Whether its signal is this one."""
        return written.get("signal") == SIGNAL

    @property
    def parting(self) -> Parting:
        """With nothing left open."""
        return Parting() if self.after is None else Parting(after=self.after)

    @property
    def continuings(self) -> frozenset[Parting]:
        """The one."""
        return frozenset({self.parting})

    @property
    def label(self) -> str:
        """For people: `tokens of no failed attempt`."""
        which = "failed attempts" if self.failed else "no failed attempt"
        return f"tokens of {which}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What parts attempts, and which are kept."""
        return {"selector": {"signal": SIGNAL, **self.parting.identity, "failed": bool(self.failed)}}

    @property
    def share(self) -> float:
        """As if a third of all answers began with a failed attempt as long as what follows."""
        return 0.15 if self.failed else 0.85

    def keeper(self, parts: Parts) -> Keeps:
        """Where it is as wanted."""
        wanted = 1.0 if self.failed else 0.0
        return lambda views: column(views[self.parting.view], "failed") == wanted

    def reason(self, step: Views, kept: bool) -> str:
        """Which attempt the token is of, and whether that has failed."""
        steps = step[self.parting.view]
        number, failed = (float(column(steps, name)[0]) for name in ("tried", "failed"))
        verdict, became = "Kept" if kept else "Not kept", "has failed" if failed else "has not failed"
        return f"{verdict}: a token of attempt {number:.0f}, which {became}."
