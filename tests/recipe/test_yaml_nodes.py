"""YAML that is broken, hostile or read differently by different tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lrbench.recipe.messages import Position, Problem
from lrbench.recipe.nodes import plain
from lrbench.recipe.yaml_nodes import MAX_DEPTH, compose, plain_scalar


def composed(text: str) -> tuple[Any, list[str]]:
    problems: list[Problem] = []
    node = compose(text, lambda line, column: Position("r.yaml", line + 1, column + 1), problems)
    return (None if node is None else plain(node)), [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("2E3", 2000.0),
        ("1_000", 1000),
        ("-7", -7),
        (".5", 0.5),
        ("3.", 3.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("_1", "_1"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_a_plain_scalar_is_read_as_yaml_1_2_reads_it(text: str, value: object) -> None:
    read = plain_scalar(text)
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert plain_scalar(".nan") != plain_scalar(".nan")


def test_a_quoted_scalar_is_text() -> None:
    assert composed("a: '5'\nb: \"true\"\nc: ''") == ({"a": "5", "b": "true", "c": ""}, [])


def test_small_anchors_and_aliases_stand_for_what_they_name() -> None:
    assert composed("a: &x [1, 2]\nb: *x") == ({"a": [1, 2], "b": [1, 2]}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "r.yaml:3:1: a: given twice; first at r.yaml:1:1"),
        ("a:\n  b: 1\n  b: 1\n", "r.yaml:3:3: b: given twice; first at r.yaml:2:3"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "r.yaml:1:4: found the tag `tag:yaml.org,2002:python/object/apply:os.system`; "
            "a recipe holds plain values, without tags",
        ),
        (
            "a: !!int '5'\n",
            "r.yaml:1:4: found the tag `tag:yaml.org,2002:int`; a recipe holds plain values, without tags",
        ),
        (
            "? [a, b]\n: 1\n",
            "r.yaml:1:3: a field's name must be text, not a list or mapping",
        ),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            "r.yaml:3:3: <<: merge keys are not supported; repeat the mapping by an alias, or use `extends`",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "r.yaml:2:1: a second YAML document begins here; a recipe is one document, without `---`",
        ),
        ("a: &x [*x]\n", "r.yaml:1:8: the alias `*x` stands inside what it names, without an end"),
        ("a: *nowhere\n", "r.yaml:1:4: not valid YAML: found undefined alias"),
        (
            "a:\n\tb: 1\n",
            "r.yaml:2:1: not valid YAML: while scanning for the next token, found character that cannot "
            "start any token (tabs cannot indent YAML; use spaces)",
        ),
        (
            "a: [1, 2\nb: 3\n",
            "r.yaml:2:2: not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'",
        ),
        ("a: 1\nb: x\x00\n", "r.yaml:2:5: the character U+0000 is not allowed in YAML"),
        (
            "a: " + "[" * 40 + "]" * 40,
            f"r.yaml:1:{3 + MAX_DEPTH}: nested more than {MAX_DEPTH} levels deep",
        ),
    ],
)
def test_yaml_that_is_no_recipe_is_refused_where_it_goes_wrong(text: str, problem: str) -> None:
    assert composed(text)[1] == [problem]


def test_aliases_that_explode_are_refused_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 60)]
    _, problems = composed("\n".join(lines))
    assert problems == ["r.yaml:4:55: more than 10000 values (aliases count as what they stand for)"]


def test_a_tower_of_aliases_is_as_deep_as_what_it_stands_for() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 2000)]
    _, problems = composed("\n".join(lines))
    assert problems == [f"r.yaml:{MAX_DEPTH - 1}:12: nested more than {MAX_DEPTH} levels deep"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_without_end_is_refused_and_never_overflows(opening: str) -> None:
    _, problems = composed(opening * 100_000)
    assert len(problems) == 1


def test_every_duplicate_and_tag_is_reported_at_once(refusal: Callable[..., list[str]], small: str) -> None:
    assert refusal(small + "seed: !!int 1\nname: other\n") == [
        "r.yaml:19:1: seed: given twice; first at r.yaml:2:1",
        "r.yaml:19:7: found the tag `tag:yaml.org,2002:int`; a recipe holds plain values, without tags",
        "r.yaml:20:1: name: given twice; first at r.yaml:1:1",
    ]
