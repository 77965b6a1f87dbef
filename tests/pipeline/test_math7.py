"""The published benchmarks through the whole pipeline, offline, from a folder of data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.store.store import Store
from lrbench.suites.suite import shipped_suite

# The context of the random pair in bytes, an item longer than it, and some that leave a few bytes to write.
CONTEXT = 640
TOO_LONG = "olympiadbench-test-61"
NUMBERS = {
    "gsm8k": 45,
    "math": 751,
    "mmlu_stem": 598,
    "svamp": 773,
    "asdiv": 270,
    "minerva_math": 1,
    "olympiadbench": 561,
}
ITEMS = [*(f"{name}-test-{number}" for name, number in NUMBERS.items()), TOO_LONG]


@pytest.fixture
def offline(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_DATA", str(shared / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")


@pytest.fixture
def short_pair(local_pair: tuple[Path, Path], tmp_path: Path) -> dict[str, Any]:
    """The random pair with that context."""
    pair: dict[str, Any] = {}
    for name, folder in zip(("expert", "amateur"), local_pair, strict=True):
        copy = shutil.copytree(folder, tmp_path / name)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"max_position_embeddings": CONTEXT}))
        pair[name] = {"model": str(copy)}
    return pair


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_all_seven_are_measured_and_recorded_under_their_protocol(
    make_recipe: Callable[..., Recipe], short_pair: dict[str, Any], tmp_path: Path
) -> None:
    recipe = make_recipe(
        pair=short_pair,
        data={"train": "gsm8k/train", "problems": 4, "selection": "sample"},
        training={"updates": 1, "rollouts_per_update": 2},
        arms=["base", "neither"],
        evaluation={"suite": "math7", "items": ITEMS},
    )
    run_recipe(recipe, tmp_path)
    scores = Ledger(tmp_path / "ledger").read().scores
    assert set(NUMBERS) == set(shipped_suite("math7").names)
    sizes = dict.fromkeys(shipped_suite("math7").names, 1) | {"olympiadbench": 2}
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
