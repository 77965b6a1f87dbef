"""Whether items of somebody's own repeat what is learnt from: counted when planned."""

from __future__ import annotations

from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.repeats import Repeats, count_repeats
from lrbench.sampling.problems import Problems
from lrbench.suites.suite import Benchmark


def repeats_of(benchmark: Benchmark, items: ItemSet, problems: Problems) -> Repeats | None:
    """How many chosen items of a file repeat one of `problems`; None for sets that lrbench knows.

    Those are apart from the training sets of their benchmarks as they are published.
    """
    if benchmark.file is None:
        return None
    return count_repeats((row["problem"] for row in items), problems.texts)
