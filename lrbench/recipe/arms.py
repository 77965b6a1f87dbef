"""The known arms, and how an arm's declaration becomes a complete arm.

An arm is data: source x selector x target (DESIGN, section 3). There is one objective, the mean of
KL(target || model) over kept steps; with a one-hot target that is the cross-entropy of SFT.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrbench.recipe.schema import (
    ArmDeclaration,
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
    own = {key: value for key, value in _ingredients_given(declaration).items() if value is not None}
    if known is None:
        if own or declaration.training.model_fields_set or declaration.divergence.model_fields_set:
            raise ValueError("the arm `base` is the untrained expert; it takes no settings")
        ingredients = None
    else:
        ingredients = Ingredients(**(vars(known) | own))
    return Arm(
        name=declaration.name,
        ingredients=ingredients,
        divergence=recipe.divergence.model_copy(update=_given(declaration.divergence)),
        training=_merge_training(recipe.training, declaration),
    )


def resolve_arms(recipe: Recipe) -> tuple[Arm, ...]:
    """Every arm of `recipe`, complete, in the order declared."""
    return tuple(resolve_arm(recipe, declaration) for declaration in recipe.arms)


def _ingredients_given(declaration: ArmDeclaration) -> dict[str, str | None]:
    return {
        "source": declaration.source,
        "selector": declaration.selector,
        "target": declaration.target,
    }


def _given(override: object) -> dict[str, object]:
    return {name: getattr(override, name) for name in override.model_fields_set}  # type: ignore[attr-defined]


def _merge_training(training: Training, declaration: ArmDeclaration) -> Training:
    """The recipe's training with the arm's own settings; naming one batch unit replaces the other."""
    given = _given(declaration.training)
    units = {"rollouts_per_update", "steps_per_update"}
    if units & set(given):
        given = dict.fromkeys(units) | given
    return training.model_copy(update=given)
