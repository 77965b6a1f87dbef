"""At which points a study's arms are, where those were chosen on validation problems."""

from __future__ import annotations

from collections.abc import Iterator

from lrbench.recipe.expanding import point_text
from lrbench.results.rendering.sheet import Table
from lrbench.results.studies.gathering import Gathered


def choice_tables(gathered: Gathered) -> Iterator[Table]:
    """Per expert a line per arm whose point was chosen, with what it was chosen among."""
    for expert, lines in gathered.by_expert():
        chosen = [(line.label, line.taken) for line in lines if line.taken is not None]
        if chosen:
            yield Table(
                f"{expert}: points chosen on training problems that nothing is learnt from",
                ("arm", "point", "chosen as"),
                tuple((label, point_text(taken.point), taken.reason) for label, taken in chosen),
            )
