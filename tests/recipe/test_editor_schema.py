"""The schema for editors takes every recipe that ships, and underlines what `check` would refuse as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrbench.recipe.editor_schema import editor_schema
from tests.commands import QUICKSTART, ROOT, lrbench

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema, which lm-eval brings, is not installed")

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


def findings(recipe: Any) -> list[str]:
    schema = editor_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    found = jsonschema.Draft202012Validator(schema).iter_errors(recipe)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_that_ships_is_taken(recipe: Path) -> None:
    assert findings(yaml.safe_load(recipe.read_text())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("trainin",), {}),
        (("training", "updates"), 0),
        (("training", "learning_rat"), 1e-4),
        (("pair", "expert", "dtype"), "float31"),
        (("runtime",), {"device": "tpu"}),
        (("arms",), []),
        (("arms",), ["lightre"]),
        (("seed",), "zero"),
    ],
    ids=str,
)
def test_what_no_recipe_may_say_is_underlined(path: tuple[str, ...], value: Any) -> None:
    recipe = yaml.safe_load(QUICKSTART.read_text())
    inner = recipe
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    assert findings(recipe)


def test_the_command_prints_it() -> None:
    assert json.loads(lrbench("schema").stdout) == json.loads(json.dumps(editor_schema()))
