"""What a run has still to make, and how long that takes by what was expected and by what has passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lrbench.pipeline.estimating.scheduling import seconds_together
from lrbench.pipeline.stages.base import Stage
from lrbench.results.run_status import StageNow

# What is expected counts as so much of a run having passed as expected, until more has passed.
PRIOR_SHARE = 0.05


@dataclass(frozen=True)
class Ahead:
    """What is to be made: the stages `waiting` now, and those of `later` phases as far as they are known.

    `expected` has their seconds by key, None where nothing is known; `inputs` the keys of what each needs.
    Not `is_checked`: no run here has shown yet whether it is right, so what is left is said once a part of
    this one has.
    """

    waiting: Sequence[Stage]
    later: Sequence[Stage] = ()
    expected: Mapping[str, float] | None = None
    is_checked: bool = True
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many stages are to be made."""
        return len(self.waiting) + len(self.later)


class Remaining:
    """What is left of it, as stages end."""

    def __init__(self, ahead: Ahead, workers: int) -> None:
        self._ahead, self._workers = ahead, workers
        self._waiting = list(ahead.waiting)
        self._passed = self._passed_as_expected = 0.0

    def stage(self, label: str) -> Stage | None:
        """The stage that a label stands for, of those that wait."""
        return next((stage for stage in self._waiting if stage.label == label), None)

    def expected(self, key: str) -> float | None:
        """Seconds that the stage with this key was expected to take; None where that is not known."""
        return None if self._ahead.expected is None else self._ahead.expected.get(key)

    def end(self, label: str, seconds: float) -> bool:
        """A stage was made, in so many seconds; whether it was one that waited."""
        stage = self.stage(label)
        if stage is None:
            return False
        self._waiting.remove(stage)
        expected = self.expected(stage.key)
        if expected is not None:
            self._passed += seconds
            self._passed_as_expected += expected
        return True

    @property
    def factor(self) -> float:
        """What stages took so far, of what was expected of them."""
        prior = self._prior
        return (self._passed + prior) / (self._passed_as_expected + prior) if prior else 1.0

    def seconds(self, stage: StageNow | None) -> float | None:
        """Until all is made, where this stage is worked on now; None where nothing is known."""
        if self._ahead.expected is None:
            return None
        if not self._ahead.is_checked and self._passed_as_expected < self._prior:
            return None
        left = [*self._waiting, *self._ahead.later]
        factor = self.factor
        seconds = {item.key: self._ahead.expected.get(item.key, 0.0) * factor for item in left}
        if stage is not None and stage.remaining_seconds is not None:
            now = self.stage(stage.label)
            if now is not None:
                seconds[now.key] = stage.remaining_seconds
        inputs = {key: self._ahead.inputs.get(key, ()) for key in seconds}
        return seconds_together(seconds, inputs, self._workers, {item.key: item.parts for item in left})

    @property
    def _prior(self) -> float:
        return 0.0 if self._ahead.expected is None else PRIOR_SHARE * sum(self._ahead.expected.values())
