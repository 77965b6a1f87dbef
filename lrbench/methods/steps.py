"""Steps: what selectors see of the steps of rollouts under one reading, as columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lrbench.errors import RunError
from lrbench.methods.arrays import np
from lrbench.methods.readings import Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32] | None"
Integers: TypeAlias = "NDArray[np.int32] | None"

COLUMNS = (
    "rollout",
    "step",
    "kl",
    "kl_reverse",
    "entropy_expert",
    "entropy_amateur",
    "top1_expert",
    "top1_amateur",
    "own_log_p_expert",
    "own_log_p_amateur",
)
# Those of a view of continuations, which has no others.
TRIED = ("tried", "failed")


class Steps(Protocol):
    """N steps in rollout order, as `lrbench.sampling.scores.Scores` has them, each column (N,).

    `rollout` counts from the first rollout of the source, whatever part of it this is; `step` counts from 0
    within its rollout. The other columns are None where nobody scored the steps, or a version that did not
    store them did; the reading's first model is called expert there, its second amateur.
    """

    @property
    def rollout(self) -> NDArray[np.int32]: ...
    @property
    def step(self) -> NDArray[np.int32]: ...
    @property
    def kl(self) -> Floats: ...
    @property
    def kl_reverse(self) -> Floats: ...
    @property
    def entropy_expert(self) -> Floats: ...
    @property
    def entropy_amateur(self) -> Floats: ...
    @property
    def top1_expert(self) -> Integers: ...
    @property
    def top1_amateur(self) -> Integers: ...
    @property
    def own_log_p_expert(self) -> Floats: ...
    @property
    def own_log_p_amateur(self) -> Floats: ...

    def __len__(self) -> int: ...


# The same steps under every reading that a selector asks for, at least one.
Views = Mapping[Reading, Steps]


@dataclass(frozen=True)
class Columns:
    """Steps by themselves: some of others, those of rollouts that nobody scored, or a view of continuations.

    In that, `tried` counts the other tokens that were tried at a step, not a number where none was, and
    `failed` those after which the rollout did not end up where it should.
    """

    rollout: NDArray[np.int32]
    step: NDArray[np.int32]
    kl: Floats = None
    kl_reverse: Floats = None
    entropy_expert: Floats = None
    entropy_amateur: Floats = None
    top1_expert: Integers = None
    top1_amateur: Integers = None
    own_log_p_expert: Floats = None
    own_log_p_amateur: Floats = None
    tried: Floats = None
    failed: Floats = None

    def __len__(self) -> int:
        return len(self.step)


def unscored(lengths: Sequence[int], first_rollout: int = 0) -> Columns:
    """The steps of rollouts with so many steps each, numbered from `first_rollout` on."""
    last = first_rollout + len(lengths)
    return Columns(
        rollout=np.repeat(np.arange(first_rollout, last, dtype=np.int32), lengths),
        step=np.concatenate([np.arange(count, dtype=np.int32) for count in [0, *lengths]]),
    )


def taken(views: Views, which: Any) -> Views:
    """Some of the steps, under every reading; `which` is as NumPy indexes."""
    return {reading: _part(steps, which) for reading, steps in views.items()}


def _part(steps: Steps, which: Any) -> Columns:
    columns = {name: getattr(steps, name, None) for name in (*COLUMNS, *TRIED)}
    return Columns(**{name: column[which] for name, column in columns.items() if column is not None})


def column(steps: Steps, name: str) -> NDArray[Any]:
    """(N,) the column called `name`. Raises `RunError` where the steps do not have it."""
    found: NDArray[Any] | None = getattr(steps, name)
    if found is None:
        raise RunError(
            f"these steps have no `{name}`: they were scored by a version that did not store it, or not at "
            "all. Run the recipe again, and they are scored anew."
        )
    return found
