"""Whether items of somebody's own repeat what is learnt from: counted when planned, said, and recorded."""

from __future__ import annotations

from collections.abc import Iterable

from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.repeats import Repeats, count_repeats
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.evaluation import BenchmarkScore
from lrbench.sampling.problems import Problems
from lrbench.suites.suite import Benchmark


def repeats_of(benchmark: Benchmark, items: ItemSet, problems: Problems) -> Repeats | None:
    """How many chosen items of a file repeat one of `problems`; None for sets that lrbench knows.

    Those are apart from the training sets of their benchmarks as they are published.
    """
    if benchmark.file is None:
        return None
    return count_repeats((row["problem"] for row in items), problems.texts)


def remarks_on_repeats(stages: Iterable[Stage]) -> list[str]:
    """A sentence for every benchmark of `stages` with items that an arm learns from."""
    remarks: dict[str, None] = {}
    for stage in stages:
        if isinstance(stage, BenchmarkScore) and stage.repeats:
            found = stage.repeats
            kinds = [f"{found.exact} word for word"] * (found.exact > 0) + [f"{found.near} nearly"] * (
                found.near > 0
            )
            count = found.exact + found.near
            remarks[
                f"{count} of the {found.items} items of {stage.benchmark} repeat training problems "
                f"({', '.join(kinds)}): what is learnt from them is measured on them too."
            ] = None
    return list(remarks)
