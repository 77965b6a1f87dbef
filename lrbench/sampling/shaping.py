"""What is made of the text of a solution: its final answer, its equations, or what its answer needs.

A solution is a chain of pieces: its lines and sentences, each with the space behind it. `read` says which
answer a text gives, None for none; no right answer is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Read = Callable[[str], str | None]

PIECE = re.compile(r".*?(?:[.!?](?=\s)\s+|\n+\s*|$)", re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_VALUE = r"[$(]*-?\d[\d.,]*[)%]*"
# At least two values with an operator between, and what they are equal to.
EQUATION = re.compile(rf"{_VALUE}(?:\s*[-+*/^×÷·]\s*{_VALUE})+\s*=\s*-?\$?\d+(?:[.,]\d+)*")
RESULT = re.compile(r"=\s*-?\$?(\d+(?:[.,]\d+)*)")


def pieces_of(text: str) -> list[str]:
    """Lines and sentences in order; together they are the text."""
    return [piece for piece in PIECE.findall(text) if piece]


def final_pieces(pieces: Sequence[str], read: Read) -> range | None:
    """The places of the final answer, None where there is none.

    No piece before them is needed for it, and none behind.
    """
    answer = read("".join(pieces))
    if answer is None:
        return None
    places = range(len(pieces))
    start = next(place for place in reversed(places) if read("".join(pieces[place:])) == answer)
    last = next(place for place in places[start:] if read("".join(pieces[start : place + 1])) == answer)
    return range(start, last + 1)


def final_answer(text: str, read: Read) -> str | None:
    """The shortest run of whole pieces at the end of a text that gives its answer, without what follows it.

    None where the text gives no answer.
    """
    span = final_pieces(pieces_of(text), read)
    return None if span is None else "".join(pieces_of(text)[span.start : span.stop]).strip()


def equations(text: str, read: Read) -> str | None:
    """Every equation before the final answer, one a line, then that; None without any or an answer."""
    pieces = pieces_of(text)
    span = final_pieces(pieces, read)
    if span is None:
        return None
    found = EQUATION.findall("".join(pieces[: span.start]))
    return "\n".join([*found, "".join(pieces[span.start : span.stop]).strip()]) if found else None


def pruned(text: str, problem: str, read: Read) -> str | None:
    """The pieces that the answer needs, None where the text gives none.

    The final answer is needed. So is, for every number that a needed piece goes on from, the last piece
    before it that states the number, behind an equals sign; where none does and the problem does not name the
    number either, the first piece that names it. A text of which all is needed stays as it is, letter for
    letter.
    """
    pieces = pieces_of(text)
    span = final_pieces(pieces, read)
    if span is None:
        return None
    given = set(NUMBER.findall(problem))
    needed = set(span)
    for place in reversed(range(span.stop)):
        if place in needed:
            goes_on_from = NUMBER.findall(RESULT.sub("=", pieces[place]))
            origins = (_origin(number, pieces[:place], given) for number in goes_on_from)
            needed |= {origin for origin in origins if origin is not None}
    if len(needed) == len(pieces):
        return text
    return "".join(pieces[place] for place in sorted(needed)).rstrip()


def _origin(number: str, before: Sequence[str], given: set[str]) -> int | None:
    """Which of the pieces `before` one that names a number it has that from."""
    for place in reversed(range(len(before))):
        if number in RESULT.findall(before[place]):
            return place
    if number in given:
        return None
    return next((place for place, piece in enumerate(before) if number in NUMBER.findall(piece)), None)
