"""Claims that are judged at several points of a sweep: a table of each, in place of as many lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrbench.recipe.expanding import point_text
from lrbench.results.claims import Judgement
from lrbench.results.claims.in_words import claim_lines
from lrbench.results.rendering.sheet import Number, Table
from lrbench.results.text import plain
from lrbench.results.wording import UNKNOWN

HEADER = ("point", "verdict", "difference", "p for it", "p against it")


def point_tables(
    judged: Sequence[tuple[Mapping[str, Any], Sequence[Judgement]]],
) -> Iterator[tuple[Table, list[str]]]:
    """Of each claim its verdict at every point, and what is the same of all of these."""
    points = [point_text(point) for point, _ in judged]
    for judgements in zip(*(of_point for _, of_point in judged), strict=True):
        said = [set(map(str.strip, claim_lines(judgement)[1:])) for judgement in judgements]
        everywhere = set.intersection(*said)
        notes = [line for line in map(str.strip, claim_lines(judgements[0])[1:]) if line in everywhere]
        lines = tuple(
            (point, *_texts(judgement)) for point, judgement in zip(points, judgements, strict=True)
        )
        title = f"Claim: {plain(judgements[0].claim.text)}. {_counted(judgements)}"
        yield Table(title, HEADER, lines, names=2), notes


def _counted(judgements: Sequence[Judgement]) -> str:
    """`Supported at 1 of 4 points, underpowered at 3`."""
    counted = Counter(judgement.verdict for judgement in judgements)
    if len(counted) == 1:
        return f"{next(iter(counted)).capitalize()} at all {len(judgements)} points"
    (verdict, count), *others = counted.items()
    first = f"{verdict.capitalize()} at {count} of {len(judgements)} points"
    return ", ".join([first, *(f"{verdict} at {count}" for verdict, count in others)])


def _texts(judgement: Judgement) -> tuple[str, ...]:
    found = judgement.evidence
    if found is None:
        return judgement.verdict, UNKNOWN, UNKNOWN, UNKNOWN
    interval = f"[{found.interval.low:+.1f}, {found.interval.high:+.1f}]"
    texts = (f"{found.difference:+.1f} {interval}", _p(found.p_supported), _p(found.p_refuted))
    return (judgement.verdict, *map(Number, texts))


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
