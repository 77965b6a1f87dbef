"""Every identity of docs/architecture.md has its test, which a reader finds by the name that stands there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = {int(row[1]): row[0] for row in re.finditer(r"^\| (\d+) \|.*$", PAGE, re.MULTILINE)}


def test_no_identity_of_a_method_is_left_out() -> None:
    assert sorted(ROWS) == list(range(1, 37))


@pytest.mark.parametrize("number", ROWS)
def test_an_identity_names_tests_that_there_are(number: int) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", ROWS[number])
    assert named
    for file, name in named:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
