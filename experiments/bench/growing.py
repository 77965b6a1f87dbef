"""What must not grow with what was recorded before: recording an arm, and printing the leaderboard.

`python -m experiments.bench.growing` measures it at 10,000 scores, in processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.bench.measuring import Figure, print_table
from experiments.bench.synthetic_ledger import BENCHMARKS, write_synthetic_ledger
from lrbench.results.computed import COMPUTED
from lrbench.results.ledger import Ledger
from lrbench.results.ledger.following_on import FollowedLedger
from lrbench.results.ledger.index import INDEX

SCORES = 10_000
APPENDED = 20
ROOT = Path(__file__).parents[2]
LRBENCH = [sys.executable, "-c", "from lrbench.cli import main; main()"]


def growing(scores: int = SCORES) -> Iterator[Figure]:
    """Recording and following with an index and without, and the board with and without what was computed."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        recorded = write_synthetic_ledger(runs, scores)
        of = f"beside {recorded:,} scores"
        ledger, contents = Ledger(runs / "ledger"), Ledger(runs / "ledger").read()
        (runs / "ledger" / INDEX).unlink()
        arms, found = list(contents.arms[:APPENDED]), list(contents.scores[: len(BENCHMARKS)])
        new = [
            [arm.model_copy(update={"arm_id": f"new-{arm.arm_id}"})]
            + [score.model_copy(update={"arm_id": f"new-{arm.arm_id}"}) for score in found]
            for arm in arms
        ]
        followed = FollowedLedger(ledger)
        appends = [processor_seconds(lambda records=records: ledger.append(records)) for records in new]
        yield Figure(f"recording an arm {of}, its index made anew, s", appends[:1])
        yield Figure(f"recording an arm {of}, s", appends[1:], "under 0.005")
        yield Figure(f"a first look {of}, s", [processor_seconds(followed.look)])
        looks = []
        for records in new[:5]:
            ledger.append([record.model_copy(update={"arm_id": "a" + record.arm_id}) for record in records])
            looks.append(processor_seconds(followed.look))
        yield Figure(f"another look, an arm later, {of}, s", looks)
        (runs / "ledger" / COMPUTED).unlink(missing_ok=True)
        boards = [_command("results", "--runs", folder) for _ in range(4)]
        yield Figure(f"lrbench results of {recorded:,} scores, nothing computed before, s", boards[:1])
        yield Figure(f"lrbench results of {recorded:,} scores, s", boards[1:], "under 2")


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds of a processor that one call takes in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _command(*arguments: str) -> float:
    """The same of a command."""
    before = os.times()
    subprocess.run([*LRBENCH, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


if __name__ == "__main__":
    print_table(growing())
