"""The known arms, and how an arm's declaration becomes a complete arm.

An arm is data: source x selector x target (DESIGN, section 3). There is one objective, the mean of
KL(target || model) over kept steps; with a one-hot target that is the cross-entropy of SFT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrbench.methods.section import Section
from lrbench.recipe.schema import (
    ArmDeclaration,
    Budget,
    Divergence,
    Recipe,
    Selector,
    Source,
    Target,
    Training,
)


@dataclass(frozen=True)
class Ingredients:
    """What an arm learns from: where rollouts come from, which steps are kept, what is learnt there."""

    source: Source
    selector: Selector
    target: Target

    @property
    def needs_scores(self) -> bool:
        """Whether the amateur has to be run at all."""
        return self.selector == "kl" or self.target == "contrast"


KNOWN_ARMS: dict[str, Ingredients | None] = {
    "base": None,
    "sft": Ingredients("solutions", "all", "own_token"),
    "lightr": Ingredients("greedy", "kl", "contrast"),
    "no_selection": Ingredients("greedy", "all", "contrast"),
    "no_contrast": Ingredients("greedy", "kl", "own_token"),
    "neither": Ingredients("greedy", "all", "own_token"),
    "ground_truth": Ingredients("ground_truth", "all", "own_token"),
}


@dataclass(frozen=True)
class Arm:
    """A complete arm. `ingredients` is None for `base`, which is not trained."""

    name: str
    ingredients: Ingredients | None
    divergence: Divergence
    training: Training


def resolve_arm(recipe: Recipe, declaration: ArmDeclaration) -> Arm:
    """The complete arm that `declaration` stands for within `recipe`.

    Raises `ValueError` with a message for the user when the declaration cannot be completed.
    """
    like = declaration.like or declaration.name
    if like not in KNOWN_ARMS:
        raise ValueError(f"{like!r} is not a known arm; known are: {', '.join(KNOWN_ARMS)}")
    known = KNOWN_ARMS[like]
    own = {key: getattr(declaration, key) for key in ("source", "selector", "target")}
    own = {key: value for key, value in own.items() if value is not None}
    divergence, training = _given(declaration.divergence), _given(declaration.training)
    if known is None and (own or divergence or training):
        raise ValueError("the arm `base` is the untrained expert; it takes no settings")
    return Arm(
        name=declaration.name,
        ingredients=None if known is None else Ingredients(**(vars(known) | own)),
        divergence=recipe.divergence.model_copy(update=divergence),
        training=_merged_training(recipe.training, training, declaration.name),
    )


def resolve_arms(recipe: Recipe) -> tuple[Arm, ...]:
    """Every arm of `recipe`, complete, in the order declared."""
    return tuple(resolve_arm(recipe, declaration) for declaration in recipe.arms)


def _given(override: Section) -> dict[str, Any]:
    """What an override sets: null stands for what is left out, and so does a section without settings."""
    given = {}
    for name in type(override).model_fields:
        value = getattr(override, name)
        value = _given(value) if isinstance(value, Section) else value
        if value is not None and value != {}:
            given[name] = value
    return given


def _merged_training(training: Training, given: dict[str, Any], arm: str) -> Training:
    """The recipe's training with the arm's own settings; naming one batch unit replaces the other."""
    units = ("rollouts_per_update", "steps_per_update")
    replaced = dict.fromkeys(units) if any(unit in given for unit in units) else {}
    lora = training.lora.model_copy(update=given.get("lora", {}))
    budget = Budget(**given["budget"]) if "budget" in given else _for_others(training.budget, arm)
    return training.model_copy(update=replaced | given | {"lora": lora, "budget": budget})


def _for_others(budget: Budget, arm: str) -> Budget:
    """The recipe's budget as it holds for `arm`: the arm that all others are matched to is not itself."""
    return budget.model_copy(update={"match": None, "on": None}) if budget.match == arm else budget
