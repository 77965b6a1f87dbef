"""Which lines of a trace are left out, found by trying shorter ones; pure functions.

A trace is lines and sentences, each with the space behind it, and an end: its final answer with all that
follows that, which is never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass

from lrbench.methods.shapes import Way
from lrbench.sampling.shaping import Read, final_pieces, pieces_of

Encode = Callable[[str], Sequence[int]]
# Gives runs of lines to try without, is sent whether that fails, and returns the lines to leave out.
Search = Generator[range, bool, list[int]]


@dataclass(frozen=True)
class Trace:
    """The `lines` before a final answer, and the `end` from there on."""

    lines: tuple[str, ...]
    end: str

    @classmethod
    def of(cls, text: str, read: Read) -> Trace | None:
        """That of a text; None where `read` finds no answer in it."""
        pieces = pieces_of(text)
        span = final_pieces(pieces, read)
        return None if span is None else cls(tuple(pieces[: span.start]), "".join(pieces[span.start :]))

    def without(self, dropped: Collection[int]) -> str:
        """The text without the lines at these places."""
        return "".join(line for place, line in enumerate(self.lines) if place not in dropped) + self.end


def by_line(tried: Sequence[int], _: int) -> Search:
    """Line after line from the first on; one that may be left out is so when the next is tried."""
    dropped: list[int] = []
    for place in tried:
        if not (yield range(place, place + 1)):
            dropped.append(place)
    return dropped


def by_end(tried: Sequence[int], count: int) -> Search:
    """All lines from the earliest one of `tried` on from which that may be left out, found by halving.

    As if what may be left out from one line on might be from every later one.
    """
    low, high = 0, len(tried)
    while low < high:
        middle = (low + high) // 2
        if (yield range(tried[middle], count)):
            low = middle + 1
        else:
            high = middle
    return list(range(tried[high], count)) if high < len(tried) else []


SEARCHES: dict[Way, Callable[[Sequence[int], int], Search]] = {"lines": by_line, "end": by_end}


def dropped_lines(way: Way, count: int, passed: Sequence[int]) -> set[int]:
    """The lines left out of `count`, once it is known at which ones a trial began that has `passed`."""
    if way == "lines" or not passed:
        return set(passed)
    return set(range(min(passed), count))


def beginning_without(trace: Trace, dropped: Collection[int], run: range, encode: Encode) -> tuple[int, ...]:
    """What a model goes on from so that it cannot write the lines of `run`, in token ids.

    The trace without the lines that are `dropped` already and those of `run`, up to and with the first token
    in which that differs from the trace with them. Where it is a beginning of that, all of it.
    """
    shorter = encode(trace.without({*dropped, *run}))
    longer = encode(trace.without(dropped))
    same = next(
        (place for place, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]),
        len(shorter),
    )
    return tuple(shorter[: same + 1])
