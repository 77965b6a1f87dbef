"""Rows of a user's own file, whose fields a recipe has names for; every mistake with its place.

Training problems and the items of a suite are read by this alone, so that a file can be either as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrbench.data.faults import Faults
from lrbench.data.tables import read_table
from lrbench.errors import DataError
from lrbench.recipe.messages import did_you_mean, excerpt, found
from lrbench.store.strict_json import number_text

ID = "id"


def rows_with_ids(
    paths: Sequence[Path], id_field: str | None, faults: Faults
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every row of the files that are one table, as its place, its id and its fields.

    The id is what `id_field` holds; without one, what `id` holds, or where there is none, the row's number.
    A row that is none, or whose id stands twice, is noted among the `faults`. Raises `DataError` for a file
    that cannot be read.
    """
    places: dict[str, str] = {}
    rows = (row for path in paths for row in read_table(path, faults))
    for number, (place, raw) in enumerate(rows, start=1):
        with faults.noted():
            row_id = _id(place, raw, number, id_field)
            first = places.setdefault(row_id, place)
            if first != place:
                raise DataError(f"{place}: the id {excerpt(row_id)} is that of {first} already")
            yield place, row_id, raw


def value_in(place: str, raw: Mapping[str, Any], name: str) -> Any:
    """What the field `name` holds. Raises `DataError` where the row has no such field, or null in it."""
    if raw.get(name) is None:
        there = ", ".join(f"`{excerpt(str(field))}`" for field in raw)
        hint = did_you_mean(name, map(str, raw))
        raise DataError(
            f"{place}: has no `{excerpt(name)}`; its fields are {there or 'none'}"
            f"{hint or '; `fields` can say which of them it is'}"
        )
    return raw[name]


def text_in(place: str, raw: Mapping[str, Any], name: str, empty: bool = False) -> str:
    """A field as text: a number is its digits. Raises `DataError` for anything else, and unless it may be
    `empty`, for a text without letters.
    """
    value = value_in(place, raw, name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{place}: `{excerpt(name)}` has to be text or a number, found {found(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{place}: `{excerpt(name)}` is {value}, which is no number")
    text = value if isinstance(value, str) else number_text(value)
    if not empty and not text.strip():
        raise DataError(f"{place}: `{excerpt(name)}` is empty")
    return text


def _id(place: str, raw: Mapping[str, Any], number: int, field: str | None) -> str:
    if field is None and raw.get(ID) is None:
        return str(number)
    return text_in(place, raw, field or ID)
