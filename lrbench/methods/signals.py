"""Signals: one number for every step, from what its readers thought, and bounds on them. Pure functions.

Columns named after the expert are of a signal's first reader, those named after the amateur of its second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lrbench.methods.arrays import np
from lrbench.methods.component import EXPERT
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.steps import Views, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

Word = Literal[
    "kl", "kl_reverse", "entropy", "entropy_amateur", "disagree", "surprise", "excess", "step", "random"
]
# What the readers' columns are called when their places are exchanged.
EXCHANGED = {
    "kl": "kl_reverse",
    "kl_reverse": "kl",
    "entropy_expert": "entropy_amateur",
    "entropy_amateur": "entropy_expert",
    "top1_expert": "top1_amateur",
    "top1_amateur": "top1_expert",
    "own_log_p_expert": "own_log_p_amateur",
    "own_log_p_amateur": "own_log_p_expert",
}


# What says nothing of a second reader.
FIRST_ALONE = frozenset({"rollout", "step", "entropy_expert", "top1_expert", "own_log_p_expert"})


@dataclass(frozen=True)
class Bound:
    """What is strictly `above` a number, or strictly `below` one: exactly one of them is given."""

    above: float | None
    below: float | None

    @property
    def value(self) -> float:
        """The number."""
        found = self.above if self.below is None else self.below
        assert found is not None, "a bound is checked before it is used"
        return found

    @property
    def word(self) -> str:
        """`above` or `below`."""
        return "above" if self.below is None else "below"

    def sign(self, holds: bool = True) -> str:
        """How a value stands to the number where the bound holds, or where it does not."""
        return {("above", True): ">", ("above", False): "≤", ("below", True): "<", ("below", False): "≥"}[
            self.word, holds
        ]

    def holds(self, values: Any) -> Any:
        """Where values are beyond the number, which is rounded as they are: truth values for an array."""
        with np.errstate(over="ignore"):
            return values > self.value if self.below is None else values < self.value


@dataclass(frozen=True)
class Signal:
    """A number for every step.

    `values` makes (N,) floats of the `columns` (N,), not a number where a column has none; `readers` says how
    many of the two models whose columns these are a recipe may choose: none, the first (`of`), or both (`of`
    and `over`). One that is `drawn` gets a seed after its columns. `named` are the words for a value, by
    value, where numbers say little; `share` is about which share of the steps stands out by it.
    """

    label: str
    columns: tuple[str, ...]
    values: Callable[..., NDArray[Any]]
    readers: Literal[0, 1, 2] = 0
    drawn: bool = False
    named: Mapping[float, str] | None = None
    share: float = 0.5

    @property
    def scored(self) -> bool:
        """Whether it says anything of steps that nobody scored."""
        return not {"rollout", "step"}.issuperset(self.columns)

    @property
    def reads_second(self) -> bool:
        """Whether it says anything of the second reader."""
        return not FIRST_ALONE.issuperset(self.columns)

    def reading(self, of: str | None, over: str | None) -> tuple[Reading, bool]:
        """The reading that has the columns when `of` and `over` read, and whether in exchanged places.

        Readings are of the expert first, wherever it takes part.
        """
        first = of or PAIR[0]
        second = over or PAIR[1]
        if self.readers == 1:
            return (PAIR if first in PAIR else (EXPERT, first)), first != EXPERT
        return ((EXPERT, first), True) if second == EXPERT else ((first, second), False)

    def measured(self, views: Views, of: str | None, over: str | None, seed: int | None) -> NDArray[Any]:
        """(N,) its values for the steps in `views`. Raises `RunError` where these lack a column."""
        if self.scored:
            reading, exchanged = self.reading(of, over)
            steps = views[reading]
        else:
            steps, exchanged = next(iter(views.values())), False
        names = [EXCHANGED.get(name, name) if exchanged else name for name in self.columns]
        columns = [column(steps, name) for name in names]
        return self.values(*columns, seed) if self.drawn else self.values(*columns)

    def said(self, value: float) -> str:
        """A value in words: `entropy 1.32`."""
        if np.isnan(value):
            return f"{self.label} unknown, as the models do not share the token"
        return f"{self.label} {value:.3g}" if self.named is None else self.named[value]


def itself(values_N: NDArray[Any]) -> NDArray[Any]:
    """(N,) a column as it is."""
    return values_N


def differ(first_N: NDArray[np.int32], second_N: NDArray[np.int32]) -> NDArray[np.float32]:
    """(N,) 1 where the two readers' first choices differ, else 0."""
    differ_N: NDArray[np.float32] = (first_N != second_N).astype(np.float32)
    return differ_N


def surprise(own_log_p_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) -log p of the rollout's own token, in nats."""
    nats_N: NDArray[np.float32] = -own_log_p_N
    return nats_N


def excess(first_N: NDArray[np.float32], second_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) by how many nats the own token surprises the first reader more than the second."""
    return second_N - first_N


def counted(step_N: NDArray[np.int32]) -> NDArray[np.float32]:
    """(N,) the step's place in its rollout, from 0."""
    return step_N.astype(np.float32)


def draws(rollout_N: NDArray[np.int32], step_N: NDArray[np.int32], seed: int | None) -> NDArray[np.float64]:
    """(N,) uniform in [0, 1): a hash of seed, rollout and step, so that no draw depends on another."""
    assert seed is not None, "a selector that draws is seeded before it is used"
    hashed = _mixed(np.array([seed], dtype=np.uint64))
    for column_N in (rollout_N, step_N):
        hashed = _mixed(hashed ^ column_N.astype(np.uint64))
    # The highest 53 bits, as many as a float64 holds.
    draws_N: NDArray[np.float64] = (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return draws_N


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014), one step on."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


AGREEMENT = {0.0: "first choices agree", 1.0: "first choices differ"}
SIGNALS: Mapping[Word, Signal] = {
    "kl": Signal("KL", ("kl",), itself, readers=2, share=0.2),
    "kl_reverse": Signal("reverse KL", ("kl_reverse",), itself, readers=2, share=0.2),
    "entropy": Signal("entropy", ("entropy_expert",), itself, readers=1),
    "entropy_amateur": Signal("entropy of the amateur", ("entropy_amateur",), itself),
    "disagree": Signal(
        "disagreement", ("top1_expert", "top1_amateur"), differ, readers=2, named=AGREEMENT, share=0.2
    ),
    "surprise": Signal("surprise", ("own_log_p_expert",), surprise, readers=1),
    "excess": Signal("excess surprise", ("own_log_p_expert", "own_log_p_amateur"), excess, readers=2),
    "step": Signal("step", ("step",), counted),
    "random": Signal("random", ("rollout", "step"), draws, drawn=True),
}
