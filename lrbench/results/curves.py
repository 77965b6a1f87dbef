"""Training curves in words: which there are, and what stands at their axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lrbench.results.records import ArmRecord
from lrbench.results.uses import ingredients_of

Points = TypeVar("Points")

# Name in the ledger -> its words, and whether it spans decades. What a loss is counted in goes by the
# objective, and arms of several stand in one picture.
CURVES = {
    "loss": ("loss", False),
    "held_out_perplexity": ("perplexity of held-out solutions", False),
    "reward": ("mean reward of the answers written", False),
    "equal_groups": ("share of groups with equal rewards", False),
    "margin": ("mean margin of pairs", False),
    "preferred": ("share of pairs with a margin above 0", False),
    "completion_tokens": ("mean tokens of an answer written", False),
    "gradient_norm": ("gradient norm", True),
    "learning_rate": ("learning rate", False),
}
# Those that other curves say as well, once a training is over.
_BESIDES = {
    "right": "share of the answers written that are right",
    "written_tokens": "tokens written for an update",
    "steps": "tokens learnt from in an update",
}


def curve_title(name: str, arm: ArmRecord | None = None) -> str:
    """What stands at the axis of a curve; the loss of one `arm` says what it is counted in."""
    if name == "loss" and arm is not None:
        ingredients = ingredients_of(arm)
        return "loss" if ingredients is None else f"loss ({ingredients.objective.loss})"
    return CURVES[name][0] if name in CURVES else _BESIDES.get(name, name.replace("_", " "))


def in_order(curves: Mapping[str, Points]) -> dict[str, Points]:
    """The same curves, as they stand in every picture: those that say the most come first."""
    known = [*CURVES, *_BESIDES]
    return dict(
        sorted(curves.items(), key=lambda item: known.index(item[0]) if item[0] in known else len(known))
    )
