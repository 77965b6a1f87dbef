"""What a recipe field may change: the output, only the way there, or nothing but words.

Law 1 (identity): a stage's key holds every field that can change its output and no other. Each
schema field is of one kind; fields are `OUTPUT` unless marked `Runtime` or `Label`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, get_args

from pydantic import BaseModel

from lrbench.methods.component import Component


class Kind(StrEnum):
    """The three kinds of recipe field."""

    OUTPUT = "output"
    RUNTIME = "runtime"
    LABEL = "label"


def fields_of_kind(model: type[BaseModel], kind: Kind) -> set[str]:
    """Names of `model`'s own fields that are marked as `kind`."""
    return {
        name
        for name, field in model.model_fields.items()
        if next((mark for mark in field.metadata if isinstance(mark, Kind)), Kind.OUTPUT) is kind
    }


def kind_at(model: type[BaseModel], path: Sequence[str | int]) -> Kind:
    """The kind of the field at `path` below `model`: that of the first marked field on the way, or output."""
    for part in path:
        if issubclass(model, Component):
            # What a component holds is part of what it is.
            return Kind.OUTPUT
        if isinstance(part, int):
            continue
        kind = next((kind for kind in Kind if part in fields_of_kind(model, kind)), Kind.OUTPUT)
        if kind is not Kind.OUTPUT:
            return kind
        written = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _model_in(written[part].annotation) or model
    return Kind.OUTPUT


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field of this type holds, behind lists and `or null`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
