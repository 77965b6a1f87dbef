"""Records as a finished run would leave them: made-up outcomes, real shapes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from lrbench.results.mlflow import tracking_store
from lrbench.results.records import ArmRecord, Costs, ScoreRecord, items_hash

BENCHMARKS = ("chain", "formal", "formula", "multi_step", "onestep", "science", "vary")


def outcomes(n: int, correct: int, seed: int = 0) -> str:
    """`correct` ones among `n` items, at places fixed by `seed`."""
    items = ["1"] * correct + ["0"] * (n - correct)
    np.random.default_rng(seed).shuffle(items)
    return "".join(items)


def make_arm(arm: str = "lightr", recipe: str = "quickstart", seed: int = 0, **changes: Any) -> ArmRecord:
    values: dict[str, Any] = {
        "arm_id": f"{recipe}-{arm}-{seed}",
        "recipe": recipe,
        "recipe_hash": f"hash-of-{recipe}-{seed}",
        "recipe_yaml": f"name: {recipe}\nseed: {seed}\n",
        "arm": arm,
        "seed": seed,
        "expert": "embedded/expert",
        "amateur": "embedded/amateur",
        "settings": {}
        if arm == "base"
        else {
            "divergence": {"alpha": 0.2, "beta": 0.4},
            "training": {"updates": 60, "lora": {"r": 8, "target_modules": ["q_proj", "v_proj"]}},
        },
        "costs": Costs(
            tuned_tokens=0 if arm == "base" else 1712,
            sampled_problems=0 if arm == "base" else 256,
            sampled_tokens=7040,
            seconds={} if arm == "base" else {"rollouts": 6.25, "scores": 3.5, "train": 38.0},
        ),
        "statistics": {},
        "curves": {},
        "stages": {"rollouts": "a" * 64, "train": "b" * 64},
        "environment": {"python": "3.11.2", "torch": "2.13.0", "device": "cpu"},
        "recorded_at": "2026-11-20T10:00:00+00:00",
    }
    return ArmRecord(**(values | changes))


def make_score(
    benchmark: str = "chain",
    paper: str = "1100",
    arm: str = "lightr",
    recipe: str = "quickstart",
    seed: int = 0,
    benchmarks: tuple[str, ...] = BENCHMARKS,
    limit: int | None = 100,
    **changes: Any,
) -> ScoreRecord:
    hashes = {name: f"protocol-of-{name}-{limit}" for name in benchmarks}
    values: dict[str, Any] = {
        "arm_id": f"{recipe}-{arm}-{seed}",
        "recipe": recipe,
        "arm": arm,
        "seed": seed,
        "expert": "embedded/expert",
        "expert_weights": f"files:weights-of-{changes.get('expert', 'embedded/expert')[:40]}",
        "suite": "embedded7",
        "benchmark": benchmark,
        "protocol": {"task": {"name": benchmark, "version": 1}, "limit": limit, "decoding": "greedy"},
        "protocol_hash": hashes[benchmark],
        "suite_protocol": hashes,
        "items_hash": items_hash([f"{benchmark}-{index}" for index in range(len(paper))]),
        "paper": paper,
        "exact": paper,
        "evaluation_key": f"evaluation-{recipe}-{arm}-{seed}-{limit}",
        "seconds": 4.5,
        "recorded_at": "2026-11-20T10:05:00+00:00",
    }
    return ScoreRecord(**(values | changes))


def make_scores(
    correct: dict[str, int], n: int = 100, item_seed: int = 0, **changes: Any
) -> list[ScoreRecord]:
    """One score per benchmark; item outcomes differ by `item_seed`."""
    return [
        make_score(benchmark, outcomes(n, right, item_seed + 100 * position), **changes)
        for position, (benchmark, right) in enumerate(correct.items())
    ]


@pytest.fixture(scope="session")
def arm_record() -> Callable[..., ArmRecord]:
    return make_arm


@pytest.fixture(scope="session")
def score_record() -> Callable[..., ScoreRecord]:
    return make_score


@pytest.fixture(scope="session")
def score_records() -> Callable[..., list[ScoreRecord]]:
    return make_scores


@pytest.fixture(scope="session")
def blank_store(tmp_path_factory):
    """The file of an MLflow database that holds nothing."""
    file = tmp_path_factory.mktemp("blank") / "mlflow.db"
    tracking_store._set_up()
    tracking_store._fill_database(file, file.with_name("artifacts"))
    return file


@pytest.fixture
def quick_stores(blank_store, monkeypatch):
    """MLflow's databases are copies of one that it has made, where it is not about how they are made."""

    def copy(file, artifacts):
        shutil.copyfile(blank_store, file)
        with closing(sqlite3.connect(file)) as connection, connection:
            place = f"{artifacts.as_uri()}/0"
            changed = connection.execute("UPDATE experiments SET artifact_location = ?", [place])
            assert changed.rowcount == 1

    monkeypatch.setattr(tracking_store, "_fill_database", copy)


@pytest.fixture
def empty_place(tmp_path_factory, monkeypatch):
    """An empty working directory, and still empty at the end: MLflow makes its own store where one stands."""
    place = tmp_path_factory.mktemp("place")
    monkeypatch.chdir(place)
    yield place
    assert list(place.iterdir()) == []
