"""What the embedded world was frozen by holds for the models that ship."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.world.answering import Asked, World
from experiments.world.properties import (
    BASE,
    DECISIONS,
    FIRST_FORCED,
    GATED,
    LONG,
    TAUGHT,
    WAYS,
    Kept,
    Properties,
    measure,
)
from lrbench.embedded.assets import FAMILIES, ROOT

KEPT = Kept(
    steps=1000,
    rollouts=40,
    share=0.2,
    at_first=0.15,
    later=4.0,
    low=0.7,
    decisions_kept=1.0,
    decisions_careful=0.0,
    decisions_open=1.0,
)


def made_up(**accuracies: float) -> Properties:
    solved = {way: dict.fromkeys(FAMILIES, 0.5) for way in WAYS}
    solved |= {TAUGHT: dict.fromkeys(FAMILIES, 1.0), GATED: dict.fromkeys(FAMILIES, 0.9)}
    solved |= {way: dict.fromkeys(FAMILIES, value) for way, value in accuracies.items()}
    return Properties(8, solved, KEPT)


def broken(properties: Properties) -> list[str]:
    return [words for words, _, holds in properties.verdicts() if not holds]


def test_a_way_closes_the_share_of_the_distance_that_it_covers() -> None:
    properties = made_up()
    assert properties.closes(BASE, LONG) == 0
    assert properties.closes(GATED, LONG) == pytest.approx(0.8)
    assert properties.closes(TAUGHT, FAMILIES) == 1


def test_a_world_has_all_its_properties_or_is_told_which_it_lacks() -> None:
    assert broken(made_up()) == []
    assert broken(made_up(**{FIRST_FORCED: 0.7})) == ["the first decision forced closes at most a third"]
    assert len(broken(made_up(**{BASE: 0.65}))) == 2
    kept = replace(KEPT, share=0.3, at_first=0.5, later=1.5)
    assert len(broken(replace(made_up(), kept=kept))) == 3


def test_a_decision_is_the_word_that_a_step_begins_with() -> None:
    assert DECISIONS == {"It": "We", " it": " we"}


@pytest.mark.slow
def test_the_world_that_ships_has_its_properties(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing else is read off below.
    ways = {way: WAYS[way] for way in (BASE, TAUGHT, FIRST_FORCED, GATED)}
    monkeypatch.setattr("experiments.world.properties.WAYS", ways)
    world = World(ROOT / "models", {name: name for name in ("expert", "amateur", "careful")})
    properties = measure(world, Asked(LONG, each=32, seed=5))
    # The rule is for more problems than a test has time for; what is far from its bounds holds for fewer.
    assert properties.closes(FIRST_FORCED, LONG) < 0.4
    assert properties.closes(GATED, LONG) > 0.5
    assert 0.25 < properties.accuracy(BASE, LONG) < 0.65
    assert 0.12 < properties.kept.share < 0.28
    assert properties.kept.at_first < 0.25
    assert properties.kept.later > 2
    assert properties.kept.decisions_kept > 0.9
    assert properties.kept.decisions_careful < 0.1
