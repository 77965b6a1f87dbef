"""What a recipe field may change: the output, only the way there, or nothing but words.

Law 1 (identity): a stage's key holds every field that can change its output and no other. Each
schema field is of one kind; fields are `OUTPUT` unless marked `Runtime` or `Label`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


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
