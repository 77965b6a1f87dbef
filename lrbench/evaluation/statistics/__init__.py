"""What a set of outcomes says: intervals, tests, averages, equivalence, seeds, draws, power. No I/O.

Every function says first what it estimates. Accuracies are shares in [0, 1]; differences and margins
are in percentage points. An item is one problem of a benchmark, and what is random; benchmarks are
taken as they are, and so are models, except in `seeds`, where seeds and reruns are random too, and in
`draws`, where answers are sampled. Items that come in groups are random by group. Random draws of our
own come from a fixed seed, so equal counts give equal numbers.
"""

from lrbench.evaluation.statistics.accuracies import (
    bootstrap_interval,
    macro_average,
    pass_at_k,
    wilson_interval,
)
from lrbench.evaluation.statistics.calibration import (
    BINS,
    Bin,
    Calibration,
    area_under_curve,
    calibration,
)
from lrbench.evaluation.statistics.design import COMPETITION, Design, design_of
from lrbench.evaluation.statistics.draws import (
    average_at_k,
    draws_matrix,
    majority_at_k,
    mean_of_benchmarks,
    pass_at_k_of_items,
)
from lrbench.evaluation.statistics.effective_size import EffectiveSize, Groups, mean_share
from lrbench.evaluation.statistics.independent import compare_independent, published_correct
from lrbench.evaluation.statistics.item_differences import (
    DrawsDifference,
    PairedDraws,
)
from lrbench.evaluation.statistics.item_means import mean_of, ratio, share_of, tokens_after_first_right
from lrbench.evaluation.statistics.margins import (
    AverageDifference,
    BenchmarkDifference,
    DifferenceTest,
    Equivalence,
    equivalence,
)
from lrbench.evaluation.statistics.mcnemar import mcnemar_p
from lrbench.evaluation.statistics.once import Memory, once, remembering
from lrbench.evaluation.statistics.paired import (
    adjust,
    bootstrap_difference,
    compare_averages,
    compare_benchmark,
    compare_benchmarks,
    holm,
)
from lrbench.evaluation.statistics.pairs import (
    Paired,
    compare_average,
    compare_pairs,
    difference_of,
    difference_test,
    largest_average_p,
    table_of,
    variance_of,
)
from lrbench.evaluation.statistics.power import (
    items_to_separate,
    mcnemar_power,
    optimism_of_best,
    smallest_detectable_difference,
)
from lrbench.evaluation.statistics.seed_differences import (
    Pool,
    SeedDifference,
    compare_seeds,
    pool_runs,
    two_sided_p,
)
from lrbench.evaluation.statistics.seeds import Outcomes, SeedMean, Spread, mean_over_seeds
from lrbench.evaluation.statistics.sign_flips import sign_flip_p
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
from lrbench.evaluation.statistics.weaker import weaker

__all__ = [
    "BINS",
    "COMPETITION",
    "EQUIVALENCE_MARGIN",
    "LEVEL",
    "POINTS",
    "POWER",
    "RESAMPLES",
    "SEED",
    "SIGNIFICANCE",
    "AverageDifference",
    "BenchmarkDifference",
    "Bin",
    "Calibration",
    "Comparison",
    "Design",
    "DifferenceTest",
    "DrawsDifference",
    "EffectiveSize",
    "Equivalence",
    "Estimate",
    "Flips",
    "Groups",
    "Interval",
    "Memory",
    "Outcomes",
    "Paired",
    "PairedDraws",
    "Pool",
    "SeedDifference",
    "SeedMean",
    "Spread",
    "Verdict",
    "adjust",
    "area_under_curve",
    "average_at_k",
    "bootstrap_difference",
    "bootstrap_interval",
    "calibration",
    "compare_average",
    "compare_averages",
    "compare_benchmark",
    "compare_benchmarks",
    "compare_independent",
    "compare_pairs",
    "compare_seeds",
    "count_flips",
    "design_of",
    "difference_of",
    "difference_test",
    "draws_matrix",
    "equivalence",
    "holm",
    "items_to_separate",
    "largest_average_p",
    "macro_average",
    "majority_at_k",
    "mcnemar_p",
    "mcnemar_power",
    "mean_of",
    "mean_of_benchmarks",
    "mean_over_seeds",
    "mean_share",
    "once",
    "optimism_of_best",
    "pass_at_k",
    "pass_at_k_of_items",
    "pool_runs",
    "published_correct",
    "ratio",
    "remembering",
    "share_of",
    "sign_flip_p",
    "smallest_detectable_difference",
    "table_of",
    "tokens_after_first_right",
    "two_sided_p",
    "variance_of",
    "weaker",
    "wilson_interval",
]
