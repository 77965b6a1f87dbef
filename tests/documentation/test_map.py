"""The map of related systems says where each of them stands, once."""

from __future__ import annotations

import re

from tests.commands import ROOT

TESTS = ROOT / "tests"
# The system that lrbench is about has a number on the map too.
OURS = 35


def test_every_system_stands_on_the_map_once_and_what_holds_it_is_there() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").partition("## The map")[2]
    near = {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*)$", page, re.MULTILINE)}
    others = page.partition("The others, and why")[2]
    far = [int(number) for number in re.findall(r"(?<![\w.])\d{1,3}(?=[ ,:|])", others)]
    assert sorted([*near, OURS, *set(far) - near.keys()]) == list(range(1, 120))
    for row in near.values():
        _, here, _, held, _, _ = row.split("|")
        places = re.findall(r"`([^`]+)`", held)
        assert all((TESTS / place).exists() for place in places)
        assert places or here.strip() != "runs"
