"""The data of a recipe: what it needs, and the items that it measures."""

from __future__ import annotations

from collections.abc import Iterator

from lrbench.data.access import AnySet, open_examples, require
from lrbench.data.sets import MMLU_STEM_EXAMPLES, TRAINING_SETS
from lrbench.evaluation.items import ItemSet, check_listed
from lrbench.evaluation.named_tasks.items import chosen_items
from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.schema import Evaluation, Recipe
from lrbench.recipe.training_sources import as_source
from lrbench.suites.data_names import public_set
from lrbench.suites.suite import Benchmark, measured_benchmarks


def check_data(recipe: Recipe) -> None:
    """Raise `DataError` unless all public data of `recipe` is here or can be fetched; fetches nothing.

    What is wrong with data that is here, planning says."""
    require(public_sets(recipe), recipe.runtime.data_root)


def measured_items(wanted: Evaluation, data_root: str | None) -> tuple[ItemSet, ...]:
    """The items of every benchmark that is `wanted`, in the suite's order.

    Raises `DataError` for data that is missing or has another content, and for listed items that are not
    there.
    """
    benchmarks = measured_benchmarks(wanted)
    if any(_has_public_examples(benchmark) for benchmark in benchmarks):
        open_examples(MMLU_STEM_EXAMPLES, data_root)
    item_sets = tuple(chosen_items(benchmark, wanted, data_root, fetch=True) for benchmark in benchmarks)
    if wanted.items is not None:
        check_listed(wanted.items, item_sets)
    return item_sets


def reads_training_sets(recipe: Recipe) -> bool:
    """Whether training problems are learnt from, or points are chosen on them."""
    return recipe.evaluation.select_on is not None or any(arm.ingredients for arm in resolve_arms(recipe))


def public_sets(recipe: Recipe) -> Iterator[AnySet]:
    """The public data sets that `recipe` reads."""
    if reads_training_sets(recipe):
        names = (as_source(each).data if isinstance(each, str) else each.data for each in recipe.data.sources)
        yield from (TRAINING_SETS[name] for name in names if name in TRAINING_SETS)
    benchmarks = [one for evaluation in recipe.evaluations for one in measured_benchmarks(evaluation)]
    yield from filter(None, (public_set(benchmark.data) for benchmark in benchmarks))
    if any(map(_has_public_examples, benchmarks)):
        yield MMLU_STEM_EXAMPLES


def _has_public_examples(benchmark: Benchmark) -> bool:
    return benchmark.examples is not None and benchmark.examples.data is not None
