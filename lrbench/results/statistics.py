"""The statistics that readers of boards use, so that who shows results knows `lrbench.results` alone."""

from lrbench.evaluation.statistics import (
    Comparison,
    Estimate,
    Flips,
    Interval,
    SeedDifference,
    SeedMean,
    compare_averages,
    compare_benchmarks,
    macro_average,
)

__all__ = [
    "Comparison",
    "Estimate",
    "Flips",
    "Interval",
    "SeedDifference",
    "SeedMean",
    "compare_averages",
    "compare_benchmarks",
    "macro_average",
]
