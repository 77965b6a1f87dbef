"""Several sources of training problems as a recipe writes them: paths, mistakes with places, and identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.pipeline.exporting.model_card import without_places
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.expanding import expand
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.recipe.training_sources import TrainingSource
from tests.commands import QUICKSTART

PLACE = "r.yaml:4:5: data.train.0"
WEIGHT = "r.yaml:4:29: data.train.0.weight"
ONE_OF = "allowed is OWNER/NAME or OWNER/NAME@REVISION"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`recipes` has two files of problems; lrbench is started beside it."""
    (tmp_path / "recipes").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        rows = "".join(f'{{"problem": "{name[0]}{number}?"}}\n' for number in range(4))
        (tmp_path / "recipes" / name).write_text(rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recipes"


def recipe(folder: Path, *sources: str, rest: str = "") -> Path:
    listed = "".join(f"  - {source}\n" for source in sources)
    file = folder / "r.yaml"
    data = f"data:\n  problems: 4\n  train:\n{listed}  held_out: 0\n"
    file.write_text(
        data
        + f"extends: {QUICKSTART}\narms: [base, lightr]\ncontrols: null\ncompare: {{}}\nclaims: []\n{rest}"
    )
    return file


def told(folder: Path, *sources: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe(folder, *sources))
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()[:-1]]


def test_files_are_relative_to_the_recipe_and_names_are_not_files(folder: Path) -> None:
    found = load_recipe(
        recipe(
            folder, "{file: a.jsonl, weight: 2}", "b.jsonl", "embedded/multi_step", "hub:openai/gsm8k@main"
        )
    )
    first, *others = found.data.train
    assert first == TrainingSource(file="recipes/a.jsonl", weight=2)
    assert others == ["recipes/b.jsonl", "embedded/multi_step", "hub:openai/gsm8k@main"]


def test_a_swept_list_is_placed_too(folder: Path) -> None:
    rest = "sweep: {grid: {data.train: [[a.jsonl, {file: b.jsonl}], embedded/multi_step]}}\n"
    trains = [each.recipe.data.train for each in expand(load_recipe(recipe(folder, "a.jsonl", rest=rest)))]
    assert trains == [("recipes/a.jsonl", TrainingSource(file="recipes/b.jsonl")), "embedded/multi_step"]


def test_all_that_is_resolved_loads_again(folder: Path) -> None:
    source = "{hub: openai/gsm8k@main, config: main, weight: 0.5, fields: {problem: question}}"
    found = load_recipe(recipe(folder, "{file: a.jsonl}", source))
    Path("again.yaml").write_text(resolved_yaml(found))
    assert load_recipe(Path("again.yaml")) == found


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{file: a.jsonl, weight: 0}", f"{WEIGHT}: found 0, allowed is a number in (0, 1000000]"),
        ("{file: a.jsonl, weight: -1}", f"{WEIGHT}: found -1, allowed is a number in (0, 1000000]"),
        (
            "{file: a.jsonl, wieght: 1}",
            "r.yaml:4:21: data.train.0.wieght: unknown field; did you mean `weight`?",
        ),
        ("{weight: 1}", f"{PLACE}: needs one of `file`, `data` and `hub`"),
        ("{file: a.jsonl, hub: a/b}", f"{PLACE}: takes one of `file`, `data` and `hub`"),
        ("{file: a.jsonl, split: test}", f"{PLACE}: `split` and `config` are of data sets of the hub"),
        ("{data: gsm8k/train, fields: {problem: q}}", f"{PLACE}: a set that lrbench has needs no `fields`"),
        ("{hub: gsm8k}", f"{PLACE}: `gsm8k` is no data set of the hub; {ONE_OF}"),
        ("hub:a/b@", f"{PLACE}: `` is no revision; allowed is a commit, a tag or a branch"),
        ("hub:a//b", f"{PLACE}: `a//b` is no data set of the hub; {ONE_OF}"),
        ("{file: c.jsonl}", 'r.yaml:4:12: data.train.0.file: found the text "recipes/c.jsonl", but there'),
        ("embedded/mult_step", f'{PLACE}: found the text "embedded/mult_step", embedded problem sets are'),
        ("7", f"{PLACE}: found 7, allowed is `embedded/FAMILY`, `gsm8k/train`, `math/train`, `hub:OWNER"),
    ],
)
def test_a_mistake_in_a_source_is_one_message_with_its_place(folder: Path, source: str, problem: str) -> None:
    [said] = told(folder, source)
    assert said.startswith(problem)


def test_the_same_source_twice_is_refused(folder: Path) -> None:
    assert told(folder, "a.jsonl", "{file: a.jsonl, weight: 3}") == [
        "r.yaml:5:5: data.train.1: stands in the list before; `weight` says how much of a source is drawn"
    ]


def keys(found: Recipe, runs: Path) -> set[str]:
    return {stage.key for stage in plan_recipe(found, runs, fetch=False).stages}


def test_weights_and_contents_decide_keys_and_names_do_not(folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = keys(load_recipe(recipe(folder, "{file: a.jsonl}", "{file: b.jsonl}")), runs)
    heavier = keys(load_recipe(recipe(folder, "{file: a.jsonl, weight: 3}", "{file: b.jsonl}")), runs)
    (folder / "b.jsonl").rename(folder / "c.jsonl")
    renamed = keys(load_recipe(recipe(folder, "{file: a.jsonl}", "{file: c.jsonl}")), runs)
    (folder / "c.jsonl").write_text('{"problem": "other?"}\n' * 4)
    other = keys(load_recipe(recipe(folder, "{file: a.jsonl}", "{file: c.jsonl}")), runs)
    assert first == renamed
    assert first - heavier
    assert first - other


def test_a_plan_says_that_a_set_of_the_hub_is_not_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    found = load_recipe(recipe(folder, "a.jsonl", "{hub: openai/gsm8k, config: main}"))
    assert (
        "the data set hub:openai/gsm8k (main/train)"
        in plan_recipe(found, tmp_path / "runs", fetch=False).absent
    )


def test_what_is_published_names_files_and_no_folders(folder: Path) -> None:
    shown = without_places(load_recipe(recipe(folder, "{file: a.jsonl, weight: 2}", "b.jsonl")))
    assert shown.data.label == "a.jsonl (weight 2), b.jsonl (weight 1)"
