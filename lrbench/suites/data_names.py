"""The sets of items and of worked examples that lrbench knows, by the names that suites have for them."""

from __future__ import annotations

from functools import cache

from lrbench.data.sets import DATA_SETS, MMLU_STEM_EXAMPLES, DataSet
from lrbench.embedded.assets import TEST_SETS

EMBEDDED = "embedded/"
EXAMPLE_SETS = (MMLU_STEM_EXAMPLES.name,)


@cache
def item_sets() -> tuple[str, ...]:
    """Every set of items: `embedded/NAME`, its test split, and the splits of published benchmarks.

    Those are `gsm8k/test` ... and, to choose settings on problems that no claim is about, `gsm8k/train` ...
    """
    return (*(EMBEDDED + family for family in TEST_SETS), *_published())


@cache
def _published() -> dict[str, DataSet]:
    return {f"{data_set.benchmark}/{data_set.split}": data_set for data_set in DATA_SETS.values()}


def public_set(data: str | None) -> DataSet | None:
    """The published set that a suite calls `data`, such as `gsm8k/test`; None where it is of another kind."""
    return _published().get(data or "")
