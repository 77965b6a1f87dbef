"""Items that repeat training problems: word for word, or nearly.

A near copy is an item of which at least half of the sequences of `WORDS` words are in training problems: one
with another name or number in it is, one that only shares a way of asking is not. Case, punctuation and white
space never count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORDS = 8
SHARE = 0.5

_WORD = re.compile(r"\w+")
Sequence = tuple[str, ...]


@dataclass(frozen=True)
class Repeats:
    """How many of `items` are `exact` copies of training problems, and how many more are `near` ones."""

    items: int
    exact: int
    near: int

    def __bool__(self) -> bool:
        return bool(self.exact or self.near)

    def text(self, benchmark: str) -> str:
        """A sentence for people."""
        kinds = ((self.exact, "word for word"), (self.near, "nearly"))
        how = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
        return (
            f"{self.exact + self.near} of the {self.items} items of {benchmark} "
            f"repeat{'s' * (self.exact + self.near == 1)} training problems "
            f"({how}): what is learnt from them is measured on them too."
        )


def count_repeats(items: Iterable[str], training: Iterable[str]) -> Repeats:
    """How many of the problems `items` repeat one that is learnt from."""
    whole: set[Sequence] = set()
    parts: set[Sequence] = set()
    for text in training:
        words = _words(text)
        whole.add(words)
        parts.update(_sequences(words))
    count = exact = near = 0
    for text in items:
        words = _words(text)
        count += 1
        if words in whole:
            exact += 1
        elif _share(words, parts) >= SHARE:
            near += 1
    return Repeats(count, exact, near)


def _share(words: Sequence, parts: set[Sequence]) -> float:
    """The share of the sequences of `words` that are among `parts`; 0 where there is none."""
    own = list(_sequences(words))
    return sum(sequence in parts for sequence in own) / len(own) if own else 0.0


def _words(text: str) -> Sequence:
    return tuple(_WORD.findall(text.casefold()))


def _sequences(words: Sequence) -> Iterator[Sequence]:
    return (words[start : start + WORDS] for start in range(len(words) - WORDS + 1))
