"""Training problems: what a model is asked, and, apart from it, what the right answer is.

The `greedy` source reads problem texts alone; answers and solutions are separate values, hashed
separately, so that no label can reach an arm that claims to use none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from lrbench.errors import DataError, TooFewProblemsError
from lrbench.recipe.messages import excerpt
from lrbench.recipe.schema import Data
from lrbench.recipe.selecting import SELECT_ON, VALIDATION
from lrbench.sampling.problem_sources import ProblemRow, SourceRows, read_source
from lrbench.store.keys import stable_hash
from lrbench.suites.graders import checker_of


@dataclass(frozen=True)
class Problems:
    """Parallel lists over problems; `answers` and `solutions` hold None where the set has none.

    The answer of each is checked as those of its benchmark are. `source` is what a recipe calls the set, or
    all of them, and `places` says where a user finds each problem.
    """

    benchmarks: list[str]
    ids: list[str]
    texts: list[str]
    answers: list[str | None]
    solutions: list[str | None]
    source: str = ""
    places: Sequence[str] = ()

    def only(self, places: Sequence[int]) -> Problems:
        """The problems at these places, in this order."""
        names = ("benchmarks", "ids", "texts", "answers", "solutions", *(["places"] if self.places else []))
        parts: dict[str, Any] = {name: [getattr(self, name)[place] for place in places] for name in names}
        return replace(self, **parts)

    @property
    def answerable(self) -> list[int]:
        """The places of those that have an answer to check by."""
        return [place for place, answer in enumerate(self.answers) if answer is not None]

    def labels(self, field: str) -> list[str | None]:
        """What the problems have in `answer` or `solution`."""
        return {"answer": self.answers, "solution": self.solutions}[field]

    def place(self, index: int) -> str:
        """Where a user finds problem `index`: file and line, or set and id."""
        return self.places[index] if self.places else f"{self.source}: problem {self.ids[index]}"

    @property
    def benchmark(self) -> str:
        """The benchmark as whose all answers are checked. Raises `DataError` where sources differ in it."""
        different = sorted(set(self.benchmarks))
        if len(different) != 1:
            raise DataError(
                f"{self.source}: answers are checked in different ways ({', '.join(different)}), and here "
                "they have to be of one kind; set data.train to one of the sources"
            )
        return different[0]

    @property
    def checked_as(self) -> str | list[str]:
        """Identity of how answers are checked: the benchmark, or that of each problem where they differ."""
        return self.benchmarks[0] if len(set(self.benchmarks)) == 1 else self.benchmarks

    @property
    def checker_versions(self) -> Any:
        """The version of what checks answers, or that of each benchmark where there are several."""
        versions = {name: checker_of(name).version for name in sorted(set(self.benchmarks))}
        return versions if len(versions) > 1 else next(iter(versions.values()))

    def checking(self, by_gold: bool) -> dict[str, Any]:
        """What counts of answers where they are read, and where they are held to the gold ones too."""
        gold = {"answers": self.answers_hash} if by_gold else {}
        return {"answers_checked_as": self.checked_as, "grader_version": self.checker_versions, **gold}

    @property
    def texts_hash(self) -> str:
        """Identity of what is asked: ids and texts, no labels."""
        return stable_hash([self.ids, self.texts])

    @property
    def answers_hash(self) -> str:
        """Identity of the gold answers."""
        return stable_hash(self.answers)

    @property
    def solutions_hash(self) -> str:
        """Identity of the reference solutions."""
        return stable_hash(self.solutions)


def load_problems(data: Data, data_root: str | None = None, fetch: bool = True) -> Problems:
    """The `data.problems` problems that `data` selects, in file order.

    Several sources give shares in proportion to their weights (`shares`), in which each selects for itself;
    the problems of each are spread evenly over the whole. `data_root` is the folder of the public data sets,
    None for the usual places; data of the hub come from its cache unless `fetch`. Raises `DataError` when a
    set is missing, malformed (with its place) or too small.
    """
    return _selected(data, data_root, fetch, held_out=False)


def load_held_out(data: Data, data_root: str | None = None, fetch: bool = True) -> Problems:
    """The `data.held_out` problems, in file order, that `data` would select next: none is learnt from.

    Raises `DataError` as `load_problems` does, and when one of them has no solution to measure by.
    """
    held_out = _selected(data, data_root, fetch, held_out=True)
    for problem_id, solution in zip(held_out.ids, held_out.solutions, strict=True):
        if not solution:
            raise DataError(
                f'{data.label}: the held-out problem {problem_id} has no "solution", whose perplexity is '
                "measured; add one, or set data.held_out to 0"
            )
    return held_out


def load_validation(
    data: Data, count: int, used: Sequence[Data], data_root: str | None = None, fetch: bool = True
) -> Problems:
    """The `count` problems with an answer that `data` would select after those that any of `used` takes.

    `used` select from the same sources in the same order, and learn from or hold out different numbers.
    Raises `DataError` as `load_problems` does, and `TooFewProblemsError` where so many are not left.
    """
    read = [read_source(source, data_root, fetch) for source in data.sources]
    taken = _taken(used)
    chosen = []
    for place, (source, wanted) in enumerate(zip(read, shares(count, data.weights), strict=True)):
        left = [index for index in _order(data, source)[taken[place] :] if source.rows[index].answer]
        _check_left(data, count, len(left), place)
        chosen.append(left[:wanted])
    return _spread(data, read, chosen)


def check_validation_size(data: Data, count: int, used: Sequence[Data], rows: int, place: int = 0) -> None:
    """Raise `DataError` unless a source of so many rows has validation problems beside all that is `used`."""
    _check_left(data, count, max(0, rows - _taken(used)[place]), place)


def shares(count: int, weights: Sequence[Fraction]) -> list[int]:
    """`count` divided in proportion to `weights` by largest remainders, of equal ones the earlier."""
    exact = [count * weight / sum(weights) for weight in weights]
    given = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: given[place] - exact[place])
    for place in by_remainder[: count - sum(given)]:
        given[place] += 1
    return given


def check_size(data: Data, rows: int, place: int = 0) -> None:
    """Raise `DataError` unless a source of so many rows has the problems that `data` selects and holds out.

    `place` is that of the source in the recipe.
    """
    problems, held_out = (shares(count, data.weights)[place] for count in (data.problems, data.held_out))
    several = len(data.sources) > 1
    name = data.names[place]
    if rows < problems:
        raise TooFewProblemsError(
            ("data", "problems"),
            data.problems,
            f"{name} has {rows} problems, and {problems} are asked for"
            + (
                f", its share of {data.problems}; ask for fewer, or give it less weight"
                if several
                else f"; set it to {rows} or fewer"
            ),
        )
    if rows < problems + held_out:
        raise TooFewProblemsError(
            ("data", "held_out"),
            data.held_out,
            f"{name} has {rows} problems, of which data.problems takes {problems}, and {held_out} more are "
            + (
                f"asked for, its share of {data.held_out}; ask for fewer, or give it less weight"
                if several
                else f"asked for; set it to {rows - problems} or fewer"
            ),
        )


def _selected(data: Data, data_root: str | None, fetch: bool, held_out: bool) -> Problems:
    """The problems that are learnt from, or those that are held out."""
    read = [read_source(source, data_root, fetch) for source in data.sources]
    learnt, kept = (shares(count, data.weights) for count in (data.problems, data.held_out))
    chosen = []
    for place, source in enumerate(read):
        check_size(data, len(source.rows), place)
        start, count = (learnt[place], kept[place]) if held_out else (0, learnt[place])
        chosen.append(_order(data, source)[start : start + count])
    return _spread(data, read, chosen)


def _taken(used: Sequence[Data]) -> list[int]:
    """How many problems of each source, in the order of selection, are learnt from or held out by any."""
    counts = [
        [
            sum(both)
            for both in zip(*(shares(n, each.weights) for n in (each.problems, each.held_out)), strict=True)
        ]
        for each in used
    ]
    return [max(of_source) for of_source in zip(*counts, strict=True)]


def _check_left(data: Data, count: int, left: int, place: int) -> None:
    wanted = shares(count, data.weights)[place]
    if left < wanted:
        several = len(data.sources) > 1
        raise TooFewProblemsError(
            (*SELECT_ON, VALIDATION),
            count,
            f"{data.names[place]} has {left} problems with an answer left beside those that are learnt from "
            f"or held out, and {wanted} are asked for"
            + (
                f", its share of {count}; ask for fewer, or give it less weight"
                if several
                else f"; set it to {left} or fewer"
                if left
                else "; lower data.problems, and ask for as many as that leaves, or fewer"
            ),
        )


def _order(data: Data, source: SourceRows) -> list[int]:
    """Indices of all rows of a source in the order in which they are selected."""
    return _lots(source.rows, data.seed) if data.selection == "sample" else list(range(len(source.rows)))


def _spread(data: Data, read: Sequence[SourceRows], selected: Sequence[Sequence[int]]) -> Problems:
    """The rows selected from each source, those of each in file order and evenly over the whole."""
    ids = _different_ids(read)
    chosen: list[tuple[Fraction, str, str, ProblemRow]] = []
    for place, (source, indices) in enumerate(zip(read, selected, strict=True)):
        for number, index in enumerate(sorted(indices)):
            # In the middle of its part of the whole, so that any beginning is in proportion too.
            middle = Fraction(2 * number + 1, 2 * len(indices))
            chosen.append((middle, source.benchmark, ids[place][index], source.rows[index]))
    chosen.sort(key=lambda each: each[0])
    return Problems(
        benchmarks=[benchmark for _, benchmark, _, _ in chosen],
        ids=[problem_id for _, _, problem_id, _ in chosen],
        texts=[row.text for *_, row in chosen],
        answers=[row.answer for *_, row in chosen],
        solutions=[row.solution for *_, row in chosen],
        source=data.label,
        places=[row.place for *_, row in chosen],
    )


def _different_ids(sources: Sequence[SourceRows]) -> list[list[str]]:
    """The ids of every source's problems; one that has an id of an earlier one has its number before all.

    Raises `DataError` where an id with the number is that of an earlier problem too.
    """
    taken: set[str] = set()
    ids = []
    for number, source in enumerate(sources, start=1):
        own = [row.id for row in source.rows]
        if not taken.isdisjoint(own):
            own = [f"{number}/{problem_id}" for problem_id in own]
            again = next((place for place, problem_id in enumerate(own) if problem_id in taken), None)
            if again is not None:
                raise DataError(
                    f"{source.rows[again].place}: the id {excerpt(source.rows[again].id)} is that of an "
                    f"earlier source, and so is {excerpt(own[again])}; give {source.name} other ids"
                )
        taken.update(own)
        ids.append(own)
    return ids


def _lots(rows: Sequence[ProblemRow], seed: int) -> list[int]:
    """Indices of all rows in an order drawn with `seed`; that of any two depends on their ids alone."""

    def lot(index: int) -> bytes:
        return hashlib.sha256(f"{seed}/{rows[index].id}".encode()).digest()

    return sorted(range(len(rows)), key=lot)
