"""Equal values have one text and one hash; the slightest difference has another."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lrbench.store.canonical import canonical_json, seal, stable_hash, unseal

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
records = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key != "checksum"), values, min_size=1, max_size=4
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [reordered(item) for item in value]
    return value


def leaf_places(value, place=()):
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in leaf_places(item, (*place, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in leaf_places(item, (*place, index))]
    return [place]


def with_leaf(value, place, leaf):
    changed = copy.deepcopy(value)
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = leaf
    return changed


@given(values)
def test_the_text_reads_back_as_the_value(value):
    assert json.loads(canonical_json(value)) == value


@given(values)
def test_the_order_of_keys_changes_nothing(value):
    assert canonical_json(reordered(value)) == canonical_json(value)
    assert stable_hash(reordered(value)) == stable_hash(value)


@given(records, leaves, st.data())
def test_a_change_of_any_leaf_changes_the_hash(record, leaf, data):
    places = leaf_places(record)
    assume(places)
    place = data.draw(st.sampled_from(places))
    changed = with_leaf(record, place, leaf)
    assume(repr(changed) != repr(record))
    assert stable_hash(changed) != stable_hash(record)


def test_a_number_is_not_its_lookalike_of_another_type():
    assert len({stable_hash(value) for value in (1, 1.0, True, "1", [1], None, 0.0, -0.0)}) == 8


def test_neither_whitespace_nor_other_alphabets_are_in_the_text():
    assert canonical_json({"b": [1, 2.5e-05], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5e-05]}'


def test_a_tuple_is_an_array():
    assert canonical_json((1, ("a",))) == canonical_json([1, ["a"]])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"models": [{"files": {1, 2}}]}, r"^models\[0\]\.files is a set, which JSON cannot hold$"),
        ({"model": {"folder": Path("x")}}, r"^model\.folder is a P\w+Path, which JSON cannot hold$"),
        ({"seeds": {0: "a"}}, r"^seeds has the key 0; JSON keys are strings$"),
        (b"bytes", r"^the value is a bytes, which JSON cannot hold$"),
    ],
)
def test_a_value_json_cannot_hold_is_refused_with_its_place(value, message):
    with pytest.raises(TypeError, match=message):
        canonical_json(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_json_cannot_hold_is_refused_with_its_place(number):
    with pytest.raises(ValueError, match=r"^loss\[1\] is -?(nan|inf), which JSON cannot hold$"):
        canonical_json({"loss": [0.5, number]})


def test_the_hash_is_the_same_in_another_process_with_another_hash_seed():
    value = {"pair": ["expert", "amateur"], "alpha": 0.2, "nested": {"z": None, "a": True}}
    program = f"from lrbench.store.canonical import stable_hash; print(stable_hash({value!r}))"
    completed = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.strip() == stable_hash(value)


@given(records, st.sampled_from([None, 1]))
def test_a_sealed_record_reads_back(record, indent):
    assert (
        unseal(
            seal(record, indent).strip("\n").encode() if indent is None else seal(record, indent).encode(),
            indent,
        )
        == record
    )


@given(records, st.sampled_from([None, 1]), st.data())
def test_one_changed_byte_breaks_the_seal(record, indent, data):
    sealed = bytearray(seal(record, indent).encode())
    offset = data.draw(st.integers(0, len(sealed) - 1))
    sealed[offset] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):  # noqa: PT011 (json, utf-8 and the checksum each have their own words)
        unseal(bytes(sealed), indent)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"checksum":"0"}', "\0\0\0"])
def test_what_was_never_sealed_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        unseal(text.encode())
