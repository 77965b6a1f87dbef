"""What is known of an answer besides its tokens: who has chosen each of them, and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

# Origins of tokens that no model has chosen: given with the question, or because a rule overruled the model.
GIVEN, FORCED = "given", "forced"


@dataclass(frozen=True)
class Answered:
    """A completion with the origin of each of its tokens: a model's name, `given`, `forced` or `mix`.

    `passes` counts the forward passes of each model that it took, by name: one reads the prompt, or the token
    written last, and gives the next. `written` counts all tokens that models chose for it, also those of
    samples that were outvoted, and draws that were not taken.
    """

    completion: tuple[int, ...] = ()
    origins: tuple[str, ...] = ()
    passes: Mapping[str, int] = field(default_factory=dict)
    written: int = 0

    @classmethod
    def alone(cls, name: str, completion: tuple[int, ...]) -> Answered:
        """What one model wrote by itself."""
        count = len(completion)
        return cls(completion, (name,) * count, {name: count} if count else {}, count)

    def cut(self, length: int) -> Answered:
        """The first `length` tokens of it; it took what it took."""
        if length == len(self.completion):
            return self
        return replace(self, completion=self.completion[:length], origins=self.origins[:length])

    def then(self, other: Answered) -> Answered:
        """This answer, continued by another."""
        return Answered(
            self.completion + other.completion,
            self.origins + other.origins,
            summed([self.passes, other.passes]),
            self.written + other.written,
        )


@dataclass(frozen=True)
class Tally:
    """Sums over answers: their tokens, by origin too, the tokens written for them, and passes by model."""

    answered: int
    origins: Mapping[str, int]
    passes: Mapping[str, int]
    written: int

    @property
    def passes_per_token(self) -> float | None:
        """Forward passes, of all models together, for each token that was answered; None without any."""
        return sum(self.passes.values()) / self.answered if self.answered else None


def tally(answers: Iterable[Answered]) -> Tally:
    """The sums over `answers`."""
    answers = list(answers)
    origins = Counter(origin for answer in answers for origin in answer.origins)
    return Tally(
        answered=sum(len(answer.completion) for answer in answers),
        origins=dict(sorted(origins.items())),
        passes=summed(answer.passes for answer in answers),
        written=sum(answer.written for answer in answers),
    )


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up; names in alphabetical order."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
