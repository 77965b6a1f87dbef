from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.extending import MAX_CHAIN
from lrbench.recipe.loading import load_recipe

Refusal = Callable[..., list[str]]


def test_later_wins_mappings_merge_and_lists_are_replaced(folder: Path, small: str) -> None:
    (folder / "base.yaml").write_text(small)
    (folder / "more.yaml").write_text("training: {updates: 7}\narms: [base, lightr, neither]\n")
    (folder / "r.yaml").write_text("extends: [base.yaml, more.yaml]\nname: own\narms: [base, sft]\n")
    recipe = load_recipe("r.yaml")
    assert recipe.name == "own"
    assert (recipe.training.updates, recipe.training.rollouts_per_update) == (7, 2)
    assert [arm.name for arm in recipe.arms] == ["base", "sft"]


def test_paths_are_relative_to_the_file_that_names_them(folder: Path, small: str) -> None:
    (folder / "bases").mkdir()
    (folder / "bases" / "first.yaml").write_text(small)
    (folder / "bases" / "second.yaml").write_text("extends: first.yaml\nseed: 5\n")
    (folder / "r.yaml").write_text("extends: bases/second.yaml\nname: own\n")
    recipe = load_recipe("r.yaml")
    assert (recipe.name, recipe.seed) == ("own", 5)


def test_nothing_to_extend_is_allowed(folder: Path, small: str) -> None:
    (folder / "r.yaml").write_text("extends: []\n" + small)
    assert load_recipe("r.yaml").name == "small"


def test_two_ways_to_one_base_are_no_circle(folder: Path, small: str) -> None:
    (folder / "base.yaml").write_text(small)
    (folder / "left.yaml").write_text("extends: base.yaml\nseed: 1\n")
    (folder / "right.yaml").write_text("extends: base.yaml\ntraining: {updates: 9}\n")
    (folder / "r.yaml").write_text("extends: [left.yaml, right.yaml]\n")
    assert load_recipe("r.yaml").training.updates == 9


def test_a_problem_is_placed_in_the_file_it_was_written_in(
    folder: Path, small: str, refusal: Refusal
) -> None:
    (folder / "base.yaml").write_text(small.replace("updates: 5", "updtes: 5").replace("0.4", "-1"))
    assert refusal("extends: base.yaml\nseed: -3\n") == [
        "r.yaml:2:7: seed: found -3, allowed is a whole number in [0, 2147483648)",
        "base.yaml:11:9: divergence.beta: found -1, allowed is a number of at least 0",
        "base.yaml:13:3: training.updtes: unknown field; did you mean `updates`?",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "extends: bases.yaml",
            "r.yaml:1:10: extends: `bases.yaml`: no such file; did you mean `base.yaml`?",
        ),
        ("extends: [nowhere.yml]", "r.yaml:1:11: extends: `nowhere.yml`: no such file"),
        ("extends: .", "r.yaml:1:10: extends: `.`: this is a directory; name a recipe file"),
        ('extends: "a\\0"', "r.yaml:1:10: extends: `a\\x00`: this cannot be a file's name"),
        (
            "extends: 5",
            "r.yaml:1:10: extends: found 5, allowed is the path of a recipe file or a list of such",
        ),
        (
            "extends: {a: b}",
            "r.yaml:1:10: extends: found a mapping, allowed is the path of a recipe file or a list of such",
        ),
        (
            "extends: [null]",
            "r.yaml:1:11: extends: found null, allowed is the path of a recipe file or a list of such",
        ),
        ("extends: r.yaml", "r.yaml:1:10: extends: goes in a circle: r.yaml -> r.yaml"),
    ],
)
def test_an_impossible_base_is_told_where_it_is_named(
    folder: Path, small: str, refusal: Refusal, line: str, told: str
) -> None:
    (folder / "base.yaml").write_text(small)
    assert refusal(f"{line}\n{small}") == [told]


def test_a_circle_is_told_with_the_whole_chain(folder: Path, small: str, refusal: Refusal) -> None:
    (folder / "a.yaml").write_text("extends: b.yaml\n")
    (folder / "b.yaml").write_text("seed: 1\nextends: [./a.yaml]\n")
    assert refusal(small + "extends: a.yaml\n") == [
        "b.yaml:2:11: extends: goes in a circle: a.yaml -> b.yaml -> a.yaml"
    ]


def test_every_missing_base_is_told_at_once(refusal: Refusal, small: str) -> None:
    assert refusal("extends:\n  - one.yaml\n  - two.yaml\n" + small) == [
        "r.yaml:2:5: extends: `one.yaml`: no such file",
        "r.yaml:3:5: extends: `two.yaml`: no such file",
    ]


def test_a_broken_base_is_told_with_its_own_name(folder: Path, small: str, refusal: Refusal) -> None:
    (folder / "base.yaml").write_bytes(b"name: \xff\n")
    assert refusal("extends: base.yaml\n" + small) == [
        "base.yaml:1:7: found the byte 0xFF, allowed is UTF-8 text; save the file as UTF-8"
    ]


def test_a_misspelt_extends_is_told_and_followed_all_the_same(
    folder: Path, small: str, refusal: Refusal
) -> None:
    (folder / "base.yaml").write_text(small)
    assert refusal("extend: base.yaml\n") == ["r.yaml:1:1: extend: unknown field; did you mean `extends`?"]


def test_a_chain_without_end_is_refused(folder: Path, refusal: Refusal) -> None:
    for place in range(2000):
        (folder / f"{place}.yaml").write_text(f"extends: {place + 1}.yaml\n")
    last = MAX_CHAIN - 2
    assert f"{last}.yaml:1:10: extends: a chain of more than {MAX_CHAIN} files" in refusal(
        "extends: 0.yaml\n"
    )
