"""The JSON Schema of recipe files, for editors that complete fields and underline mistakes.

It is what the schema itself says, widened by what files may write besides: words for mappings, arms by their
names alone, `extends`, and fields left to the recipe that is extended. `lrbench check` says more: what
fields mean together, and whether data and models are there.
"""

from __future__ import annotations

from typing import Any

from lrbench.methods.presets import BY_NAME
from lrbench.recipe.fields import EXTENDS
from lrbench.recipe.schema import Recipe
from lrbench.recipe.selecting import VALIDATION
from lrbench.suites.shipped import SHIPPED

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string"}
# Keys of ours in the schema, which say what words a mapping may be written as, and whether only these.
OWN = ("words", "whole", "packages")


def editor_schema() -> dict[str, Any]:
    """The schema, as JSON values."""
    schema: dict[str, Any] = _widened(Recipe.model_json_schema())
    definitions = schema["$defs"]
    definitions["ArmDeclaration"] = {"anyOf": [{"enum": list(BY_NAME)}, definitions["ArmDeclaration"]]}
    definitions["Controls"] = {"anyOf": [TEXT, definitions["Controls"]]}
    definitions["SelectOn"] = {"anyOf": [{"const": VALIDATION}, definitions["SelectOn"]]}
    for section, field in (("Evaluation", "suite"), ("Measure", "forgetting")):
        fields = definitions[section]["properties"]
        fields[field] = {"anyOf": [{"enum": sorted(SHIPPED)}, TEXT, fields[field]]}
    schema["properties"][EXTENDS] = TEXT | {"description": "Another recipe file, whose fields these replace."}
    return {"$schema": DIALECT, "title": "lrbench recipe"} | schema


def _widened(node: Any) -> Any:
    if isinstance(node, list):
        return [_widened(item) for item in node]
    if not isinstance(node, dict):
        return node
    # What is missing may stand in the recipe that is extended.
    kept = {name: _widened(value) for name, value in node.items() if name not in (*OWN, "required")}
    if "words" not in node:
        return kept
    # Editors complete the words; installed packages may know more of them.
    return {"anyOf": [{"enum": node["words"]}, TEXT, kept]}
