"""The items of a benchmark that are measured: which they are, and their rows when they are needed.

Only ids are kept; rows are read from disk one after the other, so that memory does not grow with
their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from lrbench.data.access import open_set, row_line
from lrbench.data.rules import Row
from lrbench.embedded.assets import problems
from lrbench.errors import DataError
from lrbench.evaluation.own_items import own_rows
from lrbench.evaluation.prompts import worked_examples
from lrbench.recipe.messages import did_you_mean
from lrbench.store.canonical import stable_hash
from lrbench.suites.data_names import EMBEDDED, public_set
from lrbench.suites.suite import Benchmark


@dataclass(frozen=True)
class ItemSet:
    """The chosen rows of one benchmark, in the benchmark's order; iterating reads them anew.

    `data_hash` is that of the whole benchmark, `items_hash` that of the chosen rows. They were chosen as
    the first `limit`, or by a list of ids where `listed` is true. `examples_hash` is that of the worked
    examples before a problem, where a suite of the user's own has any. `facts` are those of tasks of lm-eval:
    what else defines a score on them.
    """

    benchmark: str
    rows: Iterable[Row] = field(repr=False)
    ids: tuple[str, ...]
    data_hash: str
    items_hash: str
    limit: int | None = None
    listed: bool = False
    examples_hash: str | None = None
    facts: Mapping[str, Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Row]:
        chosen = frozenset(self.ids)
        return islice((row for row in self.rows if row["id"] in chosen), len(self.ids))


def benchmark_rows(benchmark: Benchmark, data_root: str | None) -> Iterable[Row]:
    """All rows of a benchmark in order, each time they are iterated.

    Raises `DataError` when its data are missing, have another content, or are no items.
    """
    published = public_set(benchmark.data)
    if published is not None:
        return open_set(published, data_root)
    if benchmark.data is None:
        return own_rows(benchmark)
    return _embedded_rows(benchmark.data.removeprefix(EMBEDDED))


@lru_cache
def _embedded_rows(name: str) -> tuple[Row, ...]:
    rows = []
    for problem in problems(name, "test"):
        row = Row(
            id=problem["id"],
            problem=problem["problem"],
            answer=problem["answer"],
            solution=problem["solution"],
        )
        rows.append(row | {"group": problem["group"]} if "group" in problem else row)
    return tuple(rows)


def choose_items(
    benchmark: Benchmark, data_root: str | None, limit: int | None = None, listed: Iterable[str] | None = None
) -> ItemSet:
    """The first `limit` items of a benchmark, or those of it that are `listed`, or all.

    A limit that leaves nothing out is no limit: such scores are comparable with those of all items.
    """
    # What ships with lrbench stays as it is while a process lives: many recipes are checked at once.
    ships = benchmark.shipped and (benchmark.data or "").startswith(EMBEDDED)
    return (_chosen_once if ships else _chosen)(
        benchmark, data_root, limit, None if listed is None else tuple(listed)
    )


def _chosen(
    benchmark: Benchmark, data_root: str | None, limit: int | None, listed: tuple[str, ...] | None
) -> ItemSet:
    rows = benchmark_rows(benchmark, data_root)
    wanted = None if listed is None else frozenset(listed)
    ids: list[str] = []
    whole, chosen = hashlib.sha256(), hashlib.sha256()
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - the last count is that of all rows
        line = row_line(row)
        whole.update(line)
        if (limit is None or len(ids) < limit) and (wanted is None or row["id"] in wanted):
            ids.append(row["id"])
            chosen.update(line)
    examples = [] if benchmark.shipped else worked_examples(benchmark, data_root)
    return ItemSet(
        benchmark.name,
        rows,
        tuple(ids),
        data_hash=whole.hexdigest(),
        items_hash=chosen.hexdigest(),
        limit=None if limit is not None and limit >= count else limit,
        listed=listed is not None,
        examples_hash=stable_hash([list(pair) for pair in examples]) if examples else None,
    )


_chosen_once = lru_cache(_chosen)


def check_listed(listed: Iterable[str], item_sets: Iterable[ItemSet]) -> None:
    """Raise `DataError` for a listed id that no benchmark has, or a benchmark of which none is listed."""
    item_sets = list(item_sets)
    found = {item_id for items in item_sets for item_id in items.ids}
    benchmarks = ", ".join(items.benchmark for items in item_sets)
    for item_id in listed:
        if item_id not in found:
            known = [row["id"] for items in item_sets for row in items.rows]
            raise DataError(
                f"evaluation.items: `{item_id}` is no item of {benchmarks}{did_you_mean(item_id, known)}"
            )
    for items in item_sets:
        if not items.ids:
            raise DataError(
                f"evaluation.items: lists no item of {items.benchmark}; list one, or name the benchmarks to "
                "measure in evaluation.benchmarks"
            )
