"""What an exported model scored, in the two forms that the Hugging Face Hub shows.

The model-index is part of the card and holds every benchmark. `.eval_results/NAME.yaml` is for benchmarks
that are data sets of the Hub with a leaderboard, and is written only where the whole set was measured: a
score of some of its items would stand among those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lrbench.data.sets import DATA_SETS
from lrbench.results.board import Board
from lrbench.results.rows import Cell, Row

FOLDER = ".eval_results"
TASK = "text-generation"


class HubBenchmark(NamedTuple):
    """A data set of the Hub with the same test items: its configuration, and its task on the leaderboard."""

    data_set: str
    configuration: str
    task: str


HUB_BENCHMARKS = {"gsm8k": HubBenchmark("openai/gsm8k", "main", "gsm8k")}


@dataclass(frozen=True)
class Measured:
    """One benchmark's result, of the latest protocol where there are several."""

    suite: str
    benchmark: str
    cell: Cell

    @property
    def percent(self) -> float:
        """The accuracy in percent, by the paper verdict, to two digits."""
        return round(100 * self.cell.share, 2)

    @property
    def metric(self) -> str:
        """What the percentage is of: of sampled answers all draws count."""
        draws = self.cell.draws
        what = "accuracy" if draws == 1 else f"avg@{draws}"
        return f"{what} in percent, paper verdict"

    @property
    def protocol(self) -> dict[str, Any]:
        """How it was measured."""
        return self.cell.score.protocol

    @property
    def on_hub(self) -> HubBenchmark | None:
        """The benchmark as the Hub has it, where there is one and every item of it was measured."""
        known = DATA_SETS.get(f"{self.benchmark}_test")
        whole = known is not None and self.cell.n == known.rows and self.protocol.get("limit") is None
        return HUB_BENCHMARKS.get(self.benchmark) if whole else None


def measured_by(rows: Sequence[tuple[Board, Row]]) -> list[Measured]:
    """Every benchmark of the rows once; `rows` come latest first within a suite, as boards do."""
    found: dict[tuple[str, str], Measured] = {}
    for board, row in rows:
        for benchmark, cell in row.cells.items():
            found.setdefault((board.suite, benchmark), Measured(board.suite, benchmark, cell))
    return list(found.values())


def model_index(name: str, measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The field `model-index` of a card; empty where nothing was measured."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type=TASK,
            task_name="Text Generation",
            dataset_type=one.suite if one.on_hub is None else one.on_hub.data_set,
            dataset_name=_called(one),
            # Results are one where task, data set, configuration and split are.
            dataset_config=one.benchmark if one.on_hub is None else one.on_hub.configuration,
            dataset_split="test",
            dataset_args={"num_few_shot": one.protocol.get("shots", 0)},
            metric_type="accuracy",
            metric_name=one.metric,
            metric_value=one.percent,
        )
        for one in measured
    ]
    return eval_results_to_model_index(name, results) if results else []


def write_eval_results(folder: Path, measured: Sequence[Measured]) -> list[Path]:
    """Write `.eval_results/NAME.yaml` into `folder` for the Hub's benchmarks; returns the files."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    written = []
    for one in measured:
        hub = one.on_hub
        if hub is None:
            continue
        shots, decoding = one.protocol.get("shots", 0), one.protocol.get("decoding", "greedy")
        entry = EvalResultEntry(
            dataset_id=hub.data_set,
            task_id=hub.task,
            value=one.percent,
            date=one.cell.score.recorded_at,
            notes=f"{shots}-shot, {decoding}, lrbench {one.suite}",
        )
        path = folder / FOLDER / f"{one.benchmark}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False), encoding="utf-8"
        )
        written.append(path)
    return written


def _called(one: Measured) -> str:
    """The benchmark, and how many of its items where that is not all."""
    limit = one.protocol.get("limit")
    listed = one.protocol.get("items") is not None
    return f"{one.benchmark}, {one.cell.n} items" if limit is not None or listed else one.benchmark
