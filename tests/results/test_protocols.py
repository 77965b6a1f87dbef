"""What two protocols differ in is listed field by field."""

from __future__ import annotations

from lrbench.results.protocols import Difference, differing_fields, differing_suites

PROTOCOL = {"task": {"name": "chain", "version": 1}, "limit": 100, "decoding": "greedy"}


def test_equal_protocols_differ_in_nothing():
    assert differing_fields(PROTOCOL, dict(reversed(PROTOCOL.items()))) == []


def test_a_field_is_named_by_its_path_with_both_values():
    other = PROTOCOL | {"task": {"name": "chain", "version": 2}, "limit": None}
    assert differing_fields(PROTOCOL, other) == [
        Difference("limit", "100", "null"),
        Difference("task.version", "1", "2"),
    ]


def test_a_field_that_one_lacks_is_absent_and_not_null():
    assert differing_fields(PROTOCOL, {**PROTOCOL, "dtype": None}) == [Difference("dtype", "absent", "null")]


def test_one_and_true_and_the_text_one_are_different_values():
    assert [(d.first, d.second) for d in differing_fields({"a": 1}, {"a": True})] == [("1", "true")]
    assert [(d.first, d.second) for d in differing_fields({"a": 1}, {"a": "1"})] == [("1", '"1"')]


def test_what_benchmarks_share_is_listed_once():
    first = {"a": {"limit": 100, "version": 1}, "b": {"limit": 100, "version": 1}}
    second = {"a": {"limit": 50, "version": 1}, "b": {"limit": 50, "version": 2}}
    assert differing_suites(first, second) == [
        Difference("limit", "100", "50", ("a", "b")),
        Difference("version", "1", "2", ("b",)),
    ]


def test_benchmarks_that_only_one_suite_has_come_first():
    (difference,) = differing_suites({"a": {}, "b": {}}, {"a": {}})
    assert difference == Difference("benchmarks", '["a","b"]', '["a"]')
