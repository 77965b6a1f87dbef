"""What a set of outcomes says: intervals, tests, averages, equivalence, seeds, power. Pure functions, no I/O.

Every function says first what it estimates. Accuracies are shares in [0, 1]; differences and margins
are in percentage points. An item is one problem of a benchmark, and what is random; benchmarks are
taken as they are, and so are models, except in `seeds`, where seeds and reruns are random too. Random
draws come from a fixed seed, so equal counts give equal numbers.
"""

from lrbench.evaluation.statistics.accuracies import (
    bootstrap_interval,
    macro_average,
    pass_at_k,
    wilson_interval,
)
from lrbench.evaluation.statistics.independent import compare_independent, published_correct
from lrbench.evaluation.statistics.margins import (
    AverageDifference,
    BenchmarkDifference,
    DifferenceTest,
    Equivalence,
    equivalence,
)
from lrbench.evaluation.statistics.mcnemar import mcnemar_p
from lrbench.evaluation.statistics.paired import (
    adjust,
    bootstrap_difference,
    compare_averages,
    compare_benchmark,
    compare_benchmarks,
    holm,
    largest_average_p,
)
from lrbench.evaluation.statistics.power import (
    items_to_separate,
    mcnemar_power,
    optimism_of_best,
    smallest_detectable_difference,
)
from lrbench.evaluation.statistics.seed_differences import Pool, SeedDifference, pool_runs
from lrbench.evaluation.statistics.seeds import Outcomes, SeedMean, Spread, mean_over_seeds
from lrbench.evaluation.statistics.values import (
    EQUIVALENCE_MARGIN,
    LEVEL,
    POINTS,
    POWER,
    RESAMPLES,
    SEED,
    SIGNIFICANCE,
    Comparison,
    Estimate,
    Flips,
    Interval,
    Verdict,
    count_flips,
)

__all__ = [
    "EQUIVALENCE_MARGIN",
    "LEVEL",
    "POINTS",
    "POWER",
    "RESAMPLES",
    "SEED",
    "SIGNIFICANCE",
    "AverageDifference",
    "BenchmarkDifference",
    "Comparison",
    "DifferenceTest",
    "Equivalence",
    "Estimate",
    "Flips",
    "Interval",
    "Outcomes",
    "Pool",
    "SeedDifference",
    "SeedMean",
    "Spread",
    "Verdict",
    "adjust",
    "bootstrap_difference",
    "bootstrap_interval",
    "compare_averages",
    "compare_benchmark",
    "compare_benchmarks",
    "compare_independent",
    "count_flips",
    "equivalence",
    "holm",
    "items_to_separate",
    "largest_average_p",
    "macro_average",
    "mcnemar_p",
    "mcnemar_power",
    "mean_over_seeds",
    "optimism_of_best",
    "pass_at_k",
    "pool_runs",
    "published_correct",
    "smallest_detectable_difference",
    "wilson_interval",
]
