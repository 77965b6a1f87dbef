"""Answers that go round in a circle: where a run of tokens has been written so many times in a row.

An answer ends with the token at which, for some number p of tokens, its last `times` x p tokens are one run
of p tokens over and over; where these are fewer than `REPEATED_TOKENS`, its last `REPEATED_TOKENS` are, the
first of the runs perhaps in part. Every token counts but the prompt's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrbench.suites.suite import REPEATED_TOKENS


class Repetition:
    """Watches one answer grow, and says when it ends so."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._seen = 0
        self._ended = False
        # Of every period p, at place p - 1: how many of the last tokens are those of p tokens before.
        self._same = np.zeros(REPEATED_TOKENS, dtype=np.int64)
        self._tokens = np.zeros(REPEATED_TOKENS, dtype=np.int64)
        self._needed = self._need(REPEATED_TOKENS)

    def ends(self, written: Sequence[int]) -> bool:
        """Whether the answer has ended with one of its tokens so far; `written` only grows between calls."""
        while self._seen < len(written) and not self._ended:
            self._ended = self.add(written[self._seen])
        return self._ended

    def add(self, token: int) -> bool:
        """Whether the answer ends with this token, which comes after those seen."""
        seen = self._seen
        if seen == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._same = np.concatenate([self._same, np.zeros_like(self._same)])
            self._needed = self._need(len(self._tokens))
        same = self._same[:seen]
        same += 1
        same *= self._tokens[:seen][::-1] == token
        self._tokens[seen] = token
        self._seen = seen + 1
        return bool((same >= self._needed[:seen]).any())

    def _need(self, most: int) -> np.ndarray:
        """By period, how many tokens in a row have to be those of a period before."""
        periods = np.arange(1, most + 1)
        needed: np.ndarray = np.maximum(self._times * periods, REPEATED_TOKENS) - periods
        return needed


def ended_length(completion: Sequence[int], times: int | None) -> int:
    """How many tokens of a completion there are until it ends by repetition; all where it does not."""
    if times is None:
        return len(completion)
    watch = Repetition(times)
    ended = (place for place, token in enumerate(completion) if watch.add(token))
    return next((place + 1 for place in ended), len(completion))
