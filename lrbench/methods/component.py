"""What all components of an arm have in common: a name, an identity, words for people, and what they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_serializer, model_validator

from lrbench.methods.section import Section

# The models of a recipe's pair, by the names under which components speak of them.
EXPERT = "expert"
AMATEUR = "amateur"
# Before the name of an arm: the expert with that arm's adapter.
ARM = "arm:"


class Component(Section):
    """One value of one of an arm's words. `word` is what a recipe writes for it.

    A component that is written without settings is written as its word alone, and is dumped as that.
    """

    word: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _word_alone(cls, value: object) -> object:
        return {} if value == cls.word else value

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        for name, field in type(self).model_fields.items():
            if field.is_required() or getattr(self, name) != field.default:
                return handler(self)
        return self.word

    @classmethod
    def is_meant_by(cls, written: Mapping[Any, Any]) -> bool:
        """Whether a mapping of a family that is told by the first field is one of this class."""
        return next(iter(cls.model_fields)) in written

    @property
    def label(self) -> str:
        """What it is, for people: a few words without an article."""
        return self.word.replace("_", " ")

    @property
    def identity(self) -> Mapping[str, Any]:
        """Every fact about it that can change what a stage makes, under the names of the stage's identity."""
        raise NotImplementedError

    @property
    def models(self) -> frozenset[str]:
        """The models it reads, by name: `expert`, `amateur`, one of the recipe's `models`, or `arm:NAME`."""
        return frozenset()
