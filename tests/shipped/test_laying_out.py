"""A folder is laid out whole, with what its recipes' comments say to type, and over nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.errors import UserError
from lrbench.recipe.loading import load_with_warnings
from lrbench.shipped.laying_out import lay_out
from lrbench.shipped.places import RECIPES, STUDIES, recipe_names
from tests.commands import lrbench


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "new" / "folder"
    lay_out(folder)
    return folder


def test_it_holds_every_recipe_and_study_as_they_ship(laid_out: Path) -> None:
    assert sorted(path.name for path in laid_out.iterdir()) == [
        "Makefile", "README.md", "experiments", "recipes",
    ]  # fmt: skip
    assert [path.name for path in laid_out.parent.iterdir()] == ["folder"]
    for place in (RECIPES, STUDIES):
        files = [file for file in place.rglob("*.yaml") if place == RECIPES or file.parent == place]
        for file in files:
            assert (laid_out / place.name / file.relative_to(place)).read_bytes() == file.read_bytes()
    assert len(list((laid_out / "recipes").rglob("*.yaml"))) == len(recipe_names()) + 1
    assert (laid_out / "recipes" / "recipe.schema.json").exists()


def test_the_commands_of_its_comments_and_guides_are_there(
    laid_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(laid_out)
    # What a make that these tests were started by says of itself to others below it.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        monkeypatch.delenv(name, raising=False)
    for target, command in {
        "experiment": "lrbench run recipes/quickstart.yaml",
        "plan": "lrbench plan recipes/quickstart.yaml",
        "results": "lrbench results",
        "leaderboard": "lrbench dashboard",
        "mlflow": "lrbench mlflow",
        "study": "lrbench study ablations --edition embedded",
        "tables": "lrbench tables ablations",
        "smollm2": "python -m lrbench.models.packaged",
    }.items():
        made = subprocess.run(["make", "-n", target, "STUDY=ablations"], capture_output=True, text=True)
        assert made.stdout.strip() == command
    assert load_with_warnings("recipes/quickstart.yaml")[1] == []


def test_the_command_says_how_to_go_on(tmp_path: Path) -> None:
    found = lrbench("init", "my work", cwd=tmp_path)
    studies = len(list(STUDIES.glob("*.yaml")))
    assert found.stdout == (
        f"my work: {len(recipe_names())} recipes, {studies} studies, a Makefile and README.md\n"
        "Go on with:\n  cd 'my work'\n  lrbench run recipes/quickstart.yaml\n  lrbench dashboard\n"
    )


def test_nothing_is_overwritten(laid_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (laid_out / "Makefile").stat().st_mtime_ns
    with pytest.raises(UserError, match="is not empty, and nothing in it is overwritten; name a new folder"):
        lay_out(laid_out)
    assert (laid_out / "Makefile").stat().st_mtime_ns == before
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="is there already and is no folder; name a new folder"):
        lay_out(file)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is not empty, and nothing in it is overwritten; name a new folder"):
        lay_out(Path())
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("given", [".", "../empty"])
def test_an_empty_folder_is_filled_where_it_is_also_by_who_stands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    folder = tmp_path / "empty"
    # What a process that was killed on the way has left.
    (folder / ".work-unfinished" / "whole" / "recipes").mkdir(parents=True)
    monkeypatch.chdir(folder)
    before = folder.stat().st_ino
    found = CliRunner().invoke(app, ["init", given])
    studies = len(list(STUDIES.glob("*.yaml")))
    assert found.stdout == (
        f"this folder: {len(recipe_names())} recipes, {studies} studies, a Makefile and README.md\n"
        "Go on with:\n  lrbench run recipes/quickstart.yaml\n  lrbench dashboard\n"
    )
    assert folder.stat().st_ino == before
    assert sorted(path.name for path in folder.iterdir()) == [
        "Makefile",
        "README.md",
        "experiments",
        "recipes",
    ]
