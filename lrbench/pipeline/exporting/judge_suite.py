"""From results to the folder of a suite for judges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lrbench.errors import UserError
from lrbench.pipeline.exporting.naming import find_result, full_name
from lrbench.recipe.messages import did_you_mean, found
from lrbench.results.inspection import Inspector
from lrbench.results.judge_items import (
    paired_items,
    pool_of,
    provenance,
    scores_on,
    single_items,
    write_suite,
)
from lrbench.results.ledger import Ledger
from lrbench.store.outside import check_target, new_folder
from lrbench.suites.shipped import SHIPPED

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def write_judge_suite(
    names: Sequence[str],
    runs: Path,
    to: Path,
    *,
    pairs: bool,
    benchmarks: Sequence[str] = (),
    count: int | None = None,
    seed: int = 0,
) -> str:
    """Write a suite of judge items made from the results called `names`; what was made, in words.

    The suite is called as the folder `to`. Raises `UserError` for a result or benchmark that is not there, a
    folder that is, or whose name is none for a suite, and answers of which none, or every one, is right.
    """
    check_target(to)
    if _NAME.fullmatch(to.name) is None or to.name in SHIPPED:
        raise UserError(
            f"the suite is called as its folder, and {found(to.name)} is no name for one: a name has "
            "letters, digits, points, dashes and underscores, and is not that of a suite that ships"
        )
    contents = Ledger(runs / "ledger").read()
    results = []
    for arm in dict.fromkeys(find_result(name, contents.arms).arm_id for name in names):
        record = next(each for each in contents.arms if each.arm_id == arm)
        if record.imported:
            raise UserError(f"{full_name(record)} was imported from result files: its answers are not here")
        own = list(scores_on(contents.scores, record, benchmarks))
        if not own:
            known = [score.benchmark for score in contents.scores if score.arm_id == arm]
            hint = did_you_mean(benchmarks[0], known) if benchmarks else ""
            where = f" on {', '.join(benchmarks)}" if benchmarks else ""
            raise UserError(f"{full_name(record)} has no scores{where}{hint}")
        results.append((record, own))
    pool = pool_of(results, Inspector(runs))
    items = (paired_items if pairs else single_items)(pool, count, seed)
    asked = {"pairs": pairs, "benchmarks": list(benchmarks), "count": count, "seed": seed}
    with new_folder(to, runs) as folder:
        write_suite(folder, to.name, items, pairs, provenance(results, asked, pool))
    what = f"{len(items) // 2} pairs in both orders" if pairs else f"{len(items)} items, half of them right"
    return f"{to}: {what}, from {pool.counts}. A recipe names it as `evaluation: {{suite: {to}}}`"
