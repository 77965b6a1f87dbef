"""What the graded answers of one evaluation come to, as a score's record has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrbench.evaluation.graded_items import DRAW, TRACE, VOTE
from lrbench.evaluation.stated_confidence import stated_confidence
from lrbench.methods.answers import majority
from lrbench.results.records import Traces


@dataclass
class Answers:
    """The answers taken so far: all draws of an item, then those of the next.

    A draw is an outcome text under the paper verdict, one 0 or 1 per item; `exact` is of the first draw.
    `patterns` are those by which stated confidences are read.
    """

    ids: list[str] = field(default_factory=list)
    exact: str = ""
    patterns: tuple[str, ...] = ()
    _draws: list[str] = field(default_factory=list)
    _groups: list[str | None] = field(default_factory=list)
    _votes: list[list[str | None]] = field(default_factory=list)
    _stated: dict[str, list[list[float | None]]] = field(default_factory=dict)
    _traces: list[list[tuple[Any, ...]]] = field(default_factory=list)
    _sampled: bool = False
    _texts: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], *patterns: str) -> Answers:
        """Those of graded items, with the fields of `harness.Item` and of draws."""
        answers = cls(patterns=patterns)
        for row in rows:
            answers.take(row)
        return answers

    def take(self, row: Mapping[str, Any]) -> None:
        """One more answer. Raises `ValueError` for a draw out of its place."""
        draw = row.get(DRAW, 0)
        self._sampled = self._sampled or DRAW in row
        if draw == 0:
            self.ids.append(row["id"])
            self.exact += "01"[bool(row["exact"])]
            self._groups.append(row.get("group"))
            self._votes.append([])
        if not self.ids or row["id"] != self.ids[-1] or draw != len(self._votes[-1]):
            raise ValueError(f"draw {draw} of {row['id']} is not where it belongs")
        if draw == len(self._draws):
            self._draws.append("")
            self._traces.append([])
            for pattern in self.patterns:
                self._stated.setdefault(pattern, []).append([])
        self._draws[draw] += "01"[bool(row["paper"])]
        self._votes[-1].append(row.get(VOTE))
        self._texts.update(json.dumps(row["completion"]).encode())
        if TRACE in row:
            trace = row[TRACE]
            counts = (row["tokens"], trace["first_right"], "01"[bool(row["truncated"])])
            weighed = (trace.get("weighed_nll"), trace.get("weight"))
            self._traces[draw].append((trace["nll"], trace["scored"], *counts, *weighed))
        for pattern in self.patterns:
            self._stated[pattern][draw].append(stated_confidence(pattern, row["completion"]))

    @property
    def texts_hash(self) -> str:
        """Identity of all texts, in their order."""
        return str(self._texts.hexdigest())

    @property
    def paper(self) -> str:
        """The outcomes of the first draw, or of the one answer."""
        return self._draws[0] if self._draws else ""

    @property
    def draws(self) -> tuple[str, ...] | None:
        """The outcomes of every draw; None where answers were not sampled."""
        return tuple(self._draws) if self._sampled else None

    @property
    def majority(self) -> str | None:
        """The outcomes of the answer that most draws of an item give; None where answers were not sampled."""
        if not self._sampled:
            return None
        return "".join(self._draws[majority(votes)][place] for place, votes in enumerate(self._votes))

    @property
    def agreeing(self) -> tuple[int, ...] | None:
        """How many draws of every item give its majority's answer; None where answers were not sampled.

        Of an item of which no draw holds an answer it is none.
        """
        if not self._sampled:
            return None
        elected = (votes[majority(votes)] for votes in self._votes)
        return tuple(
            0 if answer is None else votes.count(answer)
            for votes, answer in zip(self._votes, elected, strict=True)
        )

    def stated(self, pattern: str) -> tuple[tuple[float | None, ...], ...]:
        """How sure every draw of every item says it is, draw by draw; `pattern` is one of `patterns`."""
        return tuple(map(tuple, self._stated.get(pattern, [])))

    @property
    def traces(self) -> Traces | None:
        """What the tokens of the answers say; None where that was not measured."""
        if not any(self._traces):
            return None
        nll, scored, tokens, first_right, truncated, weighed_nll, weight = zip(
            *(zip(*draw, strict=True) for draw in self._traces), strict=True
        )
        return Traces(
            nll=nll,
            scored=scored,
            tokens=tokens,
            first_right=first_right,
            truncated=tuple(map("".join, truncated)),
            weighed_nll=None if None in weighed_nll[0] else weighed_nll,
            weight=None if None in weight[0] else weight,
        )

    @property
    def groups(self) -> tuple[int, ...] | None:
        """The number of every item's group, in the order in which groups come; None where items have none.

        An item without one is a group by itself.
        """
        if not any(group is not None for group in self._groups):
            return None
        numbers: dict[str | int, int] = {}
        named = (place if group is None else group for place, group in enumerate(self._groups))
        return tuple(numbers.setdefault(name, len(numbers)) for name in named)
