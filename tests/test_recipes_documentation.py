"""docs/recipes.md names every field that a recipe can have, with its default, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lrbench.methods.fidelity import HAZARDS
from lrbench.recipe.expanding import expand
from lrbench.recipe.fields import leaf_paths, schema_at
from lrbench.recipe.loading import load_recipe

REPOSITORY = Path(__file__).parents[1]
TEXT = (REPOSITORY / "docs" / "recipes.md").read_text()
WORDS = ("source", "selector", "target", "objective", "change", "answer")
ROW = re.compile(r"^\| `([a-z_.0-9A-Z]+)` \| ([^|]*) \| (?:[^|]|\\\|)+ \|$", re.MULTILINE)


def default_of(path: tuple[str | int, ...]) -> str:
    """The default as the table writes it."""
    node = schema_at(path) or {}
    if "default" not in node:
        return "needed"
    value = node["default"]
    return (
        yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip() if value != "" else ""
    )


def test_every_field_is_in_the_table_with_its_default_and_no_other() -> None:
    fields = {".".join(map(str, path)): default_of(path) for path in leaf_paths() if path[0] != "arms"}
    own = {"name", "like", *WORDS, "fidelity", "start"}
    fields |= {f"arms.NAME.{field}": default_of(("arms", 0, field)) for field in own}
    table = TEXT.partition("## Fields")[2].partition("\n## ")[0]
    documented = {name: default.strip().strip("`") for name, default in ROW.findall(table)}
    assert documented == fields


def test_arms_vary_only_what_the_text_names() -> None:
    varied = {path[2] for path in leaf_paths() if path[0] == "arms"}
    assert varied == {"name", "like", *WORDS, "fidelity", "start", "divergence", "training"}


def test_every_hazard_is_in_the_table_with_its_stage_and_its_sentence_and_no_other() -> None:
    section = TEXT.partition("## Fidelity")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_0-9]+)` \| ([a-z]+) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(name, hazard.stage, hazard.says) for name, hazard in HAZARDS.items()]


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL), ids=lambda text: text[:20]
)
def test_every_example_is_a_part_of_a_valid_recipe(block: str, tmp_path: Path) -> None:
    (tmp_path / "sums.csv").write_text("question,target\n")
    file = tmp_path / "r.yaml"
    file.write_text(f"extends: {REPOSITORY / 'recipes' / 'quickstart.yaml'}\n{block}")
    assert expand(load_recipe(file))
