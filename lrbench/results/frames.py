"""All that a runs folder says, as Arrow tables: the leaderboard, scores, items, rollouts, steps and curves.

`table.to_pandas()` and `polars.from_arrow(table)` make data frames of them. Every function takes the folder
and, where it helps, a recipe, an arm and a benchmark by name, of which nothing means all. Rows stand in the
order in which they were recorded. Columns keep their names and types also where there are no rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import UserError
from lrbench.recipe.messages import did_you_mean
from lrbench.results.board import build_boards
from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.results.rendering.number_files import numbers_table
from lrbench.results.text import plain

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Iterable[Mapping[str, Any]]

# Columns with their types. Those of `leaderboard` follow from what was measured.
WHO = {"recipe": "string", "arm": "string", "seed": "int64", "point": "string", "arm_id": "string"}
SCORES = WHO | {
    "expert": "string",
    "suite": "string",
    "benchmark": "string",
    "n": "int64",
    "right": "int64",
    "accuracy": "float64",
    "exact_accuracy": "float64",
    "tokens": "int64",
    "truncated": "int64",
    "seconds": "float64",
    "protocol": "string",
    "recorded_at": "string",
}
ITEMS = WHO | {
    "benchmark": "string",
    "protocol": "string",
    "id": "string",
    "draw": "int64",
    "problem": "string",
    "gold": "string",
    "completion": "string",
    "prediction": "string",
    "right": "bool",
    "exact": "bool",
    "reason": "string",
    "tokens": "int64",
    "truncated": "bool",
}
ROLLOUTS = WHO | {
    "rollout": "int64",
    "problem_id": "string",
    "sample": "int64",
    "steps": "int64",
    "prompt": "string",
    "completion": "string",
}
STEPS = WHO | {
    "rollout": "int64",
    "step": "int64",
    "token": "int64",
    "text": "string",
    "kl": "float64",
    "entropy_expert": "float64",
    "entropy_amateur": "float64",
    "top1_expert": "int64",
    "top1_amateur": "int64",
    "log_p_expert": "float64",
    "log_p_amateur": "float64",
}
CURVES = WHO | {"curve": "string", "update": "float64", "value": "float64"}


def leaderboard(runs: Path, recipe: str | None = None) -> pa.Table:
    """The leaderboard's numbers, a row for every line of it: accuracies, intervals, tests, costs.

    The columns are those of `lrbench results --format parquet`. Means over seeds and what the paper reports
    have rows of their own, told apart by the column `kind`.
    """
    contents = _read(runs, recipe)
    arms = [arm for arm in contents.arms if recipe in (None, arm.recipe)]
    found = [score for score in contents.scores if recipe in (None, score.recipe)]
    return numbers_table(build_boards(arms, found, contents.recipes))


def scores(runs: Path, recipe: str | None = None, arm: str | None = None) -> pa.Table:
    """One row for every arm, seed and benchmark measured; `protocol` is the hash of how."""
    return _table(
        SCORES,
        (
            {
                **_who(score),
                "expert": score.expert,
                "suite": score.suite,
                "benchmark": score.benchmark,
                "n": len(score.paper),
                "right": score.paper.count("1"),
                "accuracy": score.paper.count("1") / len(score.paper) if score.paper else None,
                "exact_accuracy": score.exact.count("1") / len(score.exact) if score.exact else None,
                "tokens": score.tokens,
                "truncated": score.truncated,
                "seconds": score.seconds,
                "protocol": score.protocol_hash,
                "recorded_at": score.recorded_at,
            }
            for score in _scores(runs, recipe, arm)
        ),
    )


def items(
    runs: Path, recipe: str | None = None, arm: str | None = None, benchmark: str | None = None
) -> pa.Table:
    """One row for every graded answer: problem, gold answer, completion, and both verdicts.

    Imported results have no answers here and are left out. Raises `StoreError` where answers were removed or
    are damaged.
    """
    inspector = Inspector(runs)

    def rows() -> Iterator[Mapping[str, Any]]:
        for score in _scores(runs, recipe, arm):
            if score.imported or benchmark not in (None, score.benchmark):
                continue
            for row in inspector.answers(score):
                yield {
                    **_who(score),
                    "benchmark": score.benchmark,
                    "protocol": score.protocol_hash,
                    "draw": row.get("draw", 0),
                    "right": row["paper"],
                    **{name: row[name] for name in ITEMS if name in row},
                }

    return _table(ITEMS, rows())


def rollouts(runs: Path, recipe: str | None = None, arm: str | None = None) -> pa.Table:
    """One row for every scored rollout that an arm has learnt from, as text.

    Arms that no second model had a part in have none. Raises `StoreError` as `items` does.
    """

    def rows() -> Iterator[Mapping[str, Any]]:
        for record, scored in _scored(runs, recipe, arm):
            for number, rollout in enumerate(scored.rollouts):
                yield {
                    **_who(record),
                    "rollout": number,
                    "problem_id": rollout.problem_id,
                    "sample": rollout.sample,
                    "steps": rollout.steps,
                    "prompt": _text(rollout.prompt_ids, scored.texts),
                    "completion": _text(rollout.completion_ids, scored.texts),
                }

    return _table(ROLLOUTS, rows())


def steps(runs: Path, recipe: str | None = None, arm: str | None = None) -> pa.Table:
    """One row for every scored step: the token written, and what both models thought of it.

    `kl` is KL(expert || amateur) and entropies are in nats; `log_p_*` is what each model gives to the token
    that was written, null in scores of versions that did not keep it. Raises `StoreError` as `items` does.
    """

    def rows() -> Iterator[Mapping[str, Any]]:
        for record, scored in _scored(runs, recipe, arm):
            of, who = scored.scores, _who(record)
            for place in range(len(of)):
                number, step = int(of.rollout[place]), int(of.step[place])
                token = scored.rollouts[number].completion_ids[step]
                yield {
                    **who,
                    "rollout": number,
                    "step": step,
                    "token": token,
                    "text": scored.texts.get(token),
                    "kl": of.kl[place],
                    "entropy_expert": of.entropy_expert[place],
                    "entropy_amateur": of.entropy_amateur[place],
                    "top1_expert": of.top1_expert[place],
                    "top1_amateur": of.top1_amateur[place],
                    "log_p_expert": None if of.own_log_p_expert is None else of.own_log_p_expert[place],
                    "log_p_amateur": None if of.own_log_p_amateur is None else of.own_log_p_amateur[place],
                }

    return _table(STEPS, rows())


def curves(runs: Path, recipe: str | None = None, arm: str | None = None) -> pa.Table:
    """One row for every value that training measured: `curve` is `loss`, `gradient_norm` and so on."""
    return _table(
        CURVES,
        (
            {**_who(record), "curve": name, "update": update, "value": value}
            for record in _arms(runs, recipe, arm)
            for name, points in record.curves.items()
            for update, value in points
        ),
    )


def _table(columns: Mapping[str, str], rows: Rows) -> pa.Table:
    import pyarrow as pa

    found = list(rows)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    return pa.table(
        {name: pa.array([row.get(name) for row in found], schema.field(name).type) for name in columns},
        schema=schema,
    )


def _who(record: ArmRecord | ScoreRecord) -> dict[str, Any]:
    return {
        "recipe": record.recipe,
        "arm": record.arm,
        "seed": record.seed,
        "point": json.dumps(record.point) if record.point else None,
        "arm_id": record.arm_id,
    }


def _text(ids: Iterable[int], texts: Mapping[int, str]) -> str:
    return "".join(texts.get(token, "") for token in ids)


def _read(runs: Path, recipe: str | None) -> LedgerContents:
    """The ledger. Raises `UserError` for a recipe that it does not know."""
    contents = Ledger(runs / "ledger").read()
    _check("recipe", recipe, (record.recipe for record in contents.arms))
    return contents


def _arms(runs: Path, recipe: str | None, arm: str | None) -> list[ArmRecord]:
    found = [record for record in _read(runs, recipe).arms if recipe in (None, record.recipe)]
    _check("arm", arm, (record.arm for record in found))
    return [record for record in found if arm in (None, record.arm)]


def _scores(runs: Path, recipe: str | None, arm: str | None) -> list[ScoreRecord]:
    found = [record for record in _read(runs, recipe).scores if recipe in (None, record.recipe)]
    _check("arm", arm, (record.arm for record in found))
    return [record for record in found if arm in (None, record.arm)]


def _scored(runs: Path, recipe: str | None, arm: str | None) -> Iterator[tuple[ArmRecord, Any]]:
    inspector = Inspector(runs)
    for record in _arms(runs, recipe, arm):
        scored = inspector.scored_rollouts(record)
        if scored is not None:
            yield record, scored


def _check(what: str, name: str | None, names: Iterable[str]) -> None:
    known = list(dict.fromkeys(names))
    if name is not None and name not in known:
        raise UserError(
            f"there are no results of {'an' if what == 'arm' else 'a'} {what} {plain(name)!r}"
            f"{did_you_mean(name, known)}; there are of {', '.join(map(plain, known)) or 'none'}"
        )
