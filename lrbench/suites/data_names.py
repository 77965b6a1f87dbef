"""The sets of items and of worked examples that lrbench knows, by the names that suites have for them."""

from __future__ import annotations

from functools import cache

from lrbench.data.sets import DATA_SETS, MMLU_STEM_EXAMPLES
from lrbench.embedded.assets import TEST_SETS

EMBEDDED = "embedded/"
EXAMPLE_SETS = (MMLU_STEM_EXAMPLES.name,)
# Behind the name of a published benchmark: its test split.
TEST = "/test"


@cache
def test_sets() -> tuple[str, ...]:
    """Every set of items: `embedded/NAME`, its test split, and `gsm8k/test` ... of published benchmarks."""
    published = [data_set.benchmark for data_set in DATA_SETS.values() if data_set.split == "test"]
    return (*(EMBEDDED + family for family in TEST_SETS), *(name + TEST for name in published))
