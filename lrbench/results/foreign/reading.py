"""Reading result files and folders of them, whatever harness wrote them.

A source is written as a path, or as `NAME=PATH` where its system is to be called otherwise than its harness
calls it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lrbench.data.json_lines import read_json_lines
from lrbench.errors import DataError, UserError
from lrbench.results.foreign.every_eval_ever import EveryEvalEver
from lrbench.results.foreign.files import ZIP_MAGIC, head_of
from lrbench.results.foreign.inspect_logs import InspectLogs
from lrbench.results.foreign.lm_eval_samples import LmEvalSamples
from lrbench.results.foreign.outcomes import Measured, name_at, shown
from lrbench.results.foreign.reader import Glimpse, NoSuchMetricError, Reader
from lrbench.results.foreign.tables import Tables

READERS: tuple[Reader, ...] = (LmEvalSamples(), InspectLogs(), EveryEvalEver(), Tables())
MOST_FILES = 10_000
_LINES = (".jsonl", ".jsonl.gz")
_ENDINGS = (*_LINES, ".eval", ".json", ".csv")


@dataclass(frozen=True)
class Source:
    """A file or folder that was named, and what its system is to be called, where that was said."""

    path: Path
    system: str | None = None


@dataclass(frozen=True)
class System:
    """One system: its outcomes by benchmark. `place` is the file or folder, of several the first."""

    name: str
    benchmarks: dict[str, Measured]
    place: str

    @property
    def called(self) -> str:
        """What its files, or whoever named them, call it."""
        return next(iter(self.benchmarks.values())).system

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of its numbers has to know, each once."""
        found = (remark for measured in self.benchmarks.values() for remark in measured.origin.remarks)
        return tuple(dict.fromkeys(found))


def source_of(text: str) -> Source:
    """What `text` names. A file whose own name holds `=` is that file.

    Raises `UserError` for a name without a path, or the other way round.
    """
    name, equals, path = text.partition("=")
    if not equals or os.path.lexists(text):
        return Source(Path(text))
    if not name.strip() or not path:
        raise UserError(f"{shown(text)} names no file; write a path, or NAME=PATH")
    return Source(Path(path), name_at(shown(text), "NAME", name))


def read_systems(sources: Iterable[Source], metric: str | None = None) -> tuple[System, ...]:
    """The systems in these files and folders, in the order named, each once.

    Files of one system with different benchmarks are one system.
    `metric` is what counts as the outcome in those files that have it (`Reader.read`). Raises `DataError`
    for files that cannot be read, for two systems of one name, and for a metric that no file has.
    """
    found: dict[str, System] = {}
    asked = _Asked(metric)
    for source in sources:
        for system in _systems_in(source, asked):
            earlier = found.get(system.name)
            found[system.name] = system if earlier is None else _together(earlier, system)
    asked.check()
    return tuple(found.values())


def _together(first: System, second: System) -> System:
    """One system, whose benchmarks are in several files; raises `DataError` for two of one name."""
    both = [benchmark for benchmark in second.benchmarks if benchmark in first.benchmarks]
    if both:
        raise DataError(
            f"{second.place}: its system is called {shown(second.name)}, and so is that of {first.place}; "
            f"both have {_listed(both)}, so call one of them otherwise: NAME={second.place}"
        )
    return replace(first, benchmarks=first.benchmarks | second.benchmarks)


class _Asked:
    """The metric that was asked for, and whether any file has it: tasks have metrics of their own."""

    def __init__(self, metric: str | None) -> None:
        self._metric = metric
        self._had = metric is None
        self._lacking: NoSuchMetricError | None = None

    def read(self, reader: Reader, path: Path) -> list[Measured]:
        """What the file says by that metric, or by its own first where it has no such metric."""
        try:
            found = reader.read(path, self._metric)
        except NoSuchMetricError as error:
            self._lacking = self._lacking or error
            return reader.read(path, None)
        self._had = True
        return found

    def check(self) -> None:
        """Raise what the first file that lacks the metric said, where every file does."""
        if not self._had and self._lacking is not None:
            raise self._lacking


def _systems_in(source: Source, asked: _Asked) -> Iterator[System]:
    by_name: dict[str, dict[str, Measured]] = defaultdict(dict)
    for path, reader in _files(source.path):
        for measured in asked.read(reader, path):
            earlier = by_name[measured.system].get(measured.benchmark)
            if earlier is not None:
                raise DataError(
                    f"{path}: has {shown(measured.benchmark)} of {shown(measured.system)}, and so has "
                    f"{earlier.origin.path}; name the file that is meant"
                )
            by_name[measured.system][measured.benchmark] = measured
    if source.system is not None and len(by_name) > 1:
        raise DataError(
            f"{source.path}: holds {len(by_name)} systems ({_listed(by_name)}), which cannot all be "
            f"called {shown(source.system)}; name it without NAME="
        )
    for name, benchmarks in by_name.items():
        called = source.system or name
        renamed = {name: replace(found, system=called) for name, found in benchmarks.items()}
        yield System(called, renamed, str(source.path))


def _files(path: Path) -> list[tuple[Path, Reader]]:
    """The result files at `path`, each with its reader. Raises `DataError` where there are none."""
    if not path.is_dir():
        glimpse = _glimpse(path)
        reader = _reader_of(glimpse)
        if reader is None:
            raise _unknown(glimpse)
        return [(path, reader)]
    found = []
    for file in _within(path):
        reader = _reader_of(_glimpse(file))
        if reader is not None:
            found.append((file, reader))
    if not found:
        raise DataError(f"{path}: holds no result files; read are {_kinds()}")
    return found


def _within(folder: Path) -> list[Path]:
    """The files below a folder that could be result files, in order; links to folders are not followed."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_refused):
        folders.sort()
        found += (Path(place, name) for name in sorted(names) if name.lower().endswith(_ENDINGS))
        if len(found) > MOST_FILES:
            raise DataError(f"{folder}: holds more than {MOST_FILES:,} files; name a folder within it")
    return found


def _refused(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _glimpse(path: Path) -> Glimpse:
    head = head_of(path)
    first: object = None
    if path.name.lower().endswith(_LINES):
        first = next((value for _, value in read_json_lines(path, constants=True)), None)
    return Glimpse(path, head, first if isinstance(first, dict) else {})


def _reader_of(glimpse: Glimpse) -> Reader | None:
    return next((reader for reader in READERS if reader.knows(glimpse)), None)


def _unknown(glimpse: Glimpse) -> DataError:
    path, head = glimpse.path, glimpse.head
    if not head:
        return DataError(f"{path}: is empty; read are {_kinds()}")
    if path.suffix == ".json" and b'"results"' in head[:200]:
        return DataError(
            f"{path}: holds averages and no items; name lm-eval's samples_*.jsonl beside it, which "
            "`--log_samples` writes"
        )
    if b'"evaluation_results"' in head:
        return DataError(f"{path}: holds averages and no items; name the .jsonl beside it")
    if glimpse.first:
        fields = ", ".join(map(shown, list(glimpse.first)[:8]))
        return DataError(f"{path}: its lines ({fields}) are of no kind that is read; read are {_kinds()}")
    if b"\0" in head and not head.startswith(ZIP_MAGIC):
        return DataError(f"{path}: is no text; read are {_kinds()}")
    return DataError(f"{path}: is no result file that is read; read are {_kinds()}")


def _kinds() -> str:
    return "; ".join(reader.files for reader in READERS)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown, islice(names, 5)))
