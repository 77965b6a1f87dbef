"""What the paper reports, to be set beside what was measured and always marked as reported.

A published number is a rate without its items: n is the size of the public test set, intervals are
derived from rate and n, and nothing can be paired. How the paper measured need not be how a suite does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lrbench.data.sets import DATA_SETS
from lrbench.evaluation.statistics import Estimate, macro_average, published_correct, wilson_interval
from lrbench.recipe.claims import AVERAGE

FILE = Path(__file__).with_name("reported.yaml")
MAIN_RESULTS = "main_results"
HOW = "Wilson, from published rate and n"


@dataclass(frozen=True)
class ReportedResult:
    """One row of a table of the paper.

    `accuracies` maps benchmarks to percent, `average` is their mean as the paper prints it. `amateur` is
    None for arms that learn from none. `gap` is the expert's accuracy minus the amateur's on GSM8K, in
    points, where the table gives it. `source` says where the row stands: `arXiv 2510.07962, main results`.
    """

    table: str
    expert: str
    arm: str
    amateur: str | None
    accuracies: dict[str, float]
    average: float
    gap: float | None
    source: str

    def n(self, column: str) -> int:
        """Items of the benchmark's public test set; for the average, of all its benchmarks'."""
        names = self.accuracies if column == AVERAGE else (column,)
        return sum(DATA_SETS[f"{name}_test"].rows for name in names)

    def correct(self, benchmark: str) -> int:
        """Items right: the whole number nearest to rate times n."""
        return published_correct(self.accuracies[benchmark], self.n(benchmark))

    def on(self, benchmark: str) -> Estimate:
        """The published share with its Wilson interval, from rate and n."""
        interval = wilson_interval(self.correct(benchmark), self.n(benchmark))
        return Estimate(self.accuracies[benchmark] / 100, interval)

    def printed(self, column: str) -> Estimate | None:
        """The share as the paper prints it, of a benchmark or its average; None where it has none."""
        if column == AVERAGE:
            return Estimate(self.average / 100, self.over(tuple(self.accuracies)).interval)
        return self.on(column) if column in self.accuracies else None

    def over(self, benchmarks: tuple[str, ...]) -> Estimate:
        """The mean share over `benchmarks` with its bootstrap interval, from rates and ns."""
        counts = tuple((self.correct(benchmark), self.n(benchmark)) for benchmark in benchmarks)
        value = sum(self.accuracies[benchmark] for benchmark in benchmarks) / len(benchmarks) / 100
        return Estimate(value, macro_average(counts).interval)


@dataclass(frozen=True)
class ReportedCosts:
    """What an arm cost in the paper's efficiency table; `gain` is in points of the average over base."""

    expert: str
    arm: str
    hours: float
    problems: int
    tuned_tokens: int
    gain: float
    source: str


@dataclass(frozen=True)
class ReportedDivergence:
    """What the steps of the paper's first pair look like; shares are in [0, 1], KL is in nats."""

    share_below_0_1: float
    share_above_0_4: float
    mean_kl_where_top1_differs: float
    mean_kl_where_top1_agrees: float
    source: str


@cache
def reported_results(table: str = MAIN_RESULTS) -> tuple[ReportedResult, ...]:
    """The rows of one table: `main_results`, `ablations` or `expertise_gap`, in the paper's order."""
    content = _content()
    columns = tuple(content[table]["columns"])
    return tuple(
        ReportedResult(
            table=table,
            expert=row["expert"],
            arm=row["arm"],
            amateur=row.get("amateur", content["amateur"]) if row["arm"] in content["contrasting"] else None,
            accuracies=dict(zip(columns, row["values"][:-1], strict=True)),
            average=row["values"][-1],
            gap=row.get("gap"),
            source=_source(table),
        )
        for row in content[table]["rows"]
    )


def reported_for(expert: str, table: str = MAIN_RESULTS) -> tuple[ReportedResult, ...]:
    """The rows of one expert, by its hub id; none where the paper has none."""
    return tuple(row for row in reported_results(table) if row.expert == expert)


@cache
def reported_costs() -> tuple[ReportedCosts, ...]:
    """The efficiency table: sampling and fine-tuning on one NVIDIA H200, no inference accelerators."""
    return tuple(ReportedCosts(**row, source=_source("efficiency")) for row in _content()["efficiency"])


@cache
def reported_divergence() -> ReportedDivergence:
    """Shares of steps by KL, and mean KL by whether both models' top tokens agree."""
    values = {name.replace(".", "_"): value for name, value in _content()["divergence_statistics"].items()}
    return ReportedDivergence(**values, source=_source("divergence_statistics"))


@cache
def _content() -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: dict[str, Any] = yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader)
    return content


def _source(table: str) -> str:
    return f"{_content()['source']}, {table.replace('_', ' ')}"
