"""What the answers of a study's arms took, and what the arms use besides the pair."""

from __future__ import annotations

from collections.abc import Iterator

from lrbench.results.rendering.sheet import Table
from lrbench.results.studies.content import Number
from lrbench.results.studies.gathering import Gathered, Line
from lrbench.results.uses import UNKNOWN, Uses, mean_uses
from lrbench.results.wording import TOOK_WITHIN, uses_header, uses_texts


def uses_of(line: Line) -> Uses:
    """What a line uses, the mean over its seeds; nothing is known of one without results."""
    return mean_uses([row.uses for row in line.rows]) if line.rows else UNKNOWN


def uses_tables(gathered: Gathered) -> Iterator[Table]:
    """Per expert a line per arm, where any of its arms uses more than the pair, or more than one model."""
    for expert, lines in gathered.by_expert():
        if any(row.uses.notable for line in lines for row in line.rows):
            header = uses_header([uses_of(line) for line in lines])
            cells = tuple((line.label, *uses_texts(uses_of(line), header)) for line in lines)
            yield Table(f"{expert}: {TOOK_WITHIN}", ("arm", *header), cells)


def uses_fields(line: Line) -> dict[str, Number]:
    """The same as CSV fields."""
    return uses_of(line).fields
