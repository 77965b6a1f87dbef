"""Errors reach another process as they were raised."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrbench.errors import DiskFullError, FieldError, LrbenchError
from lrbench.store.files import UnusableFileError
from tests.test_imports import FILES


def kinds(kind: type[LrbenchError] = LrbenchError) -> Iterator[type[LrbenchError]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds(below)


def made(kind: type[LrbenchError]) -> LrbenchError:
    if issubclass(kind, FieldError):
        return kind(("data", "problems"), 7, "is too many")
    if issubclass(kind, DiskFullError):
        return kind(Path("runs/store"), "3 MB free")
    return kind("what was found\n  where it was")


def test_every_error_survives_pickling_with_its_place_and_remarks() -> None:
    for name, path in FILES.items():
        if "Error)" in path.read_text(encoding="utf-8"):
            importlib.import_module(name)
    found = set(kinds())
    assert {FieldError, DiskFullError} < found
    assert {kind.__module__ for kind in found} > {"lrbench.errors", "lrbench.data.hub"}
    for kind in found:
        error = made(kind)
        error.add_note("seen while planning")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert (str(again), again.args, again.exit_code) == (str(error), error.args, kind.exit_code)
        assert vars(again) == vars(error)
        assert again.__notes__ == ["seen while planning"]


def test_a_field_is_still_named_by_its_path() -> None:
    again = pickle.loads(pickle.dumps(FieldError(("arms", 2, "seeds"), [], "is empty")))
    assert (again.path, again.found, again.reason) == (("arms", 2, "seeds"), [], "is empty")
    with pytest.raises(FieldError, match=r"^arms\.2\.seeds: is empty$"):
        raise again


def test_a_file_that_cannot_be_used_is_still_named() -> None:
    error = UnusableFileError(Path("runs/pipe"), "is a pipe")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.filename) == (UnusableFileError, str(error), "runs/pipe")
