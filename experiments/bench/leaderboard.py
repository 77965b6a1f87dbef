"""What the leaderboard costs at 10,000 scores: `python -m experiments.bench.leaderboard`.

The page is run as Streamlit runs it, without a browser, in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.bench.measuring import Figure, print_table, seconds
from experiments.bench.running import ROOT, run
from experiments.bench.synthetic_ledger import write_synthetic_ledger
from lrbench.pipeline.estimating.resident import most_resident

SCORES = 10_000
QUERIES = 5
# What a reader does one after the other: every one shows rows that were not shown before.
INTERACTIONS: tuple[dict[str, Any], ...] = (
    {"sort": "average"},
    {"order": "up"},
    {"under": "base"},
    {"sort": "gsm8k"},
    {"arm": ["lightr", "sft"]},
    {"expert": "Qwen/Qwen2.5-Math-7B"},
    {"sort": "difference sft"},
)


def leaderboard(scores: int = SCORES) -> Iterator[Figure]:
    """The query behind the board, its memory, opening the page and changing what it shows."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = write_synthetic_ledger(Path(folder), scores)
        command = [sys.executable, "-m", "experiments.bench.leaderboard", folder]
        environment = os.environ | {"LRBENCH_DASHBOARD_RUNS": folder}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        # With a terminal's words for every row, which are computed as they are printed.
        shown = seconds(lambda: run("results", "--runs", folder))
    found = json.loads(done.stdout)
    of = f"of {recorded:,} scores"
    yield Figure(f"lrbench results {of}, s", [shown])
    yield Figure(f"board {of}, read and built, s", found["query"], "under 1")
    yield Figure(f"board {of}, largest resident size, MiB", [found["peak_mib"]], "under 500")
    yield Figure(f"leaderboard {of}, opened the first time, s of a processor", [found["open"]], "under 2")
    yield Figure(
        f"leaderboard {of}, filtered or sorted, s of a processor", found["interactions"], "under 0.3"
    )


def measure(runs: Path) -> dict[str, Any]:
    """Seconds of queries, of opening and of each interaction, and the memory that a query needs."""
    from lrbench.results.board import build_boards
    from lrbench.results.ledger import Ledger

    def query() -> None:
        contents = Ledger(runs / "ledger").read()
        build_boards(contents.arms, contents.scores)

    queries = [seconds(query)]
    peak = most_resident() / 2**20
    queries += [seconds(query) for _ in range(QUERIES - 1)]

    from lrbench_dashboard.__main__ import load_ahead
    from streamlit import config
    from streamlit.testing.v1 import AppTest

    # As the server does before anybody opens a page.
    config.set_option("runner.magicEnabled", False)
    load_ahead()
    app = AppTest.from_file(str(ROOT / "dashboard" / "lrbench_dashboard" / "app.py"), default_timeout=60)
    opened = processor_seconds(app.run)
    assert not app.exception
    return {
        "query": queries,
        "peak_mib": peak,
        "open": opened,
        "interactions": [
            processor_seconds(lambda change=change: _interact(app, change)) for change in INTERACTIONS
        ],
    }


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds of a processor of one call, whatever else the machine does."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _interact(app: Any, change: dict[str, Any]) -> None:
    """Change widgets by their keys and run the page."""
    for key, value in change.items():
        kind = app.multiselect if isinstance(value, list) else app.selectbox
        kind(key=key).set_value(value)
    app.run()
    assert not app.exception


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        print_table(leaderboard())
