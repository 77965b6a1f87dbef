"""How a written value finds its component: a bare word, or a mapping that its telling field gives away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lrbench.methods.component import Component

# Begins the part of an error's path that says which class a value was held to; no field's name does.
CLASS_MARK = "<"


@dataclass(frozen=True)
class Family:
    """The components that one of an arm's words can be, as an annotation of a recipe's field.

    A component without required fields is written as its `word`. Any other is written as a mapping: told by
    the value of the field `by`, or without `by` by its first field, which is then required. A list is held to
    the component `listed`, where there is one.
    """

    components: tuple[type[Component], ...]
    by: str | None = None
    listed: type[Component] | None = None

    @property
    def _all(self) -> tuple[type[Component], ...]:
        return self.components if self.listed is None else (*self.components, self.listed)

    @property
    def words(self) -> list[str]:
        """What may be written instead of a mapping."""
        return [component.word for component in self.components if _stands_alone(component)]

    def find(self, value: object) -> type[Component] | None:
        """The class that a written `value` is held to, or None where it is none of them."""
        if isinstance(value, Component):
            return type(value) if type(value) in self._all else None
        if isinstance(value, list | tuple):
            return self.listed
        return next((component for component in self.components if self._means(component, value)), None)

    def _means(self, component: type[Component], value: object) -> bool:
        if isinstance(value, str):
            return value == component.word and _stands_alone(component)
        if not isinstance(value, Mapping):
            return False
        if self.by is not None:
            return bool(value.get(self.by) == component.word)
        return not _stands_alone(component) and next(iter(component.model_fields)) in value

    def _tag(self, value: object) -> str | None:
        found = self.find(value)
        return None if found is None else _tag_of(found)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        choices = {_tag_of(component): handler.generate_schema(component) for component in self._all}
        return core_schema.tagged_union_schema(choices, discriminator=self._tag)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A mapping of every field that one of the components has, and the words that stand alone."""
        properties: dict[str, Any] = {}
        for component in self.components:
            if self.by is None and _stands_alone(component):
                continue
            found = handler.resolve_ref_schema(handler(component.__pydantic_core_schema__))
            for name, field in found.get("properties", {}).items():
                properties.setdefault(name, field)
        if self.by is not None:
            properties[self.by] = {"enum": [component.word for component in self.components]}
        mapping = {"type": "object", "properties": properties, "words": self.words}
        return mapping if self.listed is None else mapping | {"items": mapping}


def _stands_alone(component: type[Component]) -> bool:
    return not any(field.is_required() for field in component.model_fields.values())


def _tag_of(component: type[Component]) -> str:
    return f"{CLASS_MARK}{component.__name__}"
