"""The items of two results side by side: which were won and lost, and why answers were wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from lrbench.results.statistics import Flips

Item = dict[str, Any]

WON, LOST, BOTH, NEITHER = (cell.name for cell in fields(Flips))
OUTCOMES = {
    (True, False): WON,
    (False, True): LOST,
    (True, True): BOTH,
    (False, False): NEITHER,
}
# What a wrong answer is owed to, as far as its record tells.
TRUNCATION, EXTRACTION, REASONING = "truncation", "extraction", "reasoning"


class Pair(NamedTuple):
    """One item of a benchmark as two models answered it."""

    first: Item
    second: Item
    benchmark: str = ""

    @property
    def outcome(self) -> str:
        """Won, lost, both or neither, by the paper verdict and from the first model's side."""
        return OUTCOMES[bool(self.first["paper"]), bool(self.second["paper"])]


def paired(first: Sequence[Item], second: Sequence[Item], benchmark: str = "") -> list[Pair]:
    """The items of a benchmark that both answered, by their ids, in the first one's order."""
    others = {item["id"]: item for item in second}
    return [Pair(item, others[item["id"]], benchmark) for item in first if item["id"] in others]


def chosen(pairs: Iterable[Pair], outcome: str, phrase: str = "") -> list[Pair]:
    """The pairs with `outcome` that hold `phrase` in the problem, a completion, or the id, in any case."""
    wanted = phrase.casefold()
    return [pair for pair in pairs if pair.outcome == outcome and (not wanted or _holds(pair, wanted))]


def cause(item: Item) -> str | None:
    """Why an answer is wrong: its text was cut, no answer could be extracted, or it is another answer."""
    if item["paper"]:
        return None
    if item["truncated"]:
        return TRUNCATION
    return EXTRACTION if item["prediction"] is None else REASONING


def causes(items: Iterable[Item]) -> Counter[str]:
    """How many answers are wrong for which cause."""
    return Counter(found for item in items if (found := cause(item)) is not None)


def _holds(pair: Pair, wanted: str) -> bool:
    texts = (pair.first["id"], pair.first["problem"], pair.first["completion"], pair.second["completion"])
    return any(wanted in text.casefold() for text in texts)
