"""Planning with public data that is not on this machine yet: what is known of it stands in for it.

How many rows a public set has, and their hash, is known without having it; texts and ids are not. Keys of
stages that read them change once the data is there, and nothing is ever made under keys like these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrbench.data.access import AnySet, is_here
from lrbench.data.sets import TRAINING_SETS
from lrbench.evaluation.items import ItemSet, check_listed
from lrbench.evaluation.named_tasks.items import chosen_items
from lrbench.pipeline.data import public_sets, reads_training_sets
from lrbench.recipe.references import HUB
from lrbench.recipe.schema import Data, Evaluation, Recipe
from lrbench.recipe.training_sources import as_source, without_folders
from lrbench.sampling.problem_sources import OWN_BENCHMARK, is_absent
from lrbench.sampling.problems import Problems, check_size, check_validation_size
from lrbench.suites.data_names import public_set
from lrbench.suites.suite import Benchmark, measured_benchmarks

UNKNOWN = "not here yet"


def absent_tasks(recipe: Recipe) -> Iterator[str]:
    """The names of lm-eval's tasks whose data a run would fetch first."""
    # A second suite has no tasks of lm-eval.
    for benchmark in measured_benchmarks(recipe.evaluation):
        if benchmark.tasks is not None:
            items = _here_or_unknown(benchmark, recipe.evaluation, recipe.runtime.data_root)
            if items.data_hash == UNKNOWN:
                yield benchmark.name


def _here_or_unknown(benchmark: Benchmark, wanted: Evaluation, data_root: str | None) -> ItemSet:
    """The items that are measured; none for tasks of lm-eval whose data are not here to tell."""
    if benchmark.tasks is None:
        return chosen_items(benchmark, wanted, data_root, fetch=False)
    from lrbench.evaluation.named_tasks.loading import AbsentDataError

    try:
        return chosen_items(benchmark, wanted, data_root, fetch=False)
    except AbsentDataError:
        return ItemSet(benchmark.name, (), (), data_hash=UNKNOWN, items_hash=UNKNOWN, limit=wanted.limit)


def absent_sets(recipe: Recipe) -> Iterator[AnySet]:
    """The public data sets that `recipe` reads and a run would fetch first."""
    return (found for found in public_sets(recipe) if not is_here(found, recipe.runtime.data_root))


def absent_hub_sets(recipe: Recipe) -> Iterator[str]:
    """The training sets of the hub that `recipe` reads and a run would fetch first."""
    if reads_training_sets(recipe):
        for written, name in zip(recipe.data.sources, recipe.data.names, strict=True):
            if name.startswith(HUB) and is_absent(written, recipe.runtime.data_root):
                yield name


def expected_problems(data: Data) -> tuple[Problems, Problems | None]:
    """Stand-ins for the training problems of sets that are not all here, and for those held out if any are.

    Raises `DataError` when a set whose size is known has fewer.
    """
    sources = [as_source(each) if isinstance(each, str) else each for each in data.sources]
    known = [TRAINING_SETS.get(source.data or "") for source in sources]
    for place, data_set in enumerate(known):
        if data_set is not None:
            check_size(data, data_set.rows, place)
    benchmark = known[0].benchmark if known[0] is not None else OWN_BENCHMARK

    held_out = _some(data, benchmark, "held out", data.held_out) if data.held_out else None
    return _some(data, benchmark, "problem", data.problems), held_out


def expected_validation(data: Data, count: int, used: Sequence[Data]) -> Problems:
    """Stand-ins for what points are chosen on; raises `DataError` as `expected_problems` does."""
    sources = [as_source(each) if isinstance(each, str) else each for each in data.sources]
    known = [TRAINING_SETS.get(source.data or "") for source in sources]
    for place, data_set in enumerate(known):
        if data_set is not None:
            check_validation_size(data, count, used, data_set.rows, place)
    return _some(data, known[0].benchmark if known[0] is not None else OWN_BENCHMARK, "validation", count)


def _some(data: Data, benchmark: str, what: str, count: int) -> Problems:
    ids = [f"{_told(data)} {data.selection} {data.seed} {what} {number}" for number in range(count)]
    return Problems([benchmark] * count, ids, list(ids), list(ids), list(ids))


def _told(data: Data) -> str:
    """What the sources are, as far as it is known without having them."""
    return data.train if isinstance(data.train, str) else repr(without_folders(data.train))


def expected_items(wanted: Evaluation, data_root: str | None) -> tuple[ItemSet, ...]:
    """The items of every benchmark that is `wanted`, with stand-ins for sets that are not here.

    Listed items of such a benchmark are taken to be in it. Raises `DataError` as `measured_items` does where
    every set is here.
    """
    found = []
    for benchmark in measured_benchmarks(wanted):
        data_set = public_set(benchmark.data)
        if data_set is None or is_here(data_set, data_root):
            found.append(_here_or_unknown(benchmark, wanted, data_root))
            continue
        whole = wanted.items is None and (wanted.limit is None or wanted.limit >= data_set.rows)
        count = wanted.limit or data_set.rows
        ids = wanted.items or [f"{benchmark.name} {number}" for number in range(count)]
        found.append(
            ItemSet(
                benchmark.name,
                (),
                tuple(ids[: data_set.rows]),
                data_hash=data_set.content_hash,
                items_hash=data_set.content_hash if whole else UNKNOWN,
                limit=None if whole else wanted.limit,
                listed=wanted.items is not None,
            )
        )
    if wanted.items is not None and UNKNOWN not in {items.items_hash for items in found}:
        check_listed(wanted.items, found)
    return tuple(found)
