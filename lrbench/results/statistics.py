"""The statistics that readers of boards use, so that who shows results knows `lrbench.results` alone."""

from lrbench.evaluation.statistics import (
    EQUIVALENCE_MARGIN,
    Comparison,
    Estimate,
    Flips,
    Interval,
    SeedMean,
    Verdict,
    compare_averages,
    compare_benchmarks,
    macro_average,
)

__all__ = [
    "EQUIVALENCE_MARGIN",
    "Comparison",
    "Estimate",
    "Flips",
    "Interval",
    "SeedMean",
    "Verdict",
    "compare_averages",
    "compare_benchmarks",
    "macro_average",
]
