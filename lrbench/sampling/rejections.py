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


def why_none_is_right(rejected: Mapping[str, int], limit: int) -> str:
    """What became of sampled solutions of which none is right, and what to do about most of them.

    `rejected` counts them by `Rejection`, `limit` is the most tokens that one may have.
    """
    words = {
        Rejection.UNFINISHED: f"had not ended after {limit} tokens",
        Rejection.UNREAD: "ended without an answer that can be read",
        Rejection.WRONG: "ended with a wrong answer",
        Rejection.NO_ANSWER: 'were for problems without an "answer"',
    }
    counts = [f"{rejected[kind]:,} {what}" for kind, what in words.items() if rejected.get(kind)]
    most = max(words, key=lambda kind: rejected.get(kind, 0))
    return f"{', '.join(counts)}; {WHAT_TO_DO[most]}"
