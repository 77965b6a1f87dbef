"""When the work on an arm began and ended, and when each point of its curves was measured, from its records.

Records say when each stage was finished and for how long it worked. Those of earlier versions have no such
moments: there the stages count as made one behind the other, the evaluations last, and then recorded.
All moments here are milliseconds since 1970, in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lrbench.results.records import ArmRecord, ScoreRecord

TRAINING = "train"
# Curves that are counted in updates done: their point at 0 is from before the first one.
COUNTED_DONE = frozenset({"held_out_perplexity"})


@dataclass(frozen=True)
class Span:
    """From when to when."""

    begin: int
    end: int

    def at(self, share: float) -> int:
        """The moment at which so much of it had passed."""
        return self.begin + round((self.end - self.begin) * min(max(share, 0.0), 1.0))


def work_on(arm: ArmRecord, scores: Sequence[ScoreRecord]) -> Span:
    """From the beginning of the arm's first stage, or evaluation, to when the last of it was recorded."""
    ends = [milliseconds(arm.recorded_at), *(milliseconds(score.recorded_at) for score in scores)]
    begun = [
        min(ends) - _thousandths(sum(arm.costs.seconds.values()) + sum(score.seconds for score in scores))
    ]
    if arm.made_at or any(score.measured_at for score in scores):
        finished = [(moment, arm.costs.seconds.get(name, 0.0)) for name, moment in arm.made_at.items()]
        finished += [(score.measured_at, score.seconds) for score in scores if score.measured_at]
        begun = [milliseconds(moment) - _thousandths(seconds) for moment, seconds in finished]
        ends += [milliseconds(moment) for moment, _ in finished]
    return Span(min(begun), max(ends))


def training_of(arm: ArmRecord, scores: Sequence[ScoreRecord]) -> Span:
    """From when to when the arm was trained."""
    seconds = _thousandths(arm.costs.seconds.get(TRAINING, 0.0))
    if TRAINING in arm.made_at:
        end = milliseconds(arm.made_at[TRAINING])
    else:
        end = milliseconds(arm.recorded_at) - _thousandths(sum(score.seconds for score in scores))
    return Span(end - seconds, end)


def moment_of(name: str, update: int, updates: int, training: Span) -> int:
    """When the point at `update` of the curve `name` was measured, of `updates` that took equally long."""
    done = update if name in COUNTED_DONE else update + 1
    return training.at(done / updates if updates else 1.0)


def milliseconds(moment: str) -> int:
    """A moment in ISO 8601."""
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _thousandths(seconds: float) -> int:
    return round(seconds * 1000)
