"""docs/methods.md has the card of every related system, as its data say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.methods.neighbours import NEIGHBOURS, Neighbour
from lrbench.methods.presets import uses_labels

TEXT = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda neighbour: neighbour.preset.name)
def test_every_related_system_has_its_card(neighbour: Neighbour) -> None:
    card = TEXT.partition(f"\n## `{neighbour.preset.name}`\n")[2].partition("\n## ")[0]
    said = {True: "yes", False: "no"}
    assert card.startswith(f"\n{neighbour.title}.\n")
    for row in (
        f"| source | {neighbour.source} |",
        f"| implemented | {neighbour.implemented} |",
        f"| deviations | {neighbour.deviations} |",
        f"| uses labels | {said[uses_labels(neighbour.preset.name)]} |",
        f"| uses another model | {said[neighbour.uses_another_model]} |",
    ):
        assert row in card
    assert "| embedded | " in card
