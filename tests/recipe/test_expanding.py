"""One recipe with seeds and a sweep stands for many recipes: which they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.expanding import expand, sweepable_fields
from lrbench.recipe.fields import leaf_paths
from lrbench.recipe.kinds import Kind, kind_at
from lrbench.recipe.loading import load_recipe, load_with_warnings
from lrbench.recipe.schema import Recipe


def expanded(folder: Path, text: str, *overrides: str) -> list[tuple[int, dict[str, Any]]]:
    (folder / "r.yaml").write_text(text)
    return [
        (variant.recipe.seed, dict(variant.point)) for variant in expand(load_recipe("r.yaml", overrides))
    ]


def test_a_recipe_without_seeds_and_sweep_stands_for_itself(folder: Path, small: str) -> None:
    (folder / "r.yaml").write_text(small)
    recipe = load_recipe("r.yaml")
    (variant,) = expand(recipe)
    assert (variant.recipe, variant.point) == (recipe, {})


def test_a_grid_is_every_combination_and_comes_whole_for_each_seed(folder: Path, small: str) -> None:
    sweep = "sweep: {grid: {divergence.alpha: [0.1, 0.2], divergence.beta: [0, 1]}}\n"
    points = [
        {"divergence.alpha": alpha, "divergence.beta": beta} for alpha in (0.1, 0.2) for beta in (0.0, 1.0)
    ]
    found = expanded(folder, small.replace("seed: 0", "seeds: [5, 3]") + sweep)
    assert found == [(5, point) for point in points] + [(3, point) for point in points]


def test_a_point_says_the_value_of_every_swept_field(folder: Path, small: str) -> None:
    sweep = "sweep: {points: [{divergence.alpha: 1}, {data.problems: 4}]}\n"
    assert expanded(folder, small + sweep) == [
        (0, {"divergence.alpha": 1.0, "data.problems": 8}),
        (0, {"divergence.alpha": 0.2, "data.problems": 4}),
    ]


def test_a_variant_has_the_values_of_its_point_and_no_more_to_vary(folder: Path, small: str) -> None:
    (folder / "r.yaml").write_text(
        small + "sweep: {grid: {arms.lightr.training.updates: [null, 9], evaluation.items: [[a], [a, b]]}}\n"
    )
    variants = expand(load_recipe("r.yaml"))
    assert [resolve_arms(variant.recipe)[2].training.updates for variant in variants] == [5, 5, 9, 9]
    assert {resolve_arms(variant.recipe)[1].training.updates for variant in variants} == {5}
    assert [variant.recipe.evaluation.items for variant in variants] == [("a",), ("a", "b")] * 2
    assert all(variant.recipe.sweep is None and variant.recipe.seeds is None for variant in variants)


def test_a_section_that_is_absent_can_be_swept_into_being(folder: Path, changed: Any) -> None:
    text = changed(
        ("  amateur: {model: embedded/amateur}\n", "  amateur: null\n"), ("[base, sft, lightr]", "[sft]")
    )
    sweep = "sweep: {grid: {pair.amateur.model: [embedded/amateur], data.problems: [4, 8]}}\n"
    assert [point for _, point in expanded(folder, text + sweep)] == [
        {"pair.amateur.model": "embedded/amateur", "data.problems": 4},
        {"pair.amateur.model": "embedded/amateur", "data.problems": 8},
    ]


def test_any_field_that_can_change_a_result_can_be_swept_and_no_other() -> None:
    fields = sweepable_fields(["lightr", "mine.2"])
    assert {
        "pair.expert.dtype",
        "evaluation.limit",
        "arms.mine.2.training.lora.r",
        "arms.lightr.selector",
    } <= (fields.keys())
    others = {path for path in leaf_paths() if path not in fields.values() and path[0] != "arms"}
    assert {path for path in others if kind_at(Recipe, path) is Kind.OUTPUT} == {
        ("seed",),
        ("seeds",),
        ("sweep", "grid"),
        ("sweep", "points"),
        ("measure", "forgetting"),
        ("evaluation", "select_on", "validation"),
    }
    assert not any(path[0] == "runtime" or path[-1] in ("url", "served_as") for path in fields.values())


def test_a_sweep_can_be_narrowed_and_seeds_replaced_from_the_command_line(folder: Path, small: str) -> None:
    text = small.replace("seed: 0", "seeds: [0, 1]") + "sweep: {grid: {divergence.alpha: [0.1, 0.2]}}\n"
    narrowed = expanded(folder, text, "sweep.grid.divergence.alpha=[0.3]", "seed=7")
    assert narrowed == [(7, {"divergence.alpha": 0.3})]
    assert expanded(folder, text, "sweep=null", "seeds=null") == [(0, {})]
    added = expanded(folder, small, "sweep.grid.divergence.beta=[0, 1]", "seeds=[4]")
    assert added == [(4, {"divergence.beta": 0.0}), (4, {"divergence.beta": 1.0})]


def test_a_file_that_extends_gives_seeds_in_place_of_a_seed_and_the_other_way_round(
    folder: Path, small: str
) -> None:
    (folder / "base.yaml").write_text(small)
    seeds = "extends: base.yaml\nseeds: [1, 2]\n"
    assert [seed for seed, _ in expanded(folder, seeds)] == [1, 2]
    (folder / "many.yaml").write_text(seeds)
    assert [seed for seed, _ in expanded(folder, "extends: many.yaml\nseed: 9\n")] == [9]


def test_a_setting_is_warned_about_only_where_no_variant_uses_it(folder: Path, changed: Any) -> None:
    text = changed(("[base, sft, lightr]", "[sft, {name: own, like: neither}]"), ("  beta: 0.4\n", ""))
    swept = "sweep: {grid: {arms.own.target: [own_token, contrast], arms.own.divergence.beta: [1, 2]}}\n"
    (folder / "r.yaml").write_text(text + swept)
    assert load_with_warnings("r.yaml")[1] == [
        "r.yaml:18:83: arms.1.divergence.beta: ignored, because this arm does not use it: "
        "its selector takes no beta"
    ]
