"""The published benchmarks through the whole pipeline, offline, from a folder of data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.plan import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.catalogue import SUITES
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store

# Longer than the context of the random pair, 1024 bytes.
TOO_LONG = "olympiadbench-test-61"
ITEMS = [*(f"{name}-test-1" for name in SUITES["math7"]), TOO_LONG]


@pytest.fixture
def offline(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_DATA", str(shared / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_all_seven_are_measured_and_recorded_under_their_protocol(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(
        data={"train": "gsm8k/train", "problems": 4, "selection": "sample"},
        training={"updates": 1, "rollouts_per_update": 2},
        arms=["base", "neither"],
        evaluation={"suite": "math7", "items": ITEMS},
    )
    run_recipe(recipe, tmp_path)
    scores = Ledger(tmp_path / "ledger").read().scores
    sizes = dict.fromkeys(SUITES["math7"], 1) | {"olympiadbench": 2}
    for arm in ("base", "neither"):
        assert {score.benchmark: score.n for score in scores if score.arm == arm} == sizes
    plan = plan_recipe(recipe, tmp_path)
    score = next(score for score in plan.arms[0].scores if score.benchmark == "olympiadbench")
    artifact = Store(tmp_path / "store").find(score.name, score.key)
    assert artifact is not None
    long = next(item for item in read_items(artifact) if item["id"] == TOO_LONG)
    assert (long["completion"], long["tokens"], long["truncated"]) == ("", 0, True)
    assert (long["paper"], long["exact"], long["reason"]) == (False, False, "truncated")
    protocol = next(score.protocol for score in scores if score.benchmark == "gsm8k")
    assert protocol["task"] == "lrbench_gsm8k"
    assert protocol["max_new_tokens"] == 2048
    assert protocol["data"].startswith("017625dc2771")
    assert protocol["items"] is not None
    assert protocol["system_prompt"].endswith(r"put your final answer within \boxed{}.")
