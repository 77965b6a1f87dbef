"""What a recipe is about, as it says or as its arms say."""

from __future__ import annotations

import pytest

from lrbench.methods.presets import PRESETS
from lrbench.recipe.comparing import Comparisons, board_place, compared, comparisons_of
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.schema import Compare


def named(*arms: str) -> dict[str, str]:
    """Arms as `name` or `name like preset`."""
    return {words[0]: words[-1] for words in (arm.split() for arm in arms)}


@pytest.mark.parametrize(
    ("arms", "subject", "against"),
    [
        (("base", "sft", "lightr"), "lightr", ("sft", "base")),
        (("base", "mine like lightr"), "mine", ("sft", "base")),
        (("base", "plain like sft", "mine like lightr"), "mine", ("plain", "base")),
        (("base", "plain like sft", "sft", "lightr"), "lightr", ("sft", "base")),
        (("expert like base", "mine like lightr", "lightr"), "mine", ("sft", "expert")),
        (("base", "sft"), "sft", ("base",)),
        (("base", "sft", "no_selection", "neither"), "no_selection", ("sft", "base")),
        (("base", "sft", "lightr", "random like lightr", "cd"), "lightr", ("sft", "base", "cd", "random")),
        (
            ("base", "mine like lightr", "prefill like base", "no_contrast"),
            "mine",
            ("sft", "base", "prefill"),
        ),
        (("base",), None, ()),
        (("base", "unheard_of"), "unheard_of", ("sft", "base")),
    ],
)
def test_a_recipe_that_says_nothing_is_about_its_first_arm_like_lightr(arms, subject, against) -> None:
    found = compared(named(*arms), Compare())
    assert (found.subject, found.against) == (subject, against)


def test_a_subject_is_meant_where_it_leads_or_anything_is_declared() -> None:
    assert compared(named("base", "mine like lightr"), Compare()).meant
    assert not compared(named("base", "sft"), Compare()).meant
    assert not compared(named("base"), Compare()).meant
    assert compared(named("base", "sft"), Compare(against=("base",))).meant


@pytest.mark.parametrize(
    ("declared", "subject", "against"),
    [
        (Compare(subject="sft"), "sft", ("base",)),
        (Compare(subject="base"), "base", ("sft",)),
        (Compare(against=("neither",)), "lightr", ("neither",)),
        (Compare(against=("lightr", "base")), "neither", ("lightr", "base")),
        (Compare(subject="neither", against=("lightr", "base")), "neither", ("lightr", "base")),
    ],
)
def test_what_it_says_counts_and_its_arms_say_the_rest(declared, subject, against) -> None:
    arms = named("base", "sft", "lightr", "neither")
    assert compared(arms, declared) == Comparisons(subject, against)


def test_baselines_of_a_preset_stand_before_it_on_a_board() -> None:
    places = [preset.name for preset in PRESETS]
    for preset in PRESETS:
        assert all(places.index(name) < places.index(preset.name) for name in preset.against)
    arms = named("zeta like sft", "alpha like lightr", "base", "sft", "unheard_of", "lightr")
    ordered = sorted(arms, key=lambda name: board_place(name, arms[name]))
    assert ordered == ["base", "sft", "zeta", "lightr", "alpha", "unheard_of"]


def test_comparisons_change_no_hash_and_outlive_the_record(folder, changed) -> None:
    plain = changed()
    (folder / "plain.yaml").write_text(plain)
    (folder / "about.yaml").write_text(f"{plain}compare: {{subject: sft, against: [base]}}\n")
    recipe = load_recipe("about.yaml")
    assert recipe_hash(recipe) == recipe_hash(load_recipe("plain.yaml"))
    read = recorded_recipe(resolved_yaml(recipe), "the record")
    assert comparisons_of(read) == comparisons_of(recipe) == Comparisons("sft", ("base",))
