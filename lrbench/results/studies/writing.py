"""A study's files: `EDITION/STUDY/table.md`, `.tex`, `.csv` and the figures, written only where they differ.

Equal ledgers give equal bytes. What each figure was drawn from is noted beside the files, so that drawing,
by far the longest part, is left out where nothing changed; the notes can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from lrbench.results.studies.content import Report
from lrbench.results.studies.drawing import FORMATS, VERSION, draw
from lrbench.results.studies.figures import Figure
from lrbench.results.studies.rendering import report_to_csv, report_to_latex, report_to_markdown
from lrbench.store.canonical import canonical_json
from lrbench.store.files import read_regular, storage_errors, write_atomically

NOTES = ".figures.json"


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write every file of `report` below `folder` and return their paths, tables first.

    Raises `StoreError` when the folder cannot be written.
    """
    place = folder / report.edition.edition / report.edition.study
    with storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    files = {
        "table.md": report_to_markdown(report),
        "table.tex": report_to_latex(report),
        "table.csv": report_to_csv(report),
    }
    for name, text in files.items():
        _write_if_changed(place / name, text.encode())
    return [*(place / name for name in files), *_write_figures(report.figures, place)]


def _write_figures(figures: Mapping[str, Figure], place: Path) -> list[Path]:
    noted = _read_notes(place / NOTES)
    notes: dict[str, dict[str, str]] = {}
    paths: list[Path] = []
    for name, figure in figures.items():
        files = {form: place / f"{name}.{form}" for form in FORMATS}
        paths += files.values()
        drawn_from = _hash(f"{_drawn_with()} {figure!r}".encode())
        there = {"drawn from": drawn_from} | {form: _hash_of(path) for form, path in files.items()}
        if noted.get(name) == there:
            notes[name] = noted[name]
            continue
        drawn = draw(figure)
        for form, path in files.items():
            _write_if_changed(path, drawn[form])
        notes[name] = {"drawn from": drawn_from} | {form: _hash(content) for form, content in drawn.items()}
    if figures:
        _write_if_changed(place / NOTES, (canonical_json(notes) + "\n").encode())
    return paths


def _drawn_with() -> str:
    return f"{VERSION} matplotlib {version('matplotlib')}"


def _read_notes(path: Path) -> dict[str, dict[str, str]]:
    """What was noted; nothing where the file is not as it was written."""
    with suppress(OSError, ValueError, RecursionError):
        notes = json.loads(read_regular(path))
        if isinstance(notes, dict) and all(isinstance(entry, dict) for entry in notes.values()):
            return notes
    return {}


def _write_if_changed(path: Path, content: bytes) -> None:
    with storage_errors(path):
        with suppress(FileNotFoundError):
            if read_regular(path) == content:
                return
        write_atomically(path, content)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(path: Path) -> str | None:
    with suppress(OSError):
        return _hash(read_regular(path))
    return None
