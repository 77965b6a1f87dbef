"""The known arms, and how an arm's declaration becomes a complete arm.

An arm is data: source x selector x target x objective x change x answer (DESIGN, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.methods.answers import Answer
from lrbench.methods.changes import Edit
from lrbench.methods.component import ARM
from lrbench.methods.fidelity import CORRECTED, Fidelity
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.presets import BY_NAME, PLAIN, UNTRAINED
from lrbench.methods.section import Section
from lrbench.methods.selector import Selector
from lrbench.recipe.schema import (
    ArmDeclaration,
    Budget,
    Divergence,
    Recipe,
    Training,
)

# What an update takes: one of the two.
UNITS = ("rollouts_per_update", "steps_per_update")


@dataclass(frozen=True)
class Arm:
    """A complete arm: what it learns from, None where it is not trained, and what writes its answers.

    `fidelity` says which habits of the public scripts it is made with; without training there are none.
    `start` is the arm whose adapter its own begins as, `edit` what of the expert is changed without training.
    """

    name: str
    ingredients: Ingredients | None
    divergence: Divergence
    training: Training
    answer: Answer = PLAIN
    fidelity: Fidelity = CORRECTED
    start: str | None = None
    edit: Edit | None = None

    @property
    def is_expert(self) -> bool:
        """Whether it is the expert as it is: neither trained, nor answering in any other way."""
        return self.ingredients is None and self.edit is None and not self.answer.identity

    @property
    def is_random(self) -> bool:
        """Whether a seed decides anything of it: it, its route, or an arm that it answers with is trained."""
        learnt = self.ingredients is not None or self.answer.learnt is not None
        return learnt or any(name.startswith(ARM) for name in self.answer.models)

    @property
    def models(self) -> frozenset[str]:
        """Every model that it reads, by name."""
        learning = frozenset() if self.ingredients is None else self.ingredients.models
        start = frozenset() if self.start is None else frozenset({ARM + self.start})
        return learning | start | self.answer.models


def resolve_arm(recipe: Recipe, declaration: ArmDeclaration) -> Arm:
    """The complete arm that `declaration` stands for within `recipe`.

    Raises `ValueError` with a message for the user when the declaration cannot be completed.
    """
    like = declaration.like or declaration.name
    if like not in BY_NAME:
        raise ValueError(f"{like!r} is not a known arm; known are: {', '.join(BY_NAME)}")
    known = BY_NAME[like]
    own = {word: getattr(declaration, word) for word in Ingredients.model_fields}
    own = {word: value for word, value in own.items() if value is not None}
    divergence, training = _given(declaration.divergence), _given(declaration.training)
    fidelity = recipe.fidelity if declaration.fidelity is None else declaration.fidelity
    edit = known.edit
    if isinstance(declaration.change, Edit):
        if known.ingredients is not None:
            raise ValueError(
                f"`change: {declaration.change.word}` is made without training, and the arm `{like}` is "
                f"trained; say `like: {UNTRAINED.name}`"
            )
        edit = declaration.change
        del own["change"]
    beside = (declaration.fidelity, declaration.start)
    if known.ingredients is None and (own or divergence or training or beside != (None, None)):
        raise ValueError(
            f"the arm `{like}` is the expert, which is not trained; it takes no settings but `answer`, and a "
            "`change` that is made without training"
        )
    ingredients = None if known.ingredients is None else known.ingredients.model_copy(update=own)
    merged = _merged_training(recipe.training, training, declaration.name)
    if ingredients is not None and ingredients.objective.policy is not None:
        # It says itself how much an update takes.
        merged = merged.model_copy(update=dict.fromkeys(UNITS))
    return Arm(
        name=declaration.name,
        ingredients=ingredients,
        divergence=recipe.divergence.model_copy(update=divergence),
        training=merged,
        answer=known.answer if declaration.answer is None else declaration.answer,
        fidelity=CORRECTED if known.ingredients is None else fidelity,
        start=declaration.start,
        edit=edit,
    )


def matched(arm: Arm, arms: Sequence[Arm]) -> Ingredients:
    """What a trained arm learns from; an arm that it matches is there with its selector and thresholds."""

    def selector_of(name: str) -> Selector:
        other = next(other for other in arms if other.name == name)
        return matched(other, arms).completed(other.divergence).selector

    assert arm.ingredients is not None
    selector = arm.ingredients.selector.matching(selector_of)
    return arm.ingredients.model_copy(update={"selector": selector})


def completed(arm: Arm, arms: Sequence[Arm], seed: int) -> Ingredients:
    """What a trained arm learns from, with nothing left open: no threshold, no seed and no arm to match."""
    ingredients = matched(arm, arms).completed(arm.divergence)
    return ingredients.model_copy(update={"selector": ingredients.selector.seeded(seed)})


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
    replaced = dict.fromkeys(UNITS) if any(unit in given for unit in UNITS) else {}
    lora = training.lora.model_copy(update=given.get("lora", {}))
    budget = Budget(**given["budget"]) if "budget" in given else _for_others(training.budget, arm)
    return training.model_copy(update=replaced | given | {"lora": lora, "budget": budget})


def _for_others(budget: Budget, arm: str) -> Budget:
    """The recipe's budget as it holds for `arm`: the arm that all others are matched to is not itself."""
    return budget.model_copy(update={"match": None, "on": None}) if budget.match == arm else budget
