"""`controls:` adds the arms that a claim has to be held against, and names those it cannot add."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.arms import completed, resolve_arms
from lrbench.recipe.controlling import missing_controls
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.loading import load_recipe, load_with_warnings
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.schema import Recipe

Changed = Callable[..., str]
ARMS = "arms: [base, sft, lightr]"
NAMES = ["base", "sft", "cd", "prefill", "forced", "random", "flat", "no_contrast", "sharpen", "vote"]


@pytest.fixture
def load(folder: Path, changed: Changed) -> Callable[[str], Recipe]:
    def loaded(arms: str) -> Recipe:
        (folder / "r.yaml").write_text(changed((ARMS, arms)))
        return load_recipe("r.yaml")

    return loaded


def test_every_control_is_added_once(load: Callable[[str], Recipe]) -> None:
    forced = '{force: {"It": "We", " it": " we"}, first: 2}'
    recipe = load(f"arms: [lightr]\ncontrols: {{of: lightr, prefill: First, forced: {forced}}}")
    assert [arm.name for arm in recipe.arms] == ["lightr", *NAMES]
    assert recorded_recipe(resolved_yaml(recipe), "recorded") == recipe


@pytest.mark.parametrize(
    ("subject", "left_out"),
    [
        (
            "grpo",
            dict.fromkeys(
                ("random", "flat", "no_contrast"),
                "rewards are for whole answers, whatever the steps and their targets",
            ),
        ),
        (
            "dpo",
            dict.fromkeys(
                ("random", "flat", "no_contrast"),
                "whole answers are preferred to each other, whatever the steps and their targets",
            ),
        ),
        (
            "{name: a, like: lightr, objective: {divergence: js, online: 5}}",
            {
                "random": "what is written anew has no stored steps to draw from",
                "no_contrast": "the objective (js, online every 5) is not for that target",
            },
        ),
    ],
)
def test_a_control_that_the_objective_does_not_go_with_is_named_and_not_added(
    load: Callable[[str], Recipe], subject: str, left_out: dict[str, str]
) -> None:
    name = subject if subject in ("grpo", "dpo") else "a"
    recipe = load(f"arms: [{subject}]\ncontrols: {{of: {name}, prefill: First}}")
    added = [arm.name for arm in recipe.arms[1:]]
    assert added == [control for control in NAMES if control not in {"forced", *left_out}]
    assert {f"{control} ({reason})" for control, reason in left_out.items()} <= set(missing_controls(recipe))


def test_sampled_answers_have_the_vote_beside_them(load: Callable[[str], Recipe]) -> None:
    recipe = load("arms: [lightr]\ncontrols: {of: lightr, prefill: First}\nmeasure: {samples: 4}")
    assert [arm.name for arm in recipe.arms[1:]] == [name for name in NAMES if name not in ("forced", "vote")]
    assert "vote (sampled answers have it beside them: maj@k of base)" in missing_controls(recipe)


def test_arms_that_are_there_stay_as_they_are(load: Callable[[str], Recipe]) -> None:
    recipe = load("arms: [{name: flat, like: sft}, lightr, base]\ncontrols: lightr")
    assert [arm.name for arm in recipe.arms][:3] == ["flat", "lightr", "base"]
    assert recipe.arms[0].like == "sft"


def test_controls_differ_from_the_subject_in_one_thing(load: Callable[[str], Recipe]) -> None:
    arms = "[{name: mine, like: lightr, divergence: {beta: 0.9, alpha: 0.5}, training: {updates: 3}}]"
    recipe = load(f"arms: {arms}\ncontrols: mine")
    made = {arm.name: arm for arm in resolve_arms(recipe)}
    mine, random, flat = (
        completed(made[name], tuple(made.values()), 0) for name in ("mine", "random", "flat")
    )
    assert flat.selector == mine.selector
    assert random.target == mine.target
    assert random.selector.identity["selector"]["match"] == mine.selector.identity
    assert {made[name].training.updates for name in ("mine", "random", "flat", "no_contrast")} == {3}
    assert made["cd"].ingredients is None


def test_what_controls_say_is_no_part_of_the_hash_but_the_arms_are(load: Callable[[str], Recipe]) -> None:
    added = load("arms: [lightr]\ncontrols: lightr")
    written = added.model_copy(update={"controls": None})
    assert recipe_hash(added) == recipe_hash(written) != recipe_hash(load("arms: [lightr]"))


def test_controls_that_are_missing_are_named_with_what_to_do(load: Callable[[str], Recipe]) -> None:
    missing = missing_controls(load("arms: [lightr]\ncontrols: lightr"))
    assert [text.partition(" (")[0] for text in missing] == [
        "prefill",
        "forced",
        "an amateur that lacks nothing",
        "several seeds",
    ]
    assert "prefill: WORD" in missing[0]
    assert "forced: {force: {TEXT: TEXT}, first: K}" in missing[1]


def test_claims_without_controls_name_them_all(load: Callable[[str], Recipe]) -> None:
    assert missing_controls(load("arms: [base, sft, lightr]")) == []
    claimed = load("arms: [base, sft, lightr]\nclaims: [lightr > base on average]")
    assert [text.partition(" (")[0] for text in missing_controls(claimed)][:3] == ["cd", "prefill", "forced"]


def test_a_control_that_the_engine_cannot_answer_is_left_out_and_named(
    folder: Path, changed: Changed
) -> None:
    engine = ("suite: embedded7", "suite: embedded7\n  engine: {name: vllm}")
    (folder / "r.yaml").write_text(changed((ARMS, "arms: [lightr]\ncontrols: lightr"), engine))
    recipe, warnings = load_with_warnings("r.yaml")
    assert "cd" not in [arm.name for arm in recipe.arms]
    assert any(text.startswith("cd (") and "vllm" in text for text in missing_controls(recipe))
    assert warnings == []


def test_controls_of_an_arm_that_is_not_there_are_told(
    refusal: Callable[..., list[str]], changed: Changed
) -> None:
    assert refusal(changed((ARMS, "arms: [base, lightr]\ncontrols: {of: lihgtr}"))) == [
        "r.yaml:17:16: controls.of: `lihgtr` is no arm of this recipe; its arms are base, lightr; did you "
        "mean `lightr`?"
    ]
