"""What the steps look like: KL between expert and amateur, and how often their first choices agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.results.rendering.sheet import Table
from lrbench.results.reported import ReportedDivergence, reported_divergence, reported_results
from lrbench.results.studies.content import Number
from lrbench.results.studies.figures import Histogram
from lrbench.results.studies.gathering import Gathered, Line, command_for
from lrbench.results.studies.wording import short_model

DIVERGENCE_NOTE = (
    "Over every step of the greedy rollouts; greedy rollouts draw nothing, so all seeds share them. The "
    "paper gives its two shares as about 60% and about 20%, without saying of how many steps."
)


@dataclass(frozen=True)
class Statistic:
    """One statistic: its name in records and in words, whether it is a share, and its name in the paper's."""

    name: str
    words: str
    share: bool
    reported: str | None = None


STATISTICS = (
    Statistic("share_kl_below_0.1", "steps with KL below 0.1", True, "share_below_0_1"),
    Statistic("share_kl_above_0.4", "steps with KL above 0.4", True, "share_above_0_4"),
    Statistic("share_kept", "steps kept", True),
    Statistic("top1_agreement", "first choices agree", True),
    Statistic("mean_kl", "mean KL, nats", False),
    Statistic(
        "mean_kl_where_top1_agrees", "mean KL where they agree, nats", False, "mean_kl_where_top1_agrees"
    ),
    Statistic(
        "mean_kl_where_top1_differs", "mean KL where they differ, nats", False, "mean_kl_where_top1_differs"
    ),
)
# Of pairs that are aligned by tokens; without one of them there is nothing to say.
COVERAGE = (
    Statistic("mean_covered", "probability on shared tokens", True),
    Statistic("share_covered_too_little", "steps left out, too little on shared tokens", True),
)


@dataclass(frozen=True)
class DivergenceTables:
    """The divergence of each pair, from a line that learns from it (the first declared)."""

    gathered: Gathered
    runs: Path

    @property
    def lines(self) -> list[Line]:
        """One line per pair."""
        pairs: dict[tuple[str, str], Line] = {}
        for line in self.gathered.lines:
            if line.amateur is not None:
                pairs.setdefault((line.expert, line.amateur), line)
        return list(pairs.values())

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Those that are shown."""
        aligned = any(COVERAGE[0].name in _measured(line) for line in self.lines)
        return STATISTICS + (COVERAGE if aligned else ())

    def tables(self) -> Iterator[Table]:
        """A column per pair, and what is reported of it."""
        header, columns = ["over all steps"], []
        for line in self.lines:
            header.append(_pair(line))
            found, reported = _measured(line), _reported(line)
            columns.append([_text(statistic, found.get(statistic.name)) for statistic in self.statistics])
            if reported is not None:
                header.append(f"{_pair(line)}, reported")
                columns.append(
                    [
                        _text(
                            statistic, getattr(reported, statistic.reported) if statistic.reported else None
                        )
                        for statistic in self.statistics
                    ]
                )
        steps = ["steps"] + [
            text
            for line in self.lines
            for text in ([_steps(line), ""] if _reported(line) is not None else [_steps(line)])
        ]
        lines = [
            (statistic.words, *(column[place] for column in columns))
            for place, statistic in enumerate(self.statistics)
        ]
        yield Table("Divergence of the pairs", tuple(header), (tuple(steps), *lines))

    def rows(self) -> Iterator[dict[str, Number]]:
        """A CSV line per pair and statistic."""
        for line in self.lines:
            found, reported = _measured(line), _reported(line)
            for statistic in self.statistics:
                published = None if reported is None else _of(reported, statistic)
                yield {
                    "expert": line.expert,
                    "amateur": line.amateur,
                    "recipe": line.source.path,
                    "statistic": statistic.name,
                    "steps": found.get("steps"),
                    "value": found.get(statistic.name),
                    "reported": published,
                    "source": None if reported is None or published is None else reported.source,
                    "command": None if found else command_for(line, self.runs),
                }

    def histogram(self) -> Histogram:
        """Steps by KL, a panel per pair that was measured."""
        panels = []
        for line in self.lines:
            found = _measured(line).get("kl_histogram")
            if found:
                panels.append((_pair(line), tuple(found["edges"]), tuple(found["counts"])))
        beta = self.lines[0].arm.divergence.beta if self.lines else None
        return Histogram("KL(expert || amateur), nats", "steps, percent", tuple(panels), beta)


def _measured(line: Line) -> Mapping[str, Any]:
    """The divergence statistics of the first record that has them."""
    found = (record.statistics.get("divergence") for record in line.records)
    return next((statistics for statistics in found if statistics), {})


def _reported(line: Line) -> ReportedDivergence | None:
    """What the paper reports: of its first pair alone."""
    first = next(row for row in reported_results() if row.amateur is not None)
    return reported_divergence() if (line.expert, line.amateur) == (first.expert, first.amateur) else None


def _of(reported: ReportedDivergence, statistic: Statistic) -> float | None:
    return getattr(reported, statistic.reported) if statistic.reported else None


def _pair(line: Line) -> str:
    return f"{short_model(line.expert)} / {short_model(line.amateur or '')}"


def _steps(line: Line) -> str:
    steps = _measured(line).get("steps")
    return "" if steps is None else f"{steps:,}"


def _text(statistic: Statistic, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}%" if statistic.share else f"{value:.3f}"
