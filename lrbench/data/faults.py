"""Everything that is wrong with the rows of a file, told at once, so that it is mended in one go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from lrbench.errors import DataError

MOST_TOLD = 10


class Faults:
    """Rows of a file that cannot be used, as each was met."""

    def __init__(self) -> None:
        self._met: list[DataError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What is wrong with the row that the block reads is noted, and the next one can be read."""
        try:
            yield
        except DataError as error:
            self._met.append(error)

    def tell(self) -> None:
        """Raise `DataError` with the first faults, each with its place, where there are any."""
        if len(self._met) == 1:
            raise self._met[0]
        if self._met:
            more = len(self._met) - MOST_TOLD
            told = [str(error) for error in self._met[:MOST_TOLD]]
            raise DataError("\n".join([*told, *([f"and {more:,} more"] if more > 0 else [])]))


def noting(faults: Faults | None) -> AbstractContextManager[None]:
    """A block that reads one row: a fault is noted among the `faults`, or raised where there are none."""
    return nullcontext() if faults is None else faults.noted()


@contextmanager
def all_faults() -> Iterator[Faults]:
    """The faults of the rows that the block reads, told when it ends; what ends it is the last of them."""
    faults = Faults()
    with faults.noted():
        yield faults
    faults.tell()
