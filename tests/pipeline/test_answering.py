"""What answers is part of an arm: several models, other arms' adapters, a given word, a vote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from lrbench.errors import ModelError
from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.showing import show_plan
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from lrbench.results.records import Memory
from tests.pipeline.running import artifact_of

MIX = {"expert": 1.0, "amateur": -1.0}
ARMS: list[Any] = [
    "base",
    "lightr",
    "cd",
    {"name": "unweighted", "like": "base", "answer": {"mix": {"expert": 1.0, "amateur": 0.0}}},
    {"name": "first", "like": "base", "answer": {"mix": MIX, "when": {"signal": "step", "below": 1}}},
    {"name": "nothing_given", "like": "base", "answer": {"prefill": ""}},
    {"name": "given", "like": "base", "answer": {"prefill": "So"}},
    {"name": "moved", "like": "base", "answer": {"mix": {"other": 1.0, "arm:lightr": 1.0, "expert": -1.0}}},
    {"name": "tuned", "like": "base", "answer": {"mix": {"expert": 1.0, "arm:lightr": 1.0, "own": -1.0}}},
    {"name": "forced", "like": "base", "answer": {"force": {"e": "a", "i": "a"}, "first": 9}},
    {"name": "led", "like": "base", "answer": {"lead": {"by": "amateur", "tokens": None, "share": 0.5}}},
    {"name": "vote", "like": "vote", "answer": {"vote": 3}},
    {
        "name": "unmoved",
        "like": "base",
        "answer": {"cache_shift": {"towards": "So. {question}", "questions": ["2 + 3?"], "values": 0.0}},
    },
    {"name": "rewritten", "like": "base", "answer": {"rewrite": {"by": "amateur", "below": 1, "after": "e"}}},
    {"name": "planned", "like": "base", "answer": {"chain": ["arm:lightr", "own"], "tokens": 8}},
]
NAMES = [arm if isinstance(arm, str) else arm["name"] for arm in ARMS]


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path]) -> Recipe:
    return make_recipe(
        arms=ARMS,
        models={"other": {"model": str(local_pair[1])}},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 6},
    )


def completions(runs: Path, arm: ArmPlan) -> list[str]:
    (score,) = arm.scores
    return [item["completion"] for item in read_items(artifact_of(runs, score))]


def statistics(runs: Path, arm: ArmPlan) -> dict[str, Any]:
    (score,) = arm.scores
    return dict(artifact_of(runs, score).statistics)


def test_all_arms_are_measured_under_one_protocol(runs: Path) -> None:
    scores = Ledger(runs / "ledger").read().scores
    assert {score.arm for score in scores} == set(NAMES)
    assert len({score.protocol_hash for score in scores}) == 1
    assert len({score.arm_id for score in scores}) == len(NAMES)


def test_a_model_without_weight_and_nothing_given_are_the_model_itself(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    base = completions(runs, arms["base"])
    assert completions(runs, arms["unweighted"]) == base
    assert completions(runs, arms["nothing_given"]) == base
    assert completions(runs, arms["unmoved"]) == base
    assert completions(runs, arms["cd"]) != base


def test_the_expert_plus_what_an_arm_has_learnt_is_that_arm(runs: Path, arms: dict[str, ArmPlan]) -> None:
    assert completions(runs, arms["tuned"]) == completions(runs, arms["lightr"])


def test_a_given_word_begins_every_answer_and_counts(runs: Path, arms: dict[str, ArmPlan]) -> None:
    assert all(text.startswith("So") for text in completions(runs, arms["given"]))
    assert statistics(runs, arms["given"])["origins"]["given"] == 2 * 6


def test_an_answer_that_takes_several_tokens_for_one_is_refused_before_any_work(
    recipe: Recipe, tmp_path: Path
) -> None:
    forced = {"name": "forced", "like": "base", "answer": {"force": {"So": "W"}}}
    fields = recipe.model_dump(mode="json") | {"arms": [forced]}
    with pytest.raises(ModelError, match=r'an answer takes "So" for one token, and it is 2 of the model\'s'):
        run_recipe(Recipe.model_validate(fields), tmp_path / "runs")
    assert not Ledger(tmp_path / "runs/ledger").read().scores


def test_what_it_took_is_noted(runs: Path, arms: dict[str, ArmPlan]) -> None:
    found = statistics(runs, arms["cd"])
    assert found["passes"] == {"amateur": found["tokens"], "expert": found["tokens"]}
    assert statistics(runs, arms["vote"])["written"] > statistics(runs, arms["vote"])["tokens"]
    first = statistics(runs, arms["first"])
    assert (first["passes"]["amateur"], first["passes"]["expert"]) == (6, first["tokens"])
    assert "passes" not in statistics(runs, arms["base"])


def test_what_was_written_and_thrown_away_is_counted(runs: Path, arms: dict[str, ArmPlan]) -> None:
    found = statistics(runs, arms["rewritten"])
    assert found["origins"] == {"amateur": found["tokens"]}
    assert found["written"] == found["tokens"] + found["passes"]["own"]


def test_a_plan_is_counted_and_no_part_of_the_answer(runs: Path, arms: dict[str, ArmPlan]) -> None:
    found = statistics(runs, arms["planned"])
    assert found["origins"] == {"own": found["tokens"]}
    assert found["passes"]["own"] == found["tokens"]
    assert 0 < found["passes"]["arm:lightr"] == found["written"] - found["tokens"] <= 6 * 8


def test_it_is_in_the_scores_records(runs: Path, arms: dict[str, ArmPlan]) -> None:
    scores = {score.arm: score for score in Ledger(runs / "ledger").read().scores}
    for name in NAMES:
        found = statistics(runs, arms[name])
        assert scores[name].tokens == found["tokens"]
        assert scores[name].passes == found.get("passes")
    assert scores["base"].written == scores["base"].tokens
    assert scores["vote"].written == statistics(runs, arms["vote"])["written"]


def test_answers_that_others_began_and_those_they_did_not_are_counted_together(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    found = statistics(runs, arms["led"])
    assert found["passes"] == found["origins"]
    assert sum(found["passes"].values()) == found["written"] == found["tokens"]
    assert set(found["passes"]) == {"own", "amateur"}


def test_an_arm_that_answers_with_another_waits_for_it_and_has_its_seed(arms: dict[str, ArmPlan]) -> None:
    (score,) = arms["moved"].scores
    adapter = arms["lightr"].adapter
    assert adapter is not None
    assert score.inputs["adapter of arm:lightr"].key == adapter.key
    assert (arms["moved"].seed, arms["cd"].seed, arms["base"].seed) == (arms["lightr"].seed, None, None)


def test_what_answers_is_in_the_record(runs: Path) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    assert records["base"].settings == {}
    assert records["cd"].settings["answer"]["mix"] == MIX
    assert records["cd"].amateur is not None
    assert "other" in records["moved"].settings["models"]


def test_seeds_of_an_arm_that_answers_with_another_are_planned_and_named(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = next(arm for arm in recipe.arms if arm.name == "moved")
    fields = recipe.model_dump(mode="json", exclude={"seed"}) | {"seeds": [0, 1]}
    several = Recipe.model_validate(fields | {"arms": [moved.model_dump(mode="json"), "lightr"]})
    plan = plan_recipe(several, tmp_path)
    assert {stage.label for stage in plan.stages if stage.name == "train"} == {
        "adapter of lightr seed 0 (6 updates)",
        "adapter of lightr seed 1 (6 updates)",
    }
    show_plan(plan, tmp_path)
    assert "moved" in capsys.readouterr().out


def test_another_weight_or_model_is_another_key(
    recipe: Recipe, arms: dict[str, ArmPlan], tmp_path: Path, local_pair: tuple[Path, Path]
) -> None:
    fields = recipe.model_dump(mode="json")

    def keys(**changed: Any) -> dict[str, str]:
        plan = plan_recipe(Recipe.model_validate(fields | changed), tmp_path)
        return {arm.arm.name: arm.scores[0].key for arm in plan.arms}

    before = {name: arm.scores[0].key for name, arm in arms.items()}
    swapped = keys(models={"other": {"model": str(local_pair[0])}})
    assert {name for name in before if before[name] != swapped[name]} == {"moved"}


def test_a_finished_run_finds_everything_done(recipe: Recipe, runs: Path) -> None:
    assert run_recipe(recipe, runs).worked == 0


def test_memory_of_an_arm_is_what_its_loaded_models_and_their_caches_hold(
    runs: Path, arms: dict[str, ArmPlan], local_pair: tuple[Path, Path]
) -> None:
    from transformers import AutoModelForCausalLM, DynamicCache

    records = {arm.arm: arm.memory for arm in Ledger(runs / "ledger").read().arms}
    weights, caches = [], []
    for folder in local_pair:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        weights.append(sum(each.nbytes for each in model.parameters()))
        cache = DynamicCache()
        model(torch.zeros(1, 7, dtype=torch.long), past_key_values=cache, use_cache=True)
        held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        assert held % 7 == 0
        caches.append(held // 7)
    adapter = arms["lightr"].adapter
    assert adapter is not None
    with safe_open(artifact_of(runs, adapter).file("adapter_model.safetensors"), "pt") as file:
        tuned = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
    expected = {
        "base": (weights[0], caches[0]),
        "lightr": (weights[0] + tuned, caches[0]),
        "cd": (sum(weights), sum(caches)),
        # A model without a say is not read.
        "unweighted": (weights[0], caches[0]),
        "moved": (weights[1] + 2 * weights[0] + tuned, caches[1] + 2 * caches[0]),
        # The arm's own model is the expert; it is held once.
        "tuned": (2 * weights[0] + tuned, 2 * caches[0]),
        "vote": (weights[0], 3 * caches[0]),
        "planned": (2 * weights[0] + tuned, 2 * caches[0]),
    }
    assert {name: records[name] for name in expected} == {
        name: Memory(weights=held, cache_per_token=kept) for name, (held, kept) in expected.items()
    }
