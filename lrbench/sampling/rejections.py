"""Why sampled solutions are not learnt from, and what is said when that is all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Rejection(StrEnum):
    """Why a sampled solution is not learnt from."""

    UNFINISHED = "unfinished"
    UNREAD = "unread"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"


WHAT_TO_DO = {
    Rejection.UNFINISHED: "raise sampling.solutions.max_new_tokens, or use an expert that ends its turns",
    Rejection.UNREAD: "say in sampling.system_prompt how an answer is to be given",
    Rejection.WRONG: "raise sampling.solutions.samples_per_problem, or give easier problems",
    Rejection.NO_ANSWER: "give problems with answers",
}


# What answers were, by how they were rejected.
RIGHT = "right"
WORDS = {
    Rejection.UNFINISHED: "had not ended after {limit} tokens",
    Rejection.UNREAD: "ended without an answer that can be read",
    Rejection.WRONG: "ended with a wrong answer",
    Rejection.NO_ANSWER: 'were for problems without an "answer"',
    RIGHT: "ended with the right answer",
}


def told(became: Mapping[str, int], limit: int) -> list[str]:
    """What became of answers of at most `limit` tokens: `12 ended with a wrong answer`."""
    return [
        f"{became[kind]:,} {what.format(limit=limit)}" for kind, what in WORDS.items() if became.get(kind)
    ]


def why_none_is_right(rejected: Mapping[str, int], limit: int) -> str:
    """What became of sampled solutions of which none is right, and what to do about most of them.

    `rejected` counts them by `Rejection`, `limit` is the most tokens that one may have.
    """
    most = max(WHAT_TO_DO, key=lambda kind: rejected.get(kind, 0))
    return f"{', '.join(told(rejected, limit))}; {WHAT_TO_DO[most]}"
