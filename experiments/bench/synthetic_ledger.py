"""A ledger of any size without a run: five experts, made-up recipes, seven arms, paired outcomes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord, Costs, ScoreRecord
from lrbench.store.keys import stable_hash

EXPERTS = (
    "Qwen/Qwen2.5-Math-1.5B",
    "Qwen/Qwen2.5-Math-1.5B-Instruct",
    "Qwen/Qwen2.5-Math-7B",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    "embedded/expert",
)
# Of the published suite's order and about its spread of difficulty; fewer items than it has.
BENCHMARKS = {
    "gsm8k": (600, 0.55),
    "math": (400, 0.40),
    "svamp": (300, 0.66),
    "asdiv": (500, 0.68),
    "minerva_math": (272, 0.12),
    "olympiadbench": (300, 0.20),
    "mmlu_stem": (400, 0.50),
}
GAINS = {
    "base": 0.0,
    "sft": 0.09,
    "lightr": 0.11,
    "no_selection": 0.1,
    "no_contrast": 0.04,
    "neither": 0.03,
    "ground_truth": 0.01,
}
SEEDS = 5
DAY = "2026-{month:02}-{day:02}T12:00:00+00:00"


def write_synthetic_ledger(runs: Path, scores: int = 10_000) -> int:
    """Write arm records and at least `scores` score records under `runs`; returns how many scores."""
    rows = -(-scores // len(BENCHMARKS))
    records = [record for number, row in enumerate(_rows(rows)) for record in _records(number, *row)]
    return Ledger(runs / "ledger").append(records) - rows


def _rows(rows: int) -> Iterator[tuple[str, str, str, int]]:
    """Expert, recipe, arm and seed of every row."""
    for number in range(rows):
        group, arm = divmod(number, len(GAINS))
        group, seed = divmod(group, SEEDS)
        recipe, expert = divmod(group, len(EXPERTS))
        yield EXPERTS[expert], f"recipe-{recipe:03}", list(GAINS)[arm], seed


def _records(number: int, expert: str, recipe: str, arm: str, seed: int) -> Iterator[ArmRecord | ScoreRecord]:
    arm_id = stable_hash([expert, recipe, arm, seed])[:16]
    moment = DAY.format(month=1 + number // 28 % 10, day=1 + number % 28)
    protocols = {benchmark: _protocol(benchmark) for benchmark in BENCHMARKS}
    yield ArmRecord(
        arm_id=arm_id,
        recipe=recipe,
        recipe_hash=stable_hash(recipe),
        recipe_yaml=f"name: {recipe}\n",
        arm=arm,
        seed=seed,
        expert=expert,
        amateur=None,
        settings={} if arm == "base" else {"source": "greedy"},
        costs=Costs(
            tuned_tokens=0 if arm == "base" else 900 + 10 * number,
            sampled_problems=0 if arm == "base" else 1000,
            sampled_tokens=0 if arm == "base" else 60_000,
            seconds={} if arm == "base" else {"rollouts": 8.0, "train": 60.0 + number % 50},
        ),
        curves={"loss": [(update, 2.0 / (1 + update)) for update in range(60)]},
        stages={},
        environment={},
        recorded_at=moment,
    )
    for benchmark, (items, rate) in BENCHMARKS.items():
        outcomes = _outcomes(f"{expert} {benchmark}", f"{arm_id} {benchmark}", items, rate, GAINS[arm])
        yield ScoreRecord(
            arm_id=arm_id,
            recipe=recipe,
            arm=arm,
            seed=seed,
            expert=expert,
            expert_weights=f"sha256:{stable_hash(expert)}",
            suite="math7",
            benchmark=benchmark,
            protocol=protocols[benchmark],
            protocol_hash=stable_hash(protocols[benchmark]),
            suite_protocol={name: stable_hash(protocol) for name, protocol in protocols.items()},
            items_hash=stable_hash(benchmark),
            paper=outcomes,
            exact=outcomes,
            evaluation_key=stable_hash(arm_id),
            seconds=30.0,
            recorded_at=moment,
        )


def _protocol(benchmark: str) -> dict[str, object]:
    return {"suite": "math7", "task": benchmark, "shots": 0, "decoding": "greedy", "grader_version": 1}


def _outcomes(expert: str, row: str, items: int, rate: float, gain: float) -> str:
    """Outcomes that follow the expert's on most items, so that paired tests have something to find."""
    base, own = random.Random(expert), random.Random(row)
    return "".join(
        "1" if (base.random() if own.random() < 0.8 else own.random()) < rate + gain else "0"
        for _ in range(items)
    )
