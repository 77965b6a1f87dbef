"""What a model is shown and where its turns end is proven before any work, and told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError, ModelError
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.prompting import remarks_on_agreement
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.showing import show_plan
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.rollouts import RolloutSource, read_artifact_rollouts
from lrbench.recipe.schema import Recipe
from lrbench.sampling.rollouts import Rollout
from lrbench.store.store import Store
from tests.chatting import CHATS, Chat, save_chat

END = "<|end|>"
PHI_ENDS = (0, 4)


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose turns end where only its template says so."""
    return save_chat(CHATS["phi"], tmp_path_factory.mktemp("phi"))


@pytest.fixture
def recipe_of(make_recipe: Callable[..., Recipe], tmp_path: Path) -> Callable[..., Recipe]:
    """A small recipe of one model, with three problems of its own."""

    def build(model: Path, *problems: str, **sections: Any) -> Recipe:
        texts = problems or ("What is 1 + 1?", "What is 2 + 2?", "What is 3 + 3?")
        rows = [{"problem": text, "answer": "4", "solution": f"It is {text}"} for text in texts]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        fields: dict[str, Any] = {
            "pair": {"expert": {"model": str(model)}, "amateur": {"model": str(model)}},
            "data": {"train": str(tmp_path / "p.jsonl"), "problems": len(texts)},
            "arms": ["ground_truth"],
            "training": {"updates": 1, "rollouts_per_update": 2},
            "evaluation": {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 1},
        }
        return make_recipe(**(fields | sections))

    return build


def references(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages if stage.name == "reference"]


def rollouts_of(plan: Plan, runs: Path) -> list[Rollout]:
    (stage,) = (stage for stage in plan.stages if isinstance(stage, RolloutSource))
    artifact = Store(runs / "store").find(stage.name, stage.key)
    assert artifact is not None
    return read_artifact_rollouts(artifact)


def test_a_plan_shows_what_ends_a_turn(
    recipe_of: Callable[..., Recipe], phi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(plan_recipe(recipe_of(phi), tmp_path), tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"An answer of {phi.name} ends at <|end|> (4), <|endoftext|> (0)." in shown
    assert str(phi) not in shown


def test_a_plan_says_where_rollouts_are_asked_for_otherwise_than_answers(
    recipe_of: Callable[..., Recipe], phi: Path, tmp_path: Path
) -> None:
    def said(**sections: Any) -> list[str]:
        return remarks_on_agreement(plan_recipe(recipe_of(phi, **sections), tmp_path).stages)

    assert said() == []
    assert said(sampling={"system_prompt": "Be brief."}) == [
        'Rollouts are written under the system prompt "Be brief." (sampling.system_prompt), and answers are '
        "measured under no system prompt: what is learnt is learnt under another prompt than it is measured "
        "under."
    ]


def test_answers_end_and_are_ended_where_the_template_ends_a_turn(
    recipe_of: Callable[..., Recipe], phi: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(phi)
    run_recipe(recipe, tmp_path)
    plan = plan_recipe(recipe, tmp_path)
    assert {rollout.completion_ids[-1] for rollout in rollouts_of(plan, tmp_path)} == {4}
    assert [stage.identity["end"] for stage in references(plan)] == [4]
    assert [stage.identity["stops"] for stage in plan.stages if stage.name == "evaluate"] == [[*PHI_ENDS]]


def test_generation_settings_that_end_a_turn_are_in_the_keys_of_what_is_written(
    recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    def keys() -> dict[str, str]:
        stages = plan_recipe(
            recipe_of(tmp_path / "it", arms=["base", "lightr", "ground_truth"]), tmp_path
        ).stages
        return {
            stage.name: stage.key for stage in stages if stage.name in ("rollouts", "reference", "evaluate")
        }

    save_chat(CHATS["qwen"], tmp_path / "it", {"do_sample": True})
    before = keys()
    (tmp_path / "it" / "generation_config.json").write_text('{"eos_token_id": [0, 2]}')
    assert keys() == before
    (tmp_path / "it" / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    changed = {name for name, key in keys().items() if key != before[name]}
    assert changed == {"rollouts", "evaluate"}


def test_sft_that_keeps_nothing_says_why_with_counts(
    recipe_of: Callable[..., Recipe], phi: Path, tmp_path: Path
) -> None:
    sampling = {"max_new_tokens": 8, "solutions": {"samples_per_problem": 2, "max_new_tokens": 4}}
    recipe = recipe_of(phi, arms=["sft"], sampling=sampling)
    (failure,) = run_recipe(recipe, tmp_path).failures
    assert (
        "of 6 solutions sampled for 3 problems, none was finished with the right answer: " in failure.reason
    )
    counts = re.findall(r"(\d+) (?:had not ended after 4 tokens|ended with)", failure.reason)
    assert sum(map(int, counts)) == 6
    assert "; raise sampling.solutions.max_new_tokens, or use an expert that ends its turns" in failure.reason
    assert run_recipe(recipe, tmp_path).failures == (failure,)


def test_a_template_that_shows_no_problem_stops_a_run_before_any_work(
    recipe_of: Callable[..., Recipe], tmp_path: Path
) -> None:
    save_chat(replace(CHATS["qwen"], template="What is 2 + 3?"), tmp_path / "it")
    for attempt in (run_recipe, plan_recipe):
        with pytest.raises(ModelError, match="does not show the model the problem as it stands"):
            attempt(recipe_of(tmp_path / "it"), tmp_path / "runs")
    assert not list(Store(tmp_path / "runs" / "store").drafts())


def test_a_system_prompt_that_is_refused_or_left_out_is_told_before_any_work(
    recipe_of: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampling = {"max_new_tokens": 8, "system_prompt": "Think."}
    save_chat(CHATS["gemma"], tmp_path / "gemma")
    plan_recipe(recipe_of(tmp_path / "gemma"), tmp_path)
    with pytest.raises(ModelError, match="refuses a prompt with a system prompt: System role not supported"):
        show_plan(plan_recipe(recipe_of(tmp_path / "gemma", sampling=sampling), tmp_path), tmp_path)
    deaf = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    )
    save_chat(replace(CHATS["qwen"], template=deaf), tmp_path / "deaf")
    show_plan(plan_recipe(recipe_of(tmp_path / "deaf", sampling=sampling), tmp_path), tmp_path)
    assert "its chat template leaves the system prompt out" in " ".join(capsys.readouterr().out.split())


def test_control_tokens_in_problems_and_solutions_are_read_as_text(
    recipe_of: Callable[..., Recipe], phi: Path, tmp_path: Path
) -> None:
    (before,) = references(plan_recipe(recipe_of(phi, "Say end", "Say hello"), tmp_path))
    assert "control_text" not in before.identity
    recipe = recipe_of(phi, f"Say {END}", "Say hello")
    plan = plan_recipe(recipe, tmp_path)
    (reference,) = references(plan)
    assert reference.identity["control_text"] == "as text"
    run_recipe(recipe, tmp_path)
    for rollout in rollouts_of(plan, tmp_path):
        assert rollout.prompt_ids.count(4) == 1
        assert rollout.completion_ids.count(4) == 1


def test_a_problem_that_cannot_be_read_as_text_is_refused_with_its_line(
    recipe_of: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.models.plain_text._Controls.encode_respelt", lambda *_: None)
    save_chat(CHATS["qwen"], tmp_path / "it")
    recipe = recipe_of(tmp_path / "it", "Say hello", "Say <|im_end|>")
    with pytest.raises(DataError) as caught:
        run_recipe(recipe, tmp_path / "runs")
    assert str(caught.value).startswith(
        f"{tmp_path / 'p.jsonl'}:2: the text holds <|im_end|>, which the model's"
    )
    assert not list(Store(tmp_path / "runs" / "store").drafts())


def test_a_base_model_without_a_template_is_told_of(
    recipe_of: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_chat(Chat(("<s>", "</s>"), None, "</s>", "<s>", adds_bos=True), tmp_path / "base")
    plan = plan_recipe(recipe_of(tmp_path / "base"), tmp_path)
    show_plan(plan, tmp_path)
    assert "marks <|im_start|> and <|im_end|> are no tokens of it" in " ".join(
        capsys.readouterr().out.split()
    )
    assert [stage.identity["begins"] for stage in references(plan)] == [[0]]
