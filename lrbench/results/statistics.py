"""The statistics that readers of boards use, so that who shows results knows `lrbench.results` alone."""

from lrbench.evaluation.statistics import (
    EQUIVALENCE_MARGIN,
    Bin,
    Calibration,
    Comparison,
    Estimate,
    Flips,
    Interval,
    Paired,
    SeedMean,
    Verdict,
    compare_average,
    compare_pairs,
    table_of,
)

__all__ = [
    "EQUIVALENCE_MARGIN",
    "Bin",
    "Calibration",
    "Comparison",
    "Estimate",
    "Flips",
    "Interval",
    "Paired",
    "SeedMean",
    "Verdict",
    "compare_average",
    "compare_pairs",
    "table_of",
]
