"""A recipe as text that says everything, and as a hash of what can change its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lrbench.methods.component import Component
from lrbench.methods.fidelity import FIELD
from lrbench.methods.section import Section
from lrbench.recipe.interpolating import escaped
from lrbench.recipe.kinds import Kind, fields_of_kind
from lrbench.recipe.measuring import is_sampled
from lrbench.recipe.schema import EXACT, Recipe
from lrbench.recipe.yaml_nodes import plain_scalar
from lrbench.store.keys import stable_hash


def resolved_yaml(recipe: Recipe) -> str:
    """The complete recipe, every default written out, in the order of the schema.

    It loads back to an equal recipe.
    """
    values = recipe.model_dump(mode="json")
    # An arm's null stands for the recipe's own value, so an arm is complete without it.
    values["arms"] = _without_nulls(values["arms"])
    if recipe.seeds is not None:
        del values["seed"]
    return written_yaml(values)


def written_yaml(values: Mapping[str, Any]) -> str:
    """A recipe's values as text that loads back to them."""
    text: str = yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def _without_nulls(value: Any) -> Any:
    """`value` without the null and empty fields of its mappings, at every depth."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        inner = {name: _without_nulls(item) for name, item in value.items()}
        return {name: item for name, item in inner.items() if item is not None and item != {}}
    return value


def recipe_hash(recipe: Recipe) -> str:
    """64 hexadecimal digits that differ when, and only when, a field differs that can change a result.

    What is null or empty is left out, so that a field a later version adds, null where it is not used,
    leaves the hashes of earlier recipes as they were. So is a word that says as much as null, and a fidelity
    that is no deviation; and what null means for an aligned pair is written out. How many rows are written at
    once counts where the expert's arithmetic rounds so much that it decides what is measured.
    """
    fields = output_fields(recipe)
    if fields["measure"] is not None:
        fields["measure"] = _deciding(fields["measure"])
    if not recipe.fidelity.hazards:
        fields = {name: value for name, value in fields.items() if name != FIELD}
    pair = {name: value for name, value in fields["pair"].items() if (name, value) != ("align", "ids")}
    if recipe.pair.align == "tokens":
        pair["least_mass"] = recipe.pair.needed_mass
    if recipe.pair.expert.dtype != EXACT:
        fields["batch_size"] = recipe.runtime.batch_size
    return stable_hash(_without_nulls(fields | {"pair": pair}))


def _deciding(measure: dict[str, Any]) -> dict[str, Any]:
    """What of `measure` is asked for: how answers would be sampled is nothing to those that are not.

    Traces that are not asked for are left out, as recipes had no such field once.
    """
    always = ("forgetting", "traces", "weighed_by", "repeats")
    asked = measure if is_sampled(measure) else {name: measure[name] for name in always}
    return {name: value for name, value in asked.items() if (name, value) != ("traces", False)}


def output_fields(section: Section) -> dict[str, Any]:
    """The JSON values of `section` without labels and runtime fields, at every depth."""
    kept = fields_of_kind(type(section), Kind.OUTPUT)
    return {name: _output(getattr(section, name)) for name in type(section).model_fields if name in kept}


def _output(value: Any) -> Any:
    if isinstance(value, Component):
        return value.model_dump(mode="json")
    if isinstance(value, Section):
        return output_fields(value)
    if isinstance(value, tuple):
        return [_output(item) for item in value]
    if isinstance(value, dict):
        return {name: _output(item) for name, item in value.items()}
    return value


class _Dumper(yaml.SafeDumper):
    """Writes text so that both our reading of plain scalars and YAML 1.1's give the same text again."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    written = escaped(text)
    # Without quotes some text would be a number, and rarer line ends would become ordinary ones.
    style = None if isinstance(plain_scalar(written), str) and written.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", written, style=style)


_Dumper.add_representer(str, _text)
