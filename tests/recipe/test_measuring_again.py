"""`again` and `measure.repeats`: which arms are measured once more, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.expanding import expand
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.recorded import recorded_recipe
from lrbench.recipe.schema import Recipe

Changed = Callable[..., str]
ARMS = "arms: [base, sft, lightr]"


@pytest.fixture
def load(folder: Path, changed: Changed) -> Callable[[str], Recipe]:
    def loaded(arms: str) -> Recipe:
        (folder / "r.yaml").write_text(changed((ARMS, arms)))
        return load_recipe("r.yaml")

    return loaded


def test_every_arm_with_a_plain_answer_is_measured_as_often_as_asked(load: Callable[[str], Recipe]) -> None:
    recipe = load("arms: [base, cd, lightr]\nmeasure: {repeats: 3}")
    names = ["base", "cd", "lightr", "base_again", "base_again_2", "lightr_again", "lightr_again_2"]
    assert [arm.name for arm in recipe.arms] == names
    again = {arm.name: arm.answer.model_dump() for arm in recipe.arms[3:] if arm.answer is not None}
    assert again["lightr_again"] == {"again": "1/2"}
    assert again["lightr_again_2"] == {"again": "1/3"}
    assert recorded_recipe(resolved_yaml(recipe), "recorded") == recipe
    # The expert's own arm for it is not there twice.
    assert [arm.name for arm in load("arms: [base, again, cd]\nmeasure: {repeats: 2}").arms] == [
        "base",
        "again",
        "cd",
    ]


def test_a_second_measurement_follows_the_points_of_a_sweep(load: Callable[[str], Recipe]) -> None:
    sweep = "sweep: {grid: {arms.lightr.training.updates: [3, 4]}}"
    recipe = load(f"arms: [base, lightr]\nmeasure: {{repeats: 2}}\n{sweep}")
    for variant in expand(recipe):
        by_name = {arm.name: arm for arm in variant.recipe.arms}
        updates = {by_name[name].training.updates for name in ("lightr", "lightr_again")}
        assert updates == {variant.point["arms.lightr.training.updates"]}


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        (
            "arms: [again, lightr]",
            "16:8: arms.0: the arm `again` measures one once more that the recipe does not have; add the "
            "same without `answer`, the arm `base`",
        ),
        (
            "arms: [base, {name: n, like: again, answer: {again: 64}}]",
            "16:37: arms.1.answer: again, 64 rows at once, and `runtime.batch_size` is 64: rounding falls "
            "otherwise with fewer rows; allowed is 1 to 63, or a share of the rows such as 1/2",
        ),
        (
            "arms: [base, again]\nruntime: {batch_size: 1}",
            "16:14: arms.1: writes fewer rows at once than `runtime.batch_size`, and that is 1; give it at "
            "least 2",
        ),
        (
            "arms: [base]\nmeasure: {repeats: 2}\nruntime: {batch_size: 1}",
            "17:20: measure.repeats: writes fewer rows at once than `runtime.batch_size`, and that is 1; "
            "give it at least 2",
        ),
        (
            "arms: [base]\nmeasure: {repeats: 9}",
            "17:20: measure.repeats: found 9, allowed is a whole number in [2, 4] or null",
        ),
        (
            "arms: [base, {name: n, like: again, answer: {again: half}}]",
            '16:53: arms.1.answer.again: found the text "half", allowed is a whole number of at least 1 or '
            "`1/2`, `1/3` or `1/4`",
        ),
    ],
)
def test_what_cannot_be_measured_once_more_is_told(
    refusal: Callable[..., list[str]], changed: Changed, arms: str, told: str
) -> None:
    assert refusal(changed((ARMS, arms))) == [f"r.yaml:{told}"]


def test_how_many_rows_are_written_at_once_counts_where_arithmetic_rounds(
    load: Callable[[str], Recipe],
) -> None:
    def hashed(rows: int, dtype: str) -> str:
        recipe = load(f"{ARMS}\nruntime: {{batch_size: {rows}}}")
        expert = recipe.pair.expert.model_copy(update={"dtype": dtype})
        return recipe_hash(
            recipe.model_copy(update={"pair": recipe.pair.model_copy(update={"expert": expert})})
        )

    assert hashed(64, "float32") == hashed(32, "float32")
    assert hashed(64, "bfloat16") != hashed(32, "bfloat16")
