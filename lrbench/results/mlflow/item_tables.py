"""Item by item how an arm answered, as a table that MLflow shows."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lrbench.results.records import ScoreRecord

ITEMS = "items.json"
# The page opens on the first column against the second.
COLUMNS = ("item", "right", "right_exact", "draws_right", "benchmark")
# What MLflow itself sets beside a table, and looks for one by.
TAGS = {"mlflow.loggedArtifacts": json.dumps([{"path": ITEMS, "type": "table"}])}


def items_table(scores: Iterable[ScoreRecord]) -> bytes:
    """Which items were answered rightly, as MLflow keeps tables: it shows those of several runs side by side.

    An item is called by its benchmark and its place there, from 0; `draws_right` counts the right draws.
    """
    rows = [
        [
            f"{score.benchmark} {position}",
            right == "1",
            exact == "1",
            sum(draw[position] == "1" for draw in score.outcomes),
            score.benchmark,
        ]
        for score in scores
        for position, (right, exact) in enumerate(zip(score.paper, score.exact, strict=True))
    ]
    return json.dumps({"columns": COLUMNS, "data": rows}, separators=(",", ":")).encode()
