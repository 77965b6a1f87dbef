"""Every recipe that is shipped loads without a warning and is planned without network, weights or data."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrbench.data.sets import DATA_SETS
from lrbench.errors import RecipeError
from lrbench.methods.sources import Greedy
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.arms import Arm, resolve_arms
from lrbench.recipe.editor_schema import editor_schema
from lrbench.recipe.loading import load_with_warnings
from lrbench.recipe.schema import Recipe
from lrbench.recipe.study import load_study
from lrbench.results.reported import reported_costs

REPOSITORY = Path(__file__).parents[1]
SHIPPED = sorted(path for path in (REPOSITORY / "recipes").rglob("*.yaml") if path.parent.name != "shared")
# Its expert is a folder that `make smollm2` makes, and that is not here.
SMOLLM2 = REPOSITORY / "recipes" / "smollm2.yaml"
SHIPPED.remove(SMOLLM2)
PAPER = REPOSITORY / "recipes" / "paper"


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, no network, and no way to load weights or to fetch."""
    import huggingface_hub.constants

    monkeypatch.delenv("LRBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("lrbench.data.fetching.fetch_rows", "lrbench.data.fetching.fetch_examples"):
        monkeypatch.delattr(name)
    monkeypatch.delattr("lrbench.models.loading.load_model")


@pytest.fixture
def planned(tmp_path: Path) -> Any:
    def plan(path: Path) -> Plan:
        recipe, warnings = load_with_warnings(path)
        assert warnings == []
        return plan_recipe(recipe, tmp_path / "runs", fetch=False)

    return plan


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(REPOSITORY / "recipes")))
def test_a_shipped_recipe_is_planned(path: Path, planned: Any) -> None:
    plan = planned(path)
    assert plan.stages
    text = path.read_text()
    # The command in its first comment is the one that runs it.
    assert f"#   make experiment RECIPE={path.relative_to(REPOSITORY)}\n" in text


def test_the_recipe_of_a_model_that_is_yet_to_be_made_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"smollm2-135m-instruct.*; `make smollm2` makes it") as told:
        load_with_warnings(SMOLLM2)
    assert len(str(told.value).splitlines()) <= 2


def test_the_first_line_of_every_recipe_leads_editors_to_the_schema_which_is_that_of_now() -> None:
    recipes = REPOSITORY / "recipes"
    schema = recipes / "recipe.schema.json"
    remedy = "`.venv/bin/lrbench schema > recipes/recipe.schema.json` writes it"
    assert json.loads(schema.read_text()) == json.loads(json.dumps(editor_schema())), remedy
    for path in recipes.rglob("*.yaml"):
        place = os.path.relpath(schema, path.parent)
        assert path.read_text().partition("\n")[0] == f"# yaml-language-server: $schema={place}", path


def test_names_of_recipes_are_their_own() -> None:
    names = [load_with_warnings(path)[0].name for path in SHIPPED]
    assert len(set(names)) == len(names)


def test_the_papers_recipes_have_its_hyper_parameters(shared: Path) -> None:
    published = yaml.safe_load((shared / "paper" / "reported.yaml").read_text())
    sampling, training = (published["hyperparameters"][name] for name in ("sampling", "training"))
    experts = Counter()
    for path in PAPER.glob("*.yaml"):
        recipe, _ = load_with_warnings(path)
        experts[recipe.pair.expert.model] += 1
        assert recipe.data.train == published["paper"]["train_set"]
        assert (recipe.divergence.alpha, recipe.divergence.beta) == (sampling["alpha"], sampling["beta"])
        assert recipe.sampling.max_new_tokens == sampling["max_new_tokens"]
        assert recipe.sampling.system_prompt == sampling["system_prompt"]
        assert recipe.training.updates == training["steps"]
        assert recipe.training.steps_per_update == training["samples_per_step"]
        assert recipe.training.learning_rate == training["learning_rate"]
        lora = recipe.training.lora
        assert (lora.r, lora.alpha, lora.dropout) == (
            training["lora_r"], training["lora_alpha"], training["lora_dropout"],
        )  # fmt: skip
        assert list(lora.target_modules) == training["target_modules"]
        assert recipe.pair.expert.dtype == training["precision"]
        assert recipe.evaluation.suite == "math7"
        if path.stem.endswith("_sft"):
            expected = DATA_SETS["gsm8k_train"].rows
            assert recipe.sampling.solutions.samples_per_problem == 1
        elif path.stem.endswith("_sft_first"):
            expected = published["efficiency"][recipe.pair.expert.model]["sft"]["problems"]
        else:
            expected = sampling["problems"]
            assert (
                recipe.pair.amateur is None
                or recipe.pair.amateur.model == published["paper"]["amateur_default"]
            )
        assert recipe.data.problems == expected
    assert set(experts) == set(published["main_results"])


def most_tuned_tokens(recipe: Recipe, arm: Arm) -> int:
    """The most tokens that an arm on its own solutions can learn from, were all of them right and full."""
    training, solutions = arm.training, recipe.sampling.solutions
    if training.rollouts_per_update is None:
        return training.updates * training.steps_per_update
    rollouts = min(
        training.updates * training.rollouts_per_update,
        recipe.data.problems * solutions.samples_per_problem,
    )
    return rollouts * solutions.max_new_tokens


def test_the_papers_sft_can_learn_from_as_many_tokens_as_it_reports() -> None:
    efficiency = load_study(REPOSITORY / "experiments" / "efficiency.yaml", ("paper",))["paper"]
    reported = {row.expert: row.tuned_tokens for row in reported_costs() if row.arm == "sft"}
    for source in efficiency.recipes:
        if "sft" not in source.arms:
            continue
        (sft,) = (arm for arm in resolve_arms(source.recipe) if arm.name == "sft")
        # No more than half of the solutions have to be right and of full length.
        needed = 2 * reported.pop(source.recipe.pair.expert.model)
        assert needed <= most_tuned_tokens(source.recipe, sft) <= 10 * needed
    assert not reported


def test_arms_that_learn_whole_solutions_count_solutions_in_every_recipe_of_the_paper() -> None:
    for path in PAPER.glob("*.yaml"):
        for arm in resolve_arms(load_with_warnings(path)[0]):
            whole = arm.ingredients is not None and arm.ingredients.source != Greedy()
            units = (arm.training.rollouts_per_update, arm.training.steps_per_update)
            assert units == ((16, None) if whole else (None, 16)), f"{path.stem}: {arm.name}"


@pytest.mark.parametrize("expert", ["qwen2.5-math-1.5b", "qwen2.5-math-7b"])
def test_the_papers_gap_has_the_published_amateurs(expert: str, planned: Any, shared: Path) -> None:
    published = yaml.safe_load((shared / "paper" / "reported.yaml").read_text())["expertise_gap"]
    plan = planned(PAPER / f"{expert}_gap.yaml")
    amateurs = {arm.amateur.name for arm in plan.arms if arm.adapter is not None and arm.amateur}
    assert amateurs == set(published[plan.recipe.pair.expert.model]) - {"base"}


def test_the_papers_ablations_are_the_published_ones(planned: Any, shared: Path) -> None:
    published = yaml.safe_load((shared / "paper" / "reported.yaml").read_text())["ablations"]
    plan = planned(PAPER / "qwen2.5-math-1.5b_ablations.yaml")
    assert len({arm.arm.name for arm in plan.arms}) == len(published)


def test_recipes_of_one_expert_share_what_is_the_same(planned: Any) -> None:
    main, ablations, gap = (
        {stage.key for stage in planned(PAPER / f"qwen2.5-math-1.5b{kind}.yaml").stages}
        for kind in ("", "_ablations", "_gap")
    )
    # Nothing of the three arms that both have is done twice: six of seven benchmarks, and all training.
    assert len(main - ablations) == 3
    # The base on five benchmarks, and LightReasoner with the default amateur.
    assert len(main & gap) == 5 + 5 + 5
