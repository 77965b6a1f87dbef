"""An engine that is not there is told before any work; the choice of one belongs to the result."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import UserError
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe

EVALUATION = {"suite": "embedded7", "limit": 3}


def test_without_vllm_the_run_stops_before_its_first_stage(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else real(name))
    recipe = make_recipe(evaluation=EVALUATION | {"engine": {"name": "vllm"}})
    with pytest.raises(UserError, match=r"pip install .lrbench\[vllm\].*`make vllm`"):
        run_recipe(recipe, tmp_path)
    assert not list(tmp_path.glob("store/*/*"))


def test_without_its_server_the_run_stops_before_its_first_stage(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.sampling.engines.endpoint.PAUSES", ())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        engine = {"name": "server", "url": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        with pytest.raises(UserError, match="cannot be reached"):
            run_recipe(make_recipe(evaluation=EVALUATION | {"engine": engine}), tmp_path)
    assert not list(tmp_path.glob("store/*/*"))


@pytest.mark.parametrize(
    ("section", "changed"),
    [("sampling", {"rollouts", "scores", "samples", "train", "evaluate"}), ("evaluation", {"evaluate"})],
)
def test_another_engine_is_other_work_from_where_it_writes(
    make_recipe: Callable[..., Recipe], tmp_path: Path, section: str, changed: set[str]
) -> None:
    given: dict[str, Any] = {"sampling": {"max_new_tokens": 12}, "evaluation": EVALUATION}[section]
    arms = ["lightr"]
    before = plan_recipe(make_recipe(arms=arms), tmp_path)
    after = plan_recipe(make_recipe(arms=arms, **{section: given | {"engine": {"name": "vllm"}}}), tmp_path)
    same = {stage.key for stage in before.stages} & {stage.key for stage in after.stages}
    assert {stage.name for stage in after.stages if stage.key not in same} == changed
