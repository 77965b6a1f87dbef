"""Paths are relative to the file that writes them, wherever lrbench is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_with_warnings
from lrbench.recipe.schema import Recipe
from tests.commands import QUICKSTART, ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`project/recipes` extends a base in `project/shared/base.yaml`; lrbench is started in `elsewhere`."""
    for folder in ("project/recipes", "project/shared/models/small", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    model = tmp_path / "project" / "shared" / "models" / "small"
    (model / "config.json").write_text("{}")
    problem(tmp_path / "project" / "recipes" / "problems.jsonl")
    base = QUICKSTART.read_text().replace("model: embedded/amateur", "model: models/small")
    (tmp_path / "project" / "shared" / "base.yaml").write_text(base)
    text = "extends: ../shared/base.yaml\ndata: {train: problems.jsonl, problems: 1}\n"
    (tmp_path / "project" / "recipes" / "r.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "project"


def problem(file: Path) -> None:
    file.write_text(json.dumps({"problem": "1+1?", "answer": "2", "solution": "2"}) + "\n")


def amateur(recipe: Recipe) -> str:
    assert recipe.pair.amateur is not None
    return str(recipe.pair.amateur.model)


@pytest.mark.parametrize("started", ["elsewhere", "project", "project/recipes", "project/shared"])
def test_paths_are_those_of_the_file_that_writes_them(
    project: Path, monkeypatch: pytest.MonkeyPatch, started: str
) -> None:
    monkeypatch.chdir(project.parent / started)
    recipe, warnings = load_with_warnings(project / "recipes" / "r.yaml")
    assert not [warning for warning in warnings if "relative" in warning]
    assert Path(amateur(recipe)).samefile(project / "shared" / "models" / "small")
    assert Path(recipe.data.train).samefile(project / "recipes" / "problems.jsonl")
    assert not Path(amateur(recipe)).is_absolute()


def test_a_swept_path_is_one_too(project: Path) -> None:
    with (project / "recipes" / "r.yaml").open("a") as file:
        file.write("sweep: {grid: {pair.amateur.model: [../shared/models/small, embedded/amateur]}}\n")
    recipe, _ = load_with_warnings(project / "recipes" / "r.yaml")
    assert recipe.sweep is not None
    assert recipe.sweep.grid is not None
    first, second = recipe.sweep.grid["pair.amateur.model"]
    assert Path(first).samefile(project / "shared" / "models" / "small")
    assert second == "embedded/amateur"


def test_an_override_is_relative_to_where_it_is_typed(project: Path) -> None:
    problem(Path("here.jsonl"))
    recipe, _ = load_with_warnings(project / "recipes" / "r.yaml", ["data.train=here.jsonl"])
    assert recipe.data.train == "here.jsonl"


def test_a_path_of_an_older_recipe_is_found_and_how_to_write_it_is_said(project: Path) -> None:
    (project / "recipes" / "problems.jsonl").unlink()
    problem(Path("problems.jsonl"))
    recipe, warnings = load_with_warnings(project / "recipes" / "r.yaml")
    assert recipe.data.train == "problems.jsonl"
    [warning] = [warning for warning in warnings if "relative" in warning]
    assert "r.yaml:2:15: data.train: " in warning
    assert warning.endswith("so write `../../elsewhere/problems.jsonl`")


def test_of_two_the_one_beside_the_file_is_meant_and_that_is_said(project: Path) -> None:
    problem(Path("problems.jsonl"))
    recipe, warnings = load_with_warnings(project / "recipes" / "r.yaml")
    assert recipe.data.train == "../project/recipes/problems.jsonl"
    [warning] = [warning for warning in warnings if "relative" in warning]
    assert "meant is ../project/recipes/problems.jsonl" in warning


def test_ids_of_the_hub_and_what_ships_inside_stay_what_they_are(project: Path) -> None:
    overrides = ["data.train=gsm8k/train", "pair.amateur.model=embedded/amateur"]
    text = (project / "recipes" / "r.yaml").read_text() + "pair: {expert: {model: nobody/expert}}\n"
    (project / "recipes" / "r.yaml").write_text(text)
    recipe, _ = load_with_warnings(project / "recipes" / "r.yaml", overrides)
    assert recipe.pair.expert.model == "nobody/expert"
    assert recipe.data.train == "gsm8k/train"


def test_the_shipped_recipe_means_the_same_folder_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("lrbench.recipe.loading.unknown_things", lambda _: [])
    recipe, warnings = load_with_warnings("recipes/smollm2.yaml")
    assert recipe.pair.expert.model == "./models/smollm2-135m-instruct"
    assert warnings == []


def test_models_beside_the_pair_are_found_beside_the_file_too(project: Path) -> None:
    with (project / "recipes" / "r.yaml").open("a") as file:
        file.write("models: {peer: {model: ../shared/models/small}}\n")
    recipe, _ = load_with_warnings(project / "recipes" / "r.yaml")
    assert recipe.models is not None
    assert Path(recipe.models["peer"].model).samefile(project / "shared" / "models" / "small")
