"""Small rows made by hand, and a data set as if they were its right content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lrbench.data.access import row_line
from lrbench.data.rules import Row
from lrbench.data.sets import DATA_SETS, DataSet

ROWS = [
    Row(id="gsm8k-test-0", problem="1+1?", answer="2", solution="1+1=2"),
    Row(id="gsm8k-test-1", problem="Is \u2028 a line?", answer="no", solution=None),
]


def described(rows: Iterable[Row], data_set: DataSet = DATA_SETS["gsm8k_test"]) -> DataSet:
    """`data_set` as if `rows` were its right content."""
    lines = [row_line(row) for row in rows]
    return replace(data_set, rows=len(lines), content_hash=hashlib.sha256(b"".join(lines)).hexdigest())


def jsonl(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
