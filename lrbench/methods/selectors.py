"""The selectors: by the divergence, all, by a signal and a rule, by continuations, or by attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SerializeAsAny, model_serializer, model_validator

from lrbench.methods.arrays import np
from lrbench.methods.attempts import SIGNAL as ATTEMPT
from lrbench.methods.attempts import Attempt, Parting
from lrbench.methods.continued import WORDS, Continued, Continuing
from lrbench.methods.families import Family
from lrbench.methods.ranking import cut_at, most_of_each
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.section import Section
from lrbench.methods.selector import Keeps, Parts, Selector
from lrbench.methods.signals import SIGNALS, Bound, Signal, Word
from lrbench.methods.steps import Steps, Views, column

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Kl(Selector):
    """Steps with KL(expert || amateur) above `beta` (paper, equation 2).

    `beta` is in nats, by default that of `divergence`.
    """

    word: ClassVar[str] = "kl"

    beta: Annotated[float, Field(ge=0)] | None = None

    @property
    def readings(self) -> frozenset[Reading]:
        """Of the pair."""
        return frozenset({PAIR})

    @property
    def thresholds(self) -> frozenset[str]:
        """Its threshold."""
        return frozenset({"beta"})

    @property
    def identity(self) -> Mapping[str, Any]:
        """The threshold."""
        return {"selector": self.word, "beta": self.beta}

    @property
    def share(self) -> float:
        """As the paper reports it, about a fifth."""
        return SIGNALS["kl"].share

    @property
    def threshold(self) -> float | None:
        """As completed."""
        return self.beta

    def completed(self, beta: float) -> Kl:
        """With the recipe's threshold."""
        return self.model_copy(update={"beta": beta}) if self.beta is None else self

    def keeper(self, parts: Parts) -> Keeps:
        """Where the divergence is above the threshold."""
        assert self.beta is not None, "a selector is completed before it is used"
        bound = Bound(self.beta, None)
        return lambda views: bound.holds(column(views[PAIR], "kl"))

    def reason(self, step: Views, kept: bool) -> str:
        """On which side of the threshold it is."""
        sign = Bound(self.beta, None).sign(kept)
        return _verdict(kept, f"KL {_only(step[PAIR], 'kl'):.3g} {sign} β {self.beta:g}")


class All(Selector):
    """Every step."""

    word: ClassVar[str] = "all"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Its name."""
        return {"selector": self.word}

    def keeper(self, parts: Parts) -> Keeps:
        """Everywhere."""
        return lambda views: np.ones(len(_any(views)), dtype=bool)

    def reason(self, step: Views, kept: bool) -> str:
        """There is none but the arm's."""
        kl = f" (KL {_only(step[PAIR], 'kl'):.2f})" if PAIR in step else ""
        return f"Kept, as this arm keeps every step{kl}."


class Matched(Section):
    """The arm called `arm`, and its `selector`, which says how many steps of a rollout are kept."""

    arm: str
    selector: Annotated[SerializeAsAny[Selector], BeforeValidator(lambda written: read_selector(written))]


class Rule(Selector):
    """Steps by a `signal`, one number a step, and exactly one of `above`, `below`, `top` and `match`.

    `above` and `below` keep what is strictly beyond a number. `top` keeps the share of all steps of the
    source with the largest values. `match` names an arm and keeps, of each rollout, the steps with the
    largest values, as many as that arm keeps of it. Among equal values earlier steps come first. `of` and
    `over` name the models that the signal reads, by default `expert` and `amateur`; `seed` says which steps
    `random` draws, by default the run's.
    """

    word: ClassVar[str] = "rule"

    signal: Word
    above: float | None = None
    below: float | None = None
    top: Annotated[float, Field(gt=0, le=1)] | None = None
    match: Annotated[str, Field(min_length=1)] | Matched | None = None
    of: Annotated[str, Field(min_length=1)] | None = None
    over: Annotated[str, Field(min_length=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Rule:
        rules = [name for name in ("above", "below", "top", "match") if getattr(self, name) is not None]
        if len(rules) != 1:
            found = " and ".join(f"`{name}`" for name in rules) or "none"
            raise ValueError(
                f"a signal needs exactly one of `above`, `below`, `top` and `match`, and has {found}"
            )
        return self

    @model_validator(mode="after")
    def _what_the_signal_takes(self) -> Rule:
        readers = self._signal.readers
        for name, needed in (("of", 1), ("over", 2)):
            if getattr(self, name) is not None and readers < needed:
                raise ValueError(f"the signal `{self.signal}` has no reader `{name}` to choose; leave it out")
        if readers == 2 and (self.of or PAIR[0]) == (self.over or PAIR[1]):
            raise ValueError(f"the signal `{self.signal}` compares two models: `of` and `over` are the same")
        if self.seed is not None and not self._signal.drawn:
            raise ValueError(f"the signal `{self.signal}` draws nothing; leave `seed` out")
        return self

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def is_meant_by(cls, written: Mapping[Any, Any]) -> bool:
        """Whether there is a signal that is none of continuations or attempts."""
        return super().is_meant_by(written) and written["signal"] not in (*WORDS, ATTEMPT)

    @property
    def _signal(self) -> Signal:
        return SIGNALS[self.signal]

    @property
    def _bound(self) -> Bound:
        return Bound(self.above, self.below)

    @property
    def _matched(self) -> Selector:
        assert isinstance(self.match, Matched), "a selector is matched before it is used"
        return self.match.selector

    @property
    def label(self) -> str:
        """The signal, its readers where these are not the usual ones, and the rule."""
        readers = [f"{word} {name}" for word, name in (("of", self.of), ("over", self.over)) if name]
        signal = " ".join([self._signal.label, *readers])
        if self.top is not None:
            return f"{signal}, top {100 * self.top:.4g}%"
        if self.matched_arm is not None:
            return f"{signal}, as many as {self.matched_arm}"
        return f"{signal} {self._bound.word} {self._bound.value:g}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What was written, with default readers left out and the matched arm's selector for its name."""
        usual = {"of": PAIR[0], "over": PAIR[1]}
        dump = {
            name: value for name, value in self.model_dump(mode="json").items() if usual.get(name) != value
        }
        if self.match is not None:
            dump["match"] = dict(self._matched.identity)
        if self._signal.drawn:
            dump["seed"] = self._seed
        return {"selector": dump}

    @property
    def _seed(self) -> int:
        assert self.seed is not None, "a selector is seeded before it is used"
        return self.seed

    @property
    def readings(self) -> frozenset[Reading]:
        """That of its signal, and those of the arm it is matched to."""
        own = [self._signal.reading(self.of, self.over)[0]] if self._signal.scored else []
        return frozenset(own).union(self.match.selector.readings if isinstance(self.match, Matched) else ())

    @property
    def continuings(self) -> frozenset[Continuing | Parting]:
        """Those of the arm it is matched to."""
        return self.match.selector.continuings if isinstance(self.match, Matched) else frozenset()

    @property
    def models(self) -> frozenset[str]:
        """Those behind its readings, and those that the arm it is matched to needs."""
        return super().models | (self.match.selector.models if isinstance(self.match, Matched) else set())

    @property
    def share(self) -> float:
        """As written, or that of the arm it is matched to, or about what stands out by the signal."""
        if self.top is not None:
            return self.top
        return self.match.selector.share if isinstance(self.match, Matched) else self._signal.share

    @property
    def threshold(self) -> float | None:
        """Where it is one of the pair's divergence."""
        usual = self.readings == {PAIR} and not self._signal.reading(self.of, self.over)[1]
        return self.above if self.signal == "kl" and usual else None

    @property
    def decides_alone(self) -> bool:
        """Unless it keeps a share of all steps, or as many as another arm."""
        return self.top is None and self.match is None

    @property
    def matched_arm(self) -> str | None:
        """As written."""
        return self.match.arm if isinstance(self.match, Matched) else self.match

    def matching(self, selector_of: Callable[[str], Selector]) -> Rule:
        """With the selector of the arm it is matched to."""
        if not isinstance(self.match, str):
            return self
        return self.model_copy(update={"match": Matched(arm=self.match, selector=selector_of(self.match))})

    def seeded(self, seed: int) -> Rule:
        """With a seed, if it draws, and with a seeded match."""
        update: dict[str, Any] = {}
        if self._signal.drawn and self.seed is None:
            update["seed"] = seed
        if isinstance(self.match, Matched):
            selector = self.match.selector.seeded(seed)
            update["match"] = self.match.model_copy(update={"selector": selector})
        return self.model_copy(update=update)

    def _values(self, views: Views) -> NDArray[Any]:
        return self._signal.measured(views, self.of, self.over, self.seed)

    def keeper(self, parts: Parts) -> Keeps:
        """By the rule; `top` looks at all parts first."""
        if self.top is not None:
            cut = cut_at(((self._values(views), _any(views)) for views in parts()), self.top)
            return lambda views: cut.keeps(self._values(views), _any(views))
        if self.match is None:
            bound = self._bound
            return lambda views: bound.holds(self._values(views))
        like = self._matched.keeper(parts)
        return lambda views: most_of_each(self._values(views), _any(views).rollout, like(views))

    def reason(self, step: Views, kept: bool) -> str:
        """The signal's value, and on which side of the rule it is."""
        said = self._signal.said(float(self._values(step)[0]))
        if self._signal.named is not None and self.top is None and self.match is None:
            return _verdict(kept, said)
        if self.top is None and self.match is None:
            return _verdict(kept, f"{said} {self._bound.sign(kept)} {self._bound.value:g}")
        among = "among" if kept else "not among"
        if self.top is not None:
            return _verdict(kept, f"{said}, {among} the top {100 * self.top:.4g}% of all steps")
        return _verdict(
            kept, f"{said}, {among} the largest of this rollout, as many as {self.matched_arm} keeps"
        )


SELECTORS: tuple[type[Selector], ...] = (Kl, All, Rule, Continued, Attempt)
SELECTOR = Family(SELECTORS, base=Selector)
AnySelector = Annotated[Selector, SELECTOR]


def read_selector(written: object) -> object:
    """The selector that a dumped one stands for. Raises `ValueError` where there is none."""
    return SELECTOR.read(written)


def _verdict(kept: bool, why: str) -> str:
    return f"{'Kept' if kept else 'Not kept'}: {why}."


def _only(step: Steps, name: str) -> float:
    return float(column(step, name)[0])


def _any(views: Views) -> Steps:
    """The steps under any reading: all have the same places."""
    return next(iter(views.values()))
