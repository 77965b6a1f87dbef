"""Stages that build prompts in two ways are not mixed in one run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import RunError
from lrbench.models.prompt import canary_hash
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        data={"train": "embedded/multi_step", "problems": 8},
        training={"updates": 2, "rollouts_per_update": 4},
        arms=["lightr", "ground_truth"],
        evaluation={"suite": "embedded7", "benchmarks": ["hard"], "limit": 2},
    )


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        run_recipe(recipe, runs)
    return runs


@pytest.fixture
def runs(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, and a library that now renders prompts with one token more."""
    from lrbench.models import prompt

    real = prompt.render_prompt

    def changed(tokenizer: Any, problem: str, system_prompt: str | None) -> list[int]:
        return [*real(tokenizer, problem, system_prompt), 0]

    monkeypatch.setattr("lrbench.models.prompt.render_prompt", changed)
    monkeypatch.setenv("LRBENCH_MLFLOW", "off")
    return Path(shutil.copytree(finished, tmp_path / "runs"))


def test_every_stage_that_renders_prompts_records_the_same_canary(recipe: Recipe, finished: Path) -> None:
    store = Store(finished / "store")
    canaries: dict[str, str | None] = {}
    for stage in plan_recipe(recipe, finished).stages:
        artifact = store.find(stage.name, stage.key)
        assert artifact is not None
        canaries[stage.name] = artifact.statistics.get("prompt_canary")
    rendering = {name for name, canary in canaries.items() if canary is not None}
    assert rendering == {"rollouts", "reference", "evaluate"}
    assert len({canaries[name] for name in rendering}) == 1


def test_a_stage_that_would_build_other_prompts_than_its_inputs_is_stopped_before_it_works(
    recipe: Recipe, runs: Path
) -> None:
    longer = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"limit": 3})})
    with pytest.raises(RunError) as caught:
        run_recipe(longer, runs)
    assert "lightr on hard (3 items): its prompts are built otherwise than those of rollouts of" in str(
        caught.value
    )
    assert "start over with another folder of runs" in str(caught.value)
    assert not list(Store(runs / "store").drafts())


def test_finished_stages_with_different_canaries_are_told(
    recipe: Recipe, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The evaluation alone is made anew, by a run that had nothing to compare it with.
    shutil.rmtree(runs / "store" / "evaluate")
    with monkeypatch.context() as patch:
        patch.setattr("lrbench.pipeline.canary.PromptCanary._compare", lambda *_: None)
        run_recipe(recipe, runs)
    with pytest.raises(RunError, match="its prompts are built otherwise than those of"):
        run_recipe(recipe, runs)


def test_what_is_all_built_alike_runs(recipe: Recipe, finished: Path) -> None:
    assert run_recipe(recipe, finished).worked == 0


def test_the_canary_depends_on_the_template(local_pair: tuple[Path, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(local_pair[0])
    now = canary_hash(tokenizer, None)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    assert canary_hash(tokenizer, None) != now
