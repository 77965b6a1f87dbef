"""Convergence: the perplexity of held-out solutions while an arm trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lrbench.results.records import ArmRecord
from lrbench.results.rendering.sheet import Table
from lrbench.results.studies.content import Number
from lrbench.results.studies.figures import Lines
from lrbench.results.studies.gathering import Gathered, Line, command_for
from lrbench.results.studies.wording import short_model

CURVE = "held_out_perplexity"
SETTLED = 0.05
CONVERGENCE_NOTE = (
    "Perplexity of the reference solutions of problems that no arm learns from. `settled` is the first "
    "update from which on the perplexity stays within 5% of the way from its first value to its last: a "
    "fact about the curve that was run, not a claim about a longer one. The paper reports that perplexity "
    "converges within 1000 updates."
)

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class ConvergenceTables:
    """The held-out perplexity of the trained lines."""

    gathered: Gathered
    runs: Path

    @property
    def lines(self) -> list[Line]:
        """The lines that are trained."""
        return [line for line in self.gathered.lines if line.arm.ingredients is not None]

    def tables(self) -> Iterator[Table]:
        """Per expert: first, lowest and last perplexity and where it settled, means over the seeds."""
        header = ("arm", "seeds", "updates", "first", "lowest", "last", "settled")
        for expert, lines in self.gathered.by_expert():
            cells = []
            for line in lines:
                if line.arm.ingredients is None:
                    continue
                curves = _curves(line.records)
                if not curves:
                    cells.append((line.label, "0", *[""] * 5))
                    continue
                settled = [settled_at(curve) for curve in curves]
                cells.append(
                    (
                        line.label,
                        str(len(curves)),
                        str(max(curve[-1][0] for curve in curves)),
                        f"{fmean(curve[0][1] for curve in curves):.3f}",
                        f"{fmean(min(value for _, value in curve) for curve in curves):.3f}",
                        f"{fmean(curve[-1][1] for curve in curves):.3f}",
                        "-".join(map(str, sorted({min(settled), max(settled)}))),
                    )
                )
            yield Table(f"{expert}: perplexity of held-out solutions", header, tuple(cells))

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per arm, seed and update; one with the command where there is no curve."""
        for line in self.lines:
            place: dict[str, Number] = {
                "expert": line.expert,
                "amateur": line.amateur,
                "arm": line.label,
                "recipe": line.source.path,
            }
            found = [record for record in line.records if record.curves.get(CURVE)]
            if not found:
                nothing = dict.fromkeys(("seed", "update", "perplexity"))
                yield place | nothing | {"command": command_for(line, self.runs)}
            for record in found:
                for update, value in record.curves[CURVE]:
                    yield place | {
                        "seed": record.seed,
                        "update": update,
                        "perplexity": value,
                        "command": None,
                    }

    def figure(self) -> Lines:
        """Perplexity by update, a line per seed."""
        panels = []
        for expert, lines in self.gathered.by_expert():
            curves = tuple(
                (line.label, tuple((float(update), value) for update, value in curve))
                for line in lines
                if line.arm.ingredients is not None
                for curve in _curves(line.records)
            )
            panels.append((short_model(expert), curves))
        return Lines("update", "held-out perplexity", tuple(panels))


def settled_at(curve: Curve) -> int:
    """The first update from which on the curve stays near its last value, by 5% of the way it went."""
    settled, last = curve[-1]
    near = SETTLED * abs(last - curve[0][1])
    for update, value in reversed(curve):
        if abs(value - last) > near:
            break
        settled = update
    return settled


def _curves(records: Sequence[ArmRecord]) -> list[Curve]:
    return [record.curves[CURVE] for record in records if record.curves.get(CURVE)]
