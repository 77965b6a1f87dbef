"""A recipe that ships is found by its name from anywhere, and gives way to what lies here."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.recipe.finding import found_recipe, spoken_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.shipped.places import RECIPES, recipe_names


@pytest.mark.usefixtures("folder")
def test_every_recipe_that_ships_has_a_name() -> None:
    for name in recipe_names():
        found = found_recipe(name)
        assert found == str(RECIPES / f"{name}.yaml")
        assert spoken_recipe(found) == name
    assert "paper/qwen2.5-math-1.5b" in recipe_names()
    assert load_recipe("quickstart").name == "quickstart"


def test_what_lies_here_comes_first(folder: Path, small: str) -> None:
    own = folder / "recipes" / "quickstart.yaml"
    own.parent.mkdir()
    own.write_text(small)
    assert found_recipe("quickstart") == "recipes/quickstart.yaml"
    # The name would lead to another file, so the path stands.
    assert spoken_recipe(str(RECIPES / "quickstart.yaml")) == str(RECIPES / "quickstart.yaml")
    (folder / "controls").mkdir()
    assert found_recipe("controls") == str(RECIPES / "controls.yaml")
    (folder / "control").mkdir()
    assert found_recipe("control") == "control"
    (folder / "quickstart").write_text(small)
    assert found_recipe("quickstart") == "quickstart"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", ["r.yaml", "/quickstart", "../quickstart", "a\0b", "x" * 300, "", "recipe"])
def test_anything_else_is_a_path(path: str) -> None:
    assert found_recipe(path) == path
    assert spoken_recipe(path) == path


@pytest.mark.usefixtures("folder")
def test_a_name_that_is_nearly_one_is_told() -> None:
    with pytest.raises(RecipeError, match=r"^quikstart: neither a file .* did you mean `quickstart`\?$"):
        load_recipe("quikstart")
