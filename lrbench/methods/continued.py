"""Selectors by what a rollout becomes when another token is written at a step and the expert goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_serializer, model_validator

from lrbench.methods.arrays import np
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.section import Section
from lrbench.methods.selector import Keeps, Parts, Selector
from lrbench.methods.steps import Views, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

Word = Literal["critical", "divergent"]
WORDS: tuple[str, ...] = get_args(Word)
# What is tried at a step of a `critical` selector that says nothing else: the two likeliest other tokens.
RANKS = (2, 3)
# Of the first names of views, that of those that are no reading by two models.
VIEW = "continued"

Count = Annotated[int, Field(ge=1, le=10**15)]


class Continuing(Section):
    """What is tried at the steps of rollouts: which other tokens, at which steps, and how far it goes on.

    The rollout's own token is rank 1, and the expert's likeliest others are ranks 2, 3 ...; instead of
    `ranks` a `reading` tries what its second model would write where its first would write something else.
    `tokens` is how many are written after it at most, None for as many as a rollout may have. Every
    `stride`-th step of a rollout is tried, and of all these no more than `cap`.
    """

    ranks: tuple[int, ...] | None = None
    reading: Reading | None = None
    tokens: Count | None = None
    stride: Count = 1
    cap: Count | None = None

    @property
    def at_each(self) -> int:
        """How many tokens are tried at a step."""
        return 1 if self.ranks is None else len(self.ranks)

    @property
    def highest(self) -> int:
        """The highest rank that is tried; 1 where a model says what is."""
        return max(self.ranks or (1,))

    @property
    def label(self) -> str:
        """For people: `tokens 2 and 3`, or `amateur's choices, every 4 steps`."""
        if self.reading is not None:
            tried = f"{self.reading[1]}'s choices"
        else:
            tried = f"tokens {' and '.join(map(str, self.ranks or ()))}"
        return tried if self.stride == 1 else f"{tried}, every {self.stride} steps"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What is tried; which models a reading is of is in the identity of its scores."""
        return self.model_dump(mode="json", exclude={"reading"}, exclude_none=True)

    @property
    def view(self) -> Reading:
        """The name under which selectors see what became of it."""
        return (VIEW, json.dumps(self.model_dump(mode="json"), sort_keys=True))


class Continued(Selector):
    """Steps at which the rollout depends on the token that it wrote: with another one it ends up elsewhere.

    `critical`: the expert goes on greedily after its own 2nd and its 3rd token there, or those of `ranks`,
    and `all` of these continuations fail (with `all: false`: any). Continuations of rollouts that were
    checked by the problem's answer fail without the right answer, others without the rollout's own.
    `divergent`: the first choice of the model `over`, by default the amateur, is another one than the
    expert's, and the answer is another one when the expert goes on from it. At most `tokens` are written
    each time, null for as many as a rollout may have; every `stride`-th step is tried, of all no more than
    `cap`, and what is not tried is not kept.
    """

    word: ClassVar[str] = "continued"

    signal: Word
    ranks: (
        Annotated[tuple[Annotated[int, Field(ge=2, le=20)], ...], Field(min_length=1, strict=False)] | None
    ) = None
    all: bool | None = None
    over: Annotated[str, Field(min_length=1)] | None = None
    tokens: Count | None = None
    stride: Count | None = None
    cap: Count | None = None

    @model_validator(mode="after")
    def _what_the_signal_takes(self) -> Continued:
        unknown = ("over",) if self.signal == "critical" else ("ranks", "all")
        for name in unknown:
            if getattr(self, name) is not None:
                raise ValueError(f"the signal `{self.signal}` knows no `{name}`; leave it out")
        if self.ranks is not None and len(set(self.ranks)) < len(self.ranks):
            raise ValueError("a rank stands twice in `ranks`")
        if self.over == EXPERT:
            raise ValueError(
                "the signal `divergent` holds another model against the expert: `over` is the expert"
            )
        return self

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def is_meant_by(cls, written: Mapping[Any, Any]) -> bool:
        """Whether its signal is one of continuations."""
        return written.get("signal") in WORDS

    @property
    def continuing(self) -> Continuing:
        """What has to be tried, with nothing left open."""
        critical = self.signal == "critical"
        return Continuing(
            ranks=tuple(sorted(self.ranks or RANKS)) if critical else None,
            reading=None if critical else (EXPERT, self.over or AMATEUR),
            tokens=self.tokens,
            stride=self.stride or 1,
            cap=self.cap,
        )

    @property
    def continuings(self) -> frozenset[Continuing]:
        """The one."""
        return frozenset({self.continuing})

    @property
    def readings(self) -> frozenset[Reading]:
        """That which says what is tried, where one does."""
        reading = self.continuing.reading
        return frozenset() if reading is None else frozenset({reading})

    @property
    def models(self) -> frozenset[str]:
        """Those of its reading, and the expert, which goes on."""
        return super().models | {EXPERT}

    @property
    def label(self) -> str:
        """The signal and what is tried."""
        return f"{self.signal} ({self.continuing.label})"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What was tried, and how many have to fail."""
        decides = {"all": self._needs_all} if self.signal == "critical" else {}
        models = {} if self.continuing.reading in (None, PAIR) else {"over": self.over}
        return {"selector": {"signal": self.signal, **self.continuing.identity, **models, **decides}}

    @property
    def share(self) -> float:
        """About a tenth, as far as such steps have been counted."""
        return 0.1

    @property
    def _needs_all(self) -> bool:
        return self.all is not False

    def keeper(self, parts: Parts) -> Keeps:
        """Where as many as have to have failed."""
        return lambda views: failing(views[self.continuing.view], self._needs_all)

    def reason(self, step: Views, kept: bool) -> str:
        """How many failed of those that were tried."""
        steps = step[self.continuing.view]
        tried, failed = (float(column(steps, name)[0]) for name in ("tried", "failed"))
        verdict = "Kept" if kept else "Not kept"
        if not tried > 0:
            return f"{verdict}: no other token was tried here."
        if self.signal == "critical":
            return f"{verdict}: {failed:.0f} of {tried:.0f} other tokens lead away from the answer."
        return f"{verdict}: the other model's token leads to {'another' if failed else 'the same'} answer."


def failing(steps: Any, needs_all: bool) -> NDArray[np.bool_]:
    """(N,) where of the tokens that were tried all fail, or any; False where none was tried."""
    tried_N, failed_N = column(steps, "tried"), column(steps, "failed")
    kept: NDArray[np.bool_] = (failed_N == tried_N) & (tried_N > 0) if needs_all else failed_N > 0
    return kept
