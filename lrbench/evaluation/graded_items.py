"""Graded items as an evaluation keeps them: one JSON object a line, in the benchmark's order.

Where several answers were sampled to every item, its draws follow one another; each says which it is
(`DRAW`), and what answer the grader reads in it without the gold answer (`VOTE`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lrbench.store.artifact import Artifact

DRAW, VOTE = "draw", "vote"
# The share of answers that were cut at the length limit above which it is said.
MUCH_CUT = 0.05
# What an answer's own tokens say, where that was asked for: `evaluation.traces`.
TRACE = "trace"


def write_item_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write graded items as JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def read_item_rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The graded items of `files`, in the order given, read one after the other."""
    for path in files:
        # Only a newline ends a row: completions may hold the other characters that splitlines breaks at.
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield json.loads(line)


def read_items(artifact: Artifact) -> Iterator[dict[str, Any]]:
    """The graded items of an evaluation's artifact; the fields are those of `harness.Item`.

    Of several draws of an item it is the first.
    """
    return (row for row in read_draws(artifact) if row.get(DRAW, 0) == 0)


def read_draws(artifact: Artifact) -> Iterator[dict[str, Any]]:
    """Every graded answer of an evaluation's artifact: of each item all its draws."""
    return read_item_rows(artifact.file(record.name) for record in artifact.files)
