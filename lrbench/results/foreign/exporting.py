"""Measured results as Every Eval Ever holds them: an aggregate and its instances for every arm and protocol.

Written is what its schema 0.3 asks for, under the paths that its validator wants: `data/SUITE/lrbench/MODEL/`
with `ID.json` and `ID_samples.jsonl`. The outcome of an instance is the paper verdict, by which boards rank.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import UserError
from lrbench.evaluation.graded_items import DRAW, read_draws
from lrbench.evaluation.statistics import LEVEL
from lrbench.recipe.expanding import point_text
from lrbench.recipe.references import Origin, origin_of_model
from lrbench.results.board import Board
from lrbench.results.foreign.recording import safe_name
from lrbench.results.records import ScoreRecord
from lrbench.results.rows import Cell, Row
from lrbench.results.variations import ID_LENGTH
from lrbench.store.canonical import canonical_json
from lrbench.store.files import storage_errors, write_atomically

if TYPE_CHECKING:
    from lrbench.results.inspection import Inspector

SCHEMA = "0.3.0"
# The stage whose artifact holds the answers, and what an item is called that belongs with others.
EVALUATION, GROUP = "evaluate", "group"
DEVELOPER = "lrbench"
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Exported:
    """What was written: so many `files` of so many `results`, and what was `left_out`, by its name."""

    folder: Path
    results: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.folder}: {self.results} results in the form of Every Eval Ever"
        left = (
            f"; not among them, since they were imported: {', '.join(self.left_out)}" if self.left_out else ""
        )
        return text + left


def export_boards(boards: Sequence[Board], runs: Path, to: Path) -> Exported:
    """Write every measured row of `boards` into the new folder `to`.

    Raises `UserError` for a folder that holds something, and for results whose items do not hold what was
    asked; `StoreError` where items are gone from the store, or nothing can be written.
    """
    # It takes seconds to import, which a folder that is not empty must not cost.
    with storage_errors(to):
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise UserError(f"{to} is there already and not empty; name a new folder")
    from lrbench.results.inspection import Inspector

    inspector = Inspector(runs)
    written, left_out = 0, dict[str, None]()
    for board in boards:
        for row in board.rows:
            if any(cell.score.imported for cell in row.cells.values()):
                left_out[f"{row.recipe}/{row.arm}"] = None
                continue
            _write(board, row, inspector, to)
            written += 1
    return Exported(to, written, tuple(left_out))


def _write(board: Board, row: Row, inspector: Inspector, to: Path) -> None:
    model = _model(row)
    collection = safe_name(board.suite)
    digest = hashlib.sha256(canonical_json([row.arm_id, board.protocol_hash]).encode()).digest()
    name = uuid.UUID(bytes=digest[:16], version=4)
    place = Path("data", collection, DEVELOPER, model)
    moment = str(int(datetime.fromisoformat(row.recorded_at).timestamp()))
    identity = f"{collection}/{DEVELOPER}/{model}/{moment}"
    samples = "".join(
        json.dumps(_instance(identity, f"{DEVELOPER}/{model}", benchmark, item)) + "\n"
        for benchmark, cell in row.cells.items()
        for item in _items(inspector, cell.score)
    )
    aggregate = _aggregate(row, identity, moment, model) | {
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": (place / f"{name}_samples.jsonl").as_posix(),
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(samples.encode()).hexdigest(),
            "total_rows": samples.count("\n"),
        }
    }
    with storage_errors(to):
        (to / place).mkdir(parents=True, exist_ok=True)
    write_atomically(to / place / f"{name}_samples.jsonl", samples)
    write_atomically(to / place / f"{name}.json", json.dumps(aggregate, indent=2) + "\n")


def _model(row: Row) -> str:
    """What the row's model is called: as on the board, and its id, since other seeds are other models."""
    parts = [row.recipe, row.arm, point_text(row.point), "" if row.seed is None else f"seed-{row.seed}"]
    return safe_name("-".join(filter(None, [*parts, row.arm_id[:ID_LENGTH]])))


def _aggregate(row: Row, identity: str, moment: str, model: str) -> dict[str, Any]:
    first = next(iter(row.cells.values())).score
    local = origin_of_model(row.expert) is Origin.LOCAL
    return {
        "schema_version": SCHEMA,
        "evaluation_id": identity,
        "evaluation_timestamp": moment,
        "retrieved_timestamp": moment,
        "source_metadata": {
            "source_name": "lrbench",
            "source_type": "evaluation_run",
            "source_organization_name": NOT_STATED,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "lrbench", "version": version("lrbench")},
        "model_info": {
            "name": model,
            "id": f"{DEVELOPER}/{model}",
            "developer": DEVELOPER,
            "inference_engine": {"name": str(first.protocol.get("engine", NOT_STATED))},
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                "expert": Path(row.expert).name if local else row.expert,
                "expert_weights": row.expert_weights,
                "recipe": row.recipe,
                "arm": row.arm,
                "arm_id": row.arm_id,
                "seed": "none" if row.seed is None else str(row.seed),
            },
        },
        "evaluation_results": [_result(name, cell, moment) for name, cell in row.cells.items()],
    }


def _result(benchmark: str, cell: Cell, moment: str) -> dict[str, Any]:
    estimate, protocol = cell.accuracy, cell.score.protocol
    arguments: dict[str, Any] = {}
    most = protocol.get("max_new_tokens")
    # Where likelihoods decide nothing is written, and the schema has no length of nought.
    if protocol.get("decoding") == "greedy" and most != 0:
        arguments["temperature"] = 0.0
    if isinstance(most, int) and most > 0:
        arguments["max_tokens"] = most
    return {
        "evaluation_result_id": _result_id(benchmark),
        "evaluation_name": benchmark,
        "evaluation_timestamp": moment,
        "source_data": {
            "dataset_name": benchmark,
            "source_type": "other",
            "additional_details": {"data": str(protocol.get("data")), "items": cell.score.items_hash},
        },
        "metric_config": {
            "evaluation_description": "share of answers right, by the verdict that boards of lrbench rank",
            "metric_id": "accuracy",
            "metric_name": "accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": estimate.value,
            "details": {"exact_verdict": f"{cell.score.correct_exact / cell.n:.6f}"},
            "uncertainty": {
                "confidence_interval": {
                    "lower": estimate.interval.low,
                    "upper": estimate.interval.high,
                    "confidence_level": LEVEL,
                    "method": "Wilson",
                },
                "num_samples": cell.n,
            },
        },
        "generation_config": {
            "generation_args": arguments,
            "additional_details": {name: json.dumps(value) for name, value in protocol.items()},
        },
    }


def _instance(identity: str, model: str, benchmark: str, item: Mapping[str, Any]) -> dict[str, Any]:
    problem, gold = str(item["problem"]), str(item.get("gold", ""))
    prediction = item.get("prediction")
    return {
        "schema_version": SCHEMA,
        "evaluation_id": identity,
        "model_id": model,
        "evaluation_name": benchmark,
        "evaluation_result_id": _result_id(benchmark),
        "sample_id": str(item["id"]),
        "sample_hash": hashlib.sha256((problem + gold).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": problem, "reference": [gold]},
        "output": {"raw": [str(item.get("completion", ""))]},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": "" if prediction is None else str(prediction),
                "extraction_method": "lrbench's grader",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(bool(item["paper"])), "is_correct": bool(item["paper"])},
        "metadata": {
            "exact_verdict": json.dumps(bool(item["exact"])),
            "reason": str(item.get("reason", "")),
            **{name: str(item[name]) for name in (DRAW, GROUP) if item.get(name) is not None},
        },
    }


def _result_id(benchmark: str) -> str:
    return f"{benchmark}:paper"


def _items(inspector: Inspector, score: ScoreRecord) -> Iterator[Mapping[str, Any]]:
    """The graded answers, of each item all its draws."""
    for item in read_draws(inspector.artifact(EVALUATION, score.evaluation_key)):
        if "problem" not in item:
            raise UserError(
                f"{score.recipe}/{score.arm} was measured by an older lrbench, whose items do not hold what "
                "was asked; run its recipe again"
            )
        yield item
