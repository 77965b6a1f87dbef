"""What differs between two protocols, so that a reader sees why two results cannot be ranked together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrbench.store.keys import canonical_json

ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """A field in which two protocols differ: its dotted path and both values as JSON texts.

    `benchmarks` are those in which it differs so; empty where no benchmark is meant.
    """

    field: str
    first: str
    second: str
    benchmarks: tuple[str, ...] = ()


def differing_fields(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Where the protocols of two scores differ, by field path; a field that one lacks is `absent`."""
    flat_first, flat_second = _flatten(first), _flatten(second)
    return [
        Difference(field, flat_first.get(field, ABSENT), flat_second.get(field, ABSENT))
        for field in sorted({*flat_first, *flat_second})
        if flat_first.get(field) != flat_second.get(field)
    ]


def differing_suites(
    first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> list[Difference]:
    """Where two suites' protocols (benchmark -> protocol) differ.

    What several benchmarks share is listed once. Benchmarks that only one suite has come first; where no
    benchmark is in both, the first of each are held against each other.
    """
    shared: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for benchmark in first:
        if benchmark in second:
            for found in differing_fields(first[benchmark], second[benchmark]):
                shared[found.field, found.first, found.second].append(benchmark)
    differences = [Difference(*values, tuple(benchmarks)) for values, benchmarks in shared.items()]
    if first and second and not first.keys() & second.keys():
        # Nothing is measured by both: the first of each stands for how the others are.
        differences += differing_fields(next(iter(first.values())), next(iter(second.values())))
    if set(first) != set(second):
        differences.insert(
            0, Difference("benchmarks", canonical_json(list(first)), canonical_json(list(second)))
        )
    return differences


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted path -> JSON text of every leaf; an empty mapping is a leaf."""
    leaves: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            leaves |= _flatten(item, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = canonical_json(item)
    return leaves
