"""How a written value finds its component: a bare word, or a mapping that its telling field gives away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lrbench.methods.component import Component
from lrbench.methods.plugins import Offer, kind_of, offered

# Begins the part of an error's path that says which class a value was held to; no field's name does.
CLASS_MARK = "<"
PLUGIN_TAG = f"{CLASS_MARK}plugin"


@dataclass(frozen=True)
class Family:
    """The components that one of an arm's words can be, as an annotation of a recipe's field.

    A component without required fields is written as its `word`. Any other is written as a mapping: told by
    the value of the field `by`, or without `by` by its first field, which is then required. A list is held to
    the component `listed`, where there is one. With a `base`, classes of it that installed packages offer are
    written in the same way; they are looked for when a value is none of `components`. Where packages cannot
    add any, `closed` says why, to whoever writes the word of one that is offered all the same.
    """

    components: tuple[type[Component], ...]
    by: str | None = None
    listed: type[Component] | None = None
    base: type[Component] | None = None
    closed: str | None = None

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What installed packages add, with what is wrong with it."""
        if self.base is None:
            return ()
        taken = {component.word for component in self._own}
        return tuple(map(self._held, offered(self.base, taken)))

    @property
    def words(self) -> list[str]:
        """What may be written instead of a mapping."""
        return [component.word for component in self._known() if _stands_alone(component)]

    def find(self, value: object) -> type[Component] | None:
        """The class that a written `value` is held to, or None where it is none of them."""
        if isinstance(value, Component):
            return next((known for known in self._known(self._own) if known is type(value)), None)
        if isinstance(value, list | tuple):
            return self.listed
        return next((component for component in self._known() if self._means(component, value)), None)

    def read(self, written: object) -> Any:
        """The component that a dumped value stands for.

        Raises `ValueError` where it is none, with what is wrong with the package that should have it.
        """
        found = self.find(written) or self._completed(written)
        if found is not None:
            return found.model_validate(written)
        unusable = self._unusable(written)
        raise ValueError("there is no such component" if unusable is None else unusable.complaint)

    @property
    def _own(self) -> tuple[type[Component], ...]:
        return self.components if self.listed is None else (*self.components, self.listed)

    def _known(self, own: tuple[type[Component], ...] | None = None) -> Iterator[type[Component]]:
        """Our own, and only then those of packages, which are not imported for who asks for ours."""
        return chain(self.components if own is None else own, self._plugins())

    def _plugins(self) -> Iterator[type[Component]]:
        for offer in self.offers:
            if offer.component is not None and offer.problem is None:
                yield offer.component

    def _completed(self, dumped: object) -> type[Component] | None:
        """The class of one that stands alone, and is a mapping since an arm's own settings were filled in."""
        if not isinstance(dumped, Mapping):
            return None
        return next(
            (known for known in self._known() if next(iter(known.model_fields), None) in dumped), None
        )

    def _held(self, offer: Offer) -> Offer:
        """The offer, or what keeps anybody from writing it."""
        component = offer.component
        if component is None or offer.problem is not None:
            return offer
        if self.closed is not None:
            kind = kind_of(component)
            problem = f"packages can add selectors, targets, answers and graders, and this is of kind {kind}"
            return replace(offer, problem=f"{problem}: {self.closed}")
        if self.by is not None:
            lacks = self.by not in component.model_fields
            return replace(offer, problem=f"it has no field `{self.by}`") if lacks else offer
        if _stands_alone(component):
            return offer
        telling = next(iter(component.model_fields))
        for own in self.components:
            if not _stands_alone(own) and next(iter(own.model_fields)) == telling:
                return replace(
                    offer, problem=f"its first field is `{telling}`, which stands for lrbench's `{own.word}`"
                )
        return offer

    def _unusable(self, value: object) -> Offer | None:
        """What a value asks for that is offered and cannot be used."""

        def means(offer: Offer) -> bool:
            if isinstance(value, Mapping):
                return offer.word in value if self.by is None else value.get(self.by) == offer.word
            return value == offer.word

        return next((offer for offer in self.offers if offer.problem is not None and means(offer)), None)

    def _means(self, component: type[Component], value: object) -> bool:
        if isinstance(value, str):
            return value == component.word and _stands_alone(component)
        if not isinstance(value, Mapping):
            return False
        if self.by is not None:
            return bool(value.get(self.by) == component.word)
        return not _stands_alone(component) and component.is_meant_by(value)

    def _tag(self, value: object) -> str | None:
        found = self.find(value)
        if found is None:
            return None if self._unusable(value) is None else PLUGIN_TAG
        return _tag_of(found) if found in self._own else PLUGIN_TAG

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        choices = {_tag_of(component): handler.generate_schema(component) for component in self._own}
        if self.base is not None:
            choices[PLUGIN_TAG] = core_schema.no_info_plain_validator_function(self.read)
        return core_schema.tagged_union_schema(choices, discriminator=self._tag)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A mapping of every field that one of the components has, and the words that stand alone."""
        properties: dict[str, Any] = {}
        known = list(self._known())
        for component in known:
            if self.by is None and _stands_alone(component):
                continue
            found = handler.resolve_ref_schema(handler(component.__pydantic_core_schema__))
            for name, field in found.get("properties", {}).items():
                there = properties.setdefault(name, field)
                # A field that tells several components apart has the words of all of them.
                if there is not field and (words := _words_of(there)) and (more := _words_of(field)):
                    kept = {word: value for word, value in there.items() if word != "const"}
                    properties[name] = {**kept, "enum": list(dict.fromkeys([*words, *more]))}
        if self.by is not None:
            properties[self.by] = {"enum": [component.word for component in known]}
        mapping: dict[str, Any] = {"type": "object", "properties": properties, "words": self.words}
        if self.base is not None and self.closed is None:
            mapping["packages"] = True
        return mapping if self.listed is None else mapping | {"items": mapping}


def _words_of(field: JsonSchemaValue) -> list[Any]:
    """The words that a field can be, by its schema; none where it can be anything else."""
    found: list[Any] = field.get("enum", [field["const"]] if "const" in field else [])
    return found


def _stands_alone(component: type[Component]) -> bool:
    return not any(field.is_required() for field in component.model_fields.values())


def _tag_of(component: type[Component]) -> str:
    return f"{CLASS_MARK}{component.__name__}"
