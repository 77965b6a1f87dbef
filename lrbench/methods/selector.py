"""What all selectors have in common: they say which steps of the scored rollouts are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lrbench.methods.arrays import np
from lrbench.methods.component import Component
from lrbench.methods.readings import Reading
from lrbench.methods.steps import Views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lrbench.methods.attempts import Parting
    from lrbench.methods.continued import Continuing

# Which steps of a part of the source are kept, (N,) for its N.
Keeps = Callable[[Views], "NDArray[np.bool_]"]
Parts = Callable[[], Iterable[Views]]


class Selector(Component):
    """Base of all selectors.

    Every selector decides over whole rollouts, of any part of the source.
    """

    @property
    def readings(self) -> frozenset[Reading]:
        """The views of the steps that it decides by; none where unscored rollouts are enough."""
        return frozenset()

    @property
    def continuings(self) -> frozenset[Continuing | Parting]:
        """What has to be found out of the rollouts before it can decide, seen by the names of its views."""
        return frozenset()

    @property
    def models(self) -> frozenset[str]:
        """The models behind its readings."""
        return frozenset(model for reading in self.readings for model in reading)

    @property
    def thresholds(self) -> frozenset[str]:
        """The fields of `divergence` that it takes its settings from."""
        return frozenset()

    @property
    def share(self) -> float:
        """About which share of the steps it keeps, for estimates before anything is scored."""
        return 1.0

    @property
    def decides_alone(self) -> bool:
        """Whether a step is kept or not whatever the other rollouts are."""
        return True

    @property
    def threshold(self) -> float | None:
        """The divergence above which it keeps steps, in nats; None where it goes by something else."""
        return None

    @property
    def matched_arm(self) -> str | None:
        """The arm whose number of steps it keeps; None where it goes by none."""
        return None

    def completed(self, beta: float) -> Selector:
        """The selector with the recipe's `beta` where it has none of its own."""
        return self

    def matching(self, selector_of: Callable[[str], Selector]) -> Selector:
        """The selector with that of the arm it is matched to, which `selector_of` finds, completed."""
        return self

    def seeded(self, seed: int) -> Selector:
        """The selector with a run's `seed` where it draws steps and says none of its own."""
        return self

    def keep(self, views: Views) -> NDArray[np.bool_]:
        """(N,) True where a step is kept, of all N steps of the source."""
        return self.keeper(lambda: [views])(views)

    def keeper(self, parts: Parts) -> Keeps:
        """What keeps steps of one part of the source after the other.

        `parts` are all of them, in order, for a selector whose decision on a step depends on all others; any
        other does not ask for them.
        """
        raise NotImplementedError

    def reason(self, step: Views, kept: bool) -> str:
        """Why the one step in `step` is kept or not, in a sentence."""
        raise NotImplementedError
