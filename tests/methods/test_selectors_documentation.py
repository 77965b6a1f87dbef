"""docs/selectors.md has a row for every signal, and its examples are what they are said to be."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from lrbench.methods.attempts import Attempt
from lrbench.methods.continued import Continued
from lrbench.methods.selectors import Rule, read_selector
from lrbench.methods.signals import SIGNALS

TEXT = (Path(__file__).parents[2] / "docs" / "selectors.md").read_text(encoding="utf-8")


def test_every_signal_has_a_row_with_the_readers_it_takes() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| ?(.*?) ?\|$", TEXT, re.MULTILINE))
    readers = {0: "", 1: "`of`", 2: "`of`, `over`"}
    assert rows == {word: readers[signal.readers] for word, signal in SIGNALS.items()}


def test_every_example_is_a_selector() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    arms = [arm for block in blocks for arm in yaml.safe_load(block)["arms"] if isinstance(arm, dict)]
    found = [type(read_selector(arm["selector"])) for arm in arms]
    assert found == [*[Rule] * 4, *[Continued] * 2, Rule, *[Attempt] * 2]
