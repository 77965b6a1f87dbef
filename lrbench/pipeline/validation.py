"""The validation problems of a recipe as benchmarks: what is asked, how it is judged, and what it repeats."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from lrbench.data.access import is_here, row_line
from lrbench.data.rules import Row
from lrbench.data.sets import MMLU_STEM_EXAMPLES
from lrbench.errors import DataError
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.prompts import worked_examples
from lrbench.evaluation.repeats import Repeats, count_repeats
from lrbench.recipe.schema import Data
from lrbench.recipe.selecting import VALIDATION
from lrbench.recipe.training_sources import as_source
from lrbench.sampling.problems import Problems
from lrbench.store.canonical import stable_hash
from lrbench.suites.grader import Grader
from lrbench.suites.graders import checker_of
from lrbench.suites.suite import Benchmark


def validation_benchmarks(
    data: Data, problems: Problems, suite: Sequence[Benchmark], data_root: str | None, fetch: bool
) -> tuple[tuple[Benchmark, ...], tuple[ItemSet, ...]]:
    """A benchmark for each kind of the validation `problems`, asked as the `suite` is, and their items.

    Each is asked as the suite's benchmark of that kind, or else as its first. Raises `DataError` for an
    answer that the grader cannot read. Unless `fetch`, worked examples that are not here are left out.
    """
    benchmarks, sets = [], []
    for kind in dict.fromkeys(problems.benchmarks):
        places = [place for place, own in enumerate(problems.benchmarks) if own == kind]
        asked = next((benchmark for benchmark in suite if benchmark.name == kind), suite[0])
        benchmark = replace(
            asked,
            name=f"train_{kind}",
            suite=VALIDATION,
            task=f"train_{kind}",
            task_version=1,
            grader=_grader(data, kind, asked),
            file=None,
            data=None,
            shipped=False,
        )
        benchmarks.append(benchmark)
        sets.append(_items(benchmark, problems, places, _examples_hash(benchmark, data_root, fetch)))
    return tuple(benchmarks), tuple(sets)


def repeats_in_validation(data: Data, items: ItemSet, learnt: Problems) -> Repeats | None:
    """How many validation problems repeat one that is learnt from; None for sets that lrbench knows."""
    if not _is_own(data):
        return None
    return count_repeats((row["problem"] for row in items), learnt.texts)


def overlaps(
    data: Data, validation: Problems, suite: Sequence[Benchmark], tests: Sequence[ItemSet]
) -> dict[str, Repeats]:
    """By benchmark of the suite, how many validation problems repeat its items: points are chosen on those.

    Sets that lrbench knows are apart from the training sets that it knows, as they are published.
    """
    counted = {
        benchmark.name: count_repeats(validation.texts, (row["problem"] for row in items))
        for benchmark, items in zip(suite, tests, strict=True)
        if benchmark.file is not None or _is_own(data)
    }
    return {name: found for name, found in counted.items() if found}


def overlap_text(benchmark: str, found: Repeats) -> str:
    """A sentence for people."""
    kinds = ((found.exact, "word for word"), (found.near, "nearly"))
    how = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    count = found.exact + found.near
    return (
        f"{count} of the {found.items} validation problems repeat{'s' * (count == 1)} items of {benchmark} "
        f"({how}): points are chosen on what is measured there."
    )


def _items(
    benchmark: Benchmark, problems: Problems, places: Sequence[int], examples_hash: str | None
) -> ItemSet:
    rows = []
    for place in places:
        answer = problems.answers[place] or ""
        # Without a place they stand in for problems that are not here yet.
        unreadable = benchmark.grader.unreadable(answer, problems.texts[place]) if problems.places else None
        if unreadable is not None:
            raise DataError(
                f"{problems.place(place)}: the answer {unreadable}; the grader `{benchmark.grader.word}`, by "
                "which points are chosen (`evaluation.select_on`), cannot hold anything against it"
            )
        rows.append(Row(id=problems.ids[place], problem=problems.texts[place], answer=answer, solution=None))
    digest = hashlib.sha256(b"".join(map(row_line, rows))).hexdigest()
    return ItemSet(
        benchmark.name,
        tuple(rows),
        tuple(row["id"] for row in rows),
        data_hash=digest,
        items_hash=digest,
        examples_hash=examples_hash,
    )


def _examples_hash(benchmark: Benchmark, data_root: str | None, fetch: bool) -> str | None:
    declared = benchmark.examples
    if declared is None or not (fetch or declared.file or is_here(MMLU_STEM_EXAMPLES, data_root)):
        return None
    return stable_hash([list(pair) for pair in worked_examples(benchmark, data_root)])


def _grader(data: Data, kind: str, asked: Benchmark) -> Grader:
    """As training answers of a known set are checked; somebody's own are answers of the kind of the suite."""
    return asked.grader if asked.name == kind or _is_own(data) else checker_of(kind)


def _is_own(data: Data) -> bool:
    """Whether no source is a set that lrbench knows."""
    return not any((as_source(each) if isinstance(each, str) else each).data for each in data.sources)
