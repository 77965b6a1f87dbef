"""A recorded recipe runs from any folder: its paths become absolute, all else stays as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.moving import runs_anywhere
from tests.commands import QUICKSTART
from tests.recipe.test_placing import problem

MINE = """
extends: {quickstart}
pair: {{amateur: {{model: models/small}}}}
data: {{train: sets/problems.jsonl, problems: 1, held_out: 0}}
models: {{peer: {{model: models/small}}, hub: {{model: owner/name}}}}
sweep: {{grid: {{pair.amateur.model: [models/small, embedded/amateur]}}}}
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a run in the folder `mine` records of a recipe with paths in it."""
    (tmp_path / "mine" / "models" / "small").mkdir(parents=True)
    (tmp_path / "mine" / "models" / "small" / "config.json").write_text("{}")
    (tmp_path / "mine" / "sets").mkdir()
    problem(tmp_path / "mine" / "sets" / "problems.jsonl")
    (tmp_path / "mine" / "r.yaml").write_text(MINE.format(quickstart=QUICKSTART))
    monkeypatch.chdir(tmp_path / "mine")
    text = resolved_yaml(load_recipe(Path("r.yaml")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return text


def test_what_was_run_in_one_folder_loads_in_any_other(recorded: str, tmp_path: Path) -> None:
    moved = runs_anywhere(recorded, (tmp_path / "nowhere", tmp_path / "mine"))
    assert (moved.found, moved.lost) == (True, ())
    Path("resolved.yaml").write_text(moved.text)
    recipe = load_recipe(Path("resolved.yaml"))
    small, problems = tmp_path / "mine" / "models" / "small", tmp_path / "mine" / "sets" / "problems.jsonl"
    assert recipe.pair.amateur is not None
    assert recipe.models is not None
    assert recipe.sweep is not None
    assert recipe.sweep.grid is not None
    assert recipe.pair.amateur.model == recipe.models["peer"].model == str(small)
    assert recipe.models["hub"].model == "owner/name"
    assert recipe.data.train == str(problems)
    assert recipe.sweep.grid["pair.amateur.model"] == (str(small), "embedded/amateur")


def test_what_is_nowhere_is_told_of_and_stays_as_it_is(recorded: str, tmp_path: Path) -> None:
    moved = runs_anywhere(recorded, (tmp_path / "nowhere",))
    assert (moved.text, moved.found) == (recorded, False)
    # `models/small` could be one of the hub.
    assert moved.lost == (("data.train", "sets/problems.jsonl"),)


@pytest.mark.parametrize("text", ["", "[1", "name: x\n", "a: ${b}\n"])
def test_a_recipe_without_paths_or_that_is_none_stays_as_it_is(text: str, tmp_path: Path) -> None:
    assert runs_anywhere(text, (tmp_path,)).text == text
