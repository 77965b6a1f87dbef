from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe


@pytest.fixture
def overridden(folder: Path, small: str) -> Callable[..., Recipe]:
    def load(*overrides: str) -> Recipe:
        (folder / "r.yaml").write_text(small)
        return load_recipe("r.yaml", overrides)

    return load


def test_a_value_is_read_as_yaml(overridden: Callable[..., Recipe]) -> None:
    recipe = overridden(
        "training.learning_rate=5e-5", "arms=[base, neither]", "evaluation.limit=null", "name='7'"
    )
    assert recipe.training.learning_rate == 5e-5
    assert [arm.name for arm in recipe.arms] == ["base", "neither"]
    assert recipe.evaluation.limit is None
    assert recipe.name == "7"


def test_a_mapping_adds_to_the_mapping_that_is_there(overridden: Callable[..., Recipe]) -> None:
    recipe = overridden("training={updates: 9}", "training.lora.r=4")
    assert (recipe.training.updates, recipe.training.rollouts_per_update, recipe.training.lora.r) == (9, 2, 4)


def test_the_last_of_several_overrides_wins(overridden: Callable[..., Recipe]) -> None:
    assert overridden("seed=1", "seed=2").seed == 2


def test_a_place_in_a_list_can_be_overridden(overridden: Callable[..., Recipe]) -> None:
    assert [arm.name for arm in overridden("arms.1=neither").arms] == ["base", "neither", "lightr"]


def test_an_arm_given_by_its_name_becomes_a_mapping(overridden: Callable[..., Recipe]) -> None:
    recipe = overridden("arms.1.training.updates=5", "arms.1.training.learning_rate=1e-4")
    assert recipe.arms[1].name == "sft"
    assert (recipe.arms[1].training.updates, recipe.arms[1].training.learning_rate) == (5, 1e-4)


def test_an_override_may_refer_to_another_field(overridden: Callable[..., Recipe]) -> None:
    assert overridden("seed=${training.updates}").seed == 5


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "training.updtes=5",
            "override 'training.updtes=5':10: training.updtes: unknown field; did you mean `updates`?",
        ),
        (
            "divergence.alpha=1.5",
            "override 'divergence.alpha=1.5':18: divergence.alpha: found 1.5, allowed is a number in (0, 1]",
        ),
        (
            "trainin.updates=0",
            "override 'trainin.updates=0':1: trainin: unknown field; did you mean `training`?",
        ),
        (
            "arms.3=neither",
            "override 'arms.3=neither':6: arms: found `3`, allowed is a place in this list: 0 to 2",
        ),
        (
            "arms.last=neither",
            "override 'arms.last=neither':6: arms: found `last`, allowed is a place in this list: 0 to 2",
        ),
        (
            "seed.x=1",
            "override 'seed.x=1':6: seed: found 0, which has no fields to override",
        ),
        (
            "updates",
            "override 'updates':1: allowed is `field.path=value`, for example `training.updates=5`",
        ),
        ("=5", "override '=5':1: allowed is `field.path=value`, for example `training.updates=5`"),
        (
            "training..r=5",
            "override 'training..r=5':1: allowed is `field.path=value`, for example `training.updates=5`",
        ),
        (
            "extends=base.yaml",
            "override 'extends=base.yaml':1: extends: can only be given in a recipe file",
        ),
        (
            "arms=[base",
            "override 'arms=[base':11: not valid YAML: while parsing a flow sequence, "
            "did not find expected ',' or ']'",
        ),
        (
            "seed=!!int 5",
            "override 'seed=!!int 5':6: found the tag `tag:yaml.org,2002:int`; "
            "a recipe holds plain values, without tags",
        ),
        ("name=\udc80", "override 'name=\\udc80':6: the character U+DC80 is not allowed in YAML"),
    ],
)
def test_an_impossible_override_is_told_with_its_column(
    refusal: Callable[..., list[str]], small: str, override: str, told: str
) -> None:
    assert refusal(small, override) == [told]


def test_a_reference_cannot_be_overridden_from_within(
    refusal: Callable[..., list[str]], changed: Callable[..., str]
) -> None:
    text = changed(("divergence:\n  alpha: 0.2\n  beta: 0.4", "divergence: ${data}"))
    assert refusal(text, "divergence.alpha=0.3")[-1] == (
        "override 'divergence.alpha=0.3':12: divergence: `divergence` is \"${data}\"; "
        "override the field that this names"
    )
