"""What an answer's own tokens say: how likely they are to the arm's model, and when it was first right."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.models.loading import Tokenizer
from lrbench.sampling.engines.answered import FORCED, GIVEN
from lrbench.suites.grader import Answered, Grader

if TYPE_CHECKING:
    from lrbench.evaluation.harness import Item
    from lrbench.sampling.engines.answered import Answered as Written

# Of a sum of nats; finer than how a batch rounds it.
DIGITS = 3
# After a sentence or a line an answer may be read; a point within a number ends none.
_END = re.compile(r"[.!?。！？][\"')\]}$*]*(?=\s)|\n")

LogProbabilities = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], list[list[float]]]


@dataclass(frozen=True)
class Tracing:
    """Traces of the answers to one benchmark.

    `likely` gives the log-probabilities of completions after their prompts, and `stop_ids` end completions
    and are no part of their text. `confidence` gives those of another model, by which tokens are weighed.
    """

    likely: LogProbabilities
    tokenizer: Tokenizer
    stop_ids: frozenset[int]
    grader: Grader
    confidence: LogProbabilities | None = None

    def of(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Written], items: Sequence[Item]
    ) -> Iterator[dict[str, Any]]:
        """A trace for each graded answer: `nll` in nats over the `scored` tokens, and `first_right`.

        With a `confidence` also `weighed_nll`, the sum of every token's nats times its weight, and `weight`,
        the sum of the weights.

        Tokens that no model has chosen are not scored.

        `first_right` is how many tokens had been written when the answer was first right, None for never.
        """
        completions = [answer.completion for answer in answers]
        logs = self.likely(prompts, completions)
        others = logs if self.confidence is None else self.confidence(prompts, completions)
        for own, other, answer, item in zip(logs, others, answers, items, strict=True):
            chosen, confident = (_of_models(found, answer.origins) for found in (own, other))
            right = first_right(self.grader, item.completion, item.gold, item.problem, right=item.paper)
            yield {
                "nll": max(0.0, round(-sum(chosen), DIGITS)),
                "scored": len(chosen),
                "first_right": None if right is None else self._tokens(answer.completion, right),
                **({} if self.confidence is None else _weighed(chosen, confident)),
            }

    def _tokens(self, completion: Sequence[int], characters: int) -> int:
        """The fewest tokens at the beginning of a completion whose text has so many characters."""
        text = [token for token in completion if token not in self.stop_ids]
        low, high = 0, len(text)
        while low < high:
            middle = (low + high) // 2
            if len(self.tokenizer.decode(text[:middle])) >= characters:
                high = middle
            else:
                low = middle + 1
        return low


def token_weights(logs: Sequence[float]) -> list[float]:
    """The weights of the tokens of one trace, from their log-probabilities under another model.

    Its probabilities, spread from 0 for the least to 1 for the most likely token; all 1 where they are equal.
    """
    likely = [math.exp(log) for log in logs]
    low, high = (min(likely), max(likely)) if likely else (0.0, 0.0)
    if high == low:
        return [1.0] * len(likely)
    return [(one - low) / (high - low) for one in likely]


def _weighed(logs: Sequence[float], confident: Sequence[float]) -> dict[str, float]:
    # Engines with no room for a last token leave it out of both.
    pairs = list(zip(logs, token_weights(confident[: len(logs)]), strict=False))
    return {
        "weighed_nll": max(0.0, round(-sum(log * weight for log, weight in pairs), DIGITS)),
        "weight": round(sum(weight for _, weight in pairs), DIGITS),
    }


def _of_models(logs: Sequence[float], origins: Sequence[str]) -> list[float]:
    """Those of tokens that models chose. An engine may have had no room to ask for the last token."""
    return [log for log, origin in zip(logs, origins, strict=False) if origin not in (GIVEN, FORCED)]


def first_right(grader: Grader, completion: str, gold: str, problem: str, *, right: bool) -> int | None:
    """How many characters of a completion had been written when it was first right, None for never.

    It is judged after every sentence and line in which the answer that can be read has changed, and at its
    end, where it is known whether it is `right`.
    """
    judged: str | None = None
    for end in _ends(completion):
        beginning = completion[:end]
        answer = grader.read(beginning)
        if answer is None or answer == judged:
            continue
        verdict = grader.grade(Answered(beginning, gold, problem))
        if verdict.correct:
            return end
        # A grader may read votes where it judges nothing yet, as before there is a box.
        judged = None if verdict.prediction is None else answer
    return len(completion) if right else None


def _ends(completion: str) -> Iterable[int]:
    """Where sentences and lines of a completion end, before its own end."""
    return (match.end() for match in _END.finditer(completion) if match.end() < len(completion))
