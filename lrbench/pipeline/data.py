"""The data of a recipe: what it needs, and the items that it measures."""

from __future__ import annotations

from collections.abc import Iterator

from lrbench.data.access import AnySet, open_examples, require
from lrbench.data.sets import DATA_SETS, MMLU_STEM_EXAMPLES, TRAINING_SETS
from lrbench.evaluation.items import ItemSet, check_listed, choose_items
from lrbench.evaluation.suites import SUITES
from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.schema import Evaluation, Recipe


def check_data(recipe: Recipe) -> None:
    """Raise `DataError` unless all public data of `recipe` is here or can be fetched; fetches nothing.

    What is wrong with data that is here, planning says."""
    require(public_sets(recipe), recipe.runtime.data_root)


def measured_items(recipe: Recipe) -> tuple[ItemSet, ...]:
    """The items of every benchmark that `recipe` measures, in the suite's order.

    Raises `DataError` for data that is missing or has another content, and for listed items that are not
    there.
    """
    wanted, data_root = recipe.evaluation, recipe.runtime.data_root
    if SUITES[wanted.suite].shots:
        open_examples(MMLU_STEM_EXAMPLES, data_root)
    item_sets = tuple(
        choose_items(benchmark, data_root, wanted.limit, wanted.items) for benchmark in benchmarks_of(wanted)
    )
    if wanted.items is not None:
        check_listed(wanted.items, item_sets)
    return item_sets


def benchmarks_of(wanted: Evaluation) -> Iterator[str]:
    """The benchmarks that are measured, in the suite's order."""
    for benchmark in SUITES[wanted.suite].benchmarks:
        if wanted.benchmarks is None or benchmark in wanted.benchmarks:
            yield benchmark


def public_sets(recipe: Recipe) -> Iterator[AnySet]:
    """The public data sets that `recipe` reads."""
    if recipe.data.train in TRAINING_SETS and any(arm.ingredients for arm in resolve_arms(recipe)):
        yield TRAINING_SETS[recipe.data.train]
    for benchmark in benchmarks_of(recipe.evaluation):
        if f"{benchmark}_test" in DATA_SETS:
            yield DATA_SETS[f"{benchmark}_test"]
    if SUITES[recipe.evaluation.suite].shots:
        yield MMLU_STEM_EXAMPLES
