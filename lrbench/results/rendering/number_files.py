"""The leaderboard's numbers as JSON and as Parquet, for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.results.board import Board
from lrbench.results.numbers import Value, board_numbers, number_fields
from lrbench.store.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa


def boards_to_json(boards: Sequence[Board]) -> str:
    """`results`: the lines of `board_numbers`; `protocols`: what each line's `protocol` stands for.

    In ASCII alone; a field without a value is left out.
    """
    lines = [
        {name: value for name, value in line.items() if value is not None} for line in board_numbers(boards)
    ]
    protocols = {board.protocol_hash: board.protocols for board in boards}
    return json.dumps({"results": lines, "protocols": protocols}, indent=1)


def write_parquet(boards: Sequence[Board], path: Path) -> int:
    """Write the lines of `board_numbers` as a table with a column for every field; returns how many they are.

    Raises `StoreError` where the file cannot be written.
    """
    import pyarrow.parquet as pq

    table = numbers_table(boards)
    content = io.BytesIO()
    pq.write_table(table, content)
    write_atomically(path, content.getvalue())
    return int(table.num_rows)


def numbers_table(boards: Sequence[Board]) -> pa.Table:
    """The lines of `board_numbers` as an Arrow table with a column for every field."""
    import pyarrow as pa

    lines = list(board_numbers(boards))
    return pa.table(
        {
            name: pa.array([line.get(name) for line in lines], _type(name, lines))
            for name in number_fields(boards)
        }
    )


def _type(name: str, lines: Sequence[dict[str, Value]]) -> object:
    """The type of a column: that of its values, text where it has none."""
    import pyarrow as pa

    kinds = {type(line[name]) for line in lines if line.get(name) is not None}
    if kinds == {int, float}:
        return pa.float64()
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    return types[kinds.pop()] if len(kinds) == 1 else pa.string()
