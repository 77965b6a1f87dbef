"""Small result files as tests need them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def table(path: Path, outcomes: str, system: str = "", benchmark: str = "sums", **more: Any) -> Path:
    """A CSV file of one system, named after the file unless said; one 0 or 1 for each item q1, q2 ..."""
    lines = [
        {"system": system or path.stem, "benchmark": benchmark, "item": f"q{number}", "correct": outcome}
        | {name: value(number) if callable(value) else value for name, value in more.items()}
        for number, outcome in enumerate(outcomes, start=1)
    ]
    return write_csv(path, lines)


def write_csv(path: Path, lines: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def json_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
