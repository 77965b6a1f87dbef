"""Objectives that do not fit the rest of their arm, or of the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrbench.methods.component import EXPERT, Component
from lrbench.methods.inert import HERE
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.objectives import Dpo
from lrbench.methods.pairs import Paired
from lrbench.methods.readings import PAIR
from lrbench.methods.selectors import All
from lrbench.methods.sources import Solutions
from lrbench.methods.targets import OwnToken
from lrbench.recipe.arms import UNITS, Arm
from lrbench.recipe.hazards import written_at
from lrbench.recipe.messages import Path
from lrbench.recipe.schema import ArmDeclaration, Recipe

Finding = tuple[Path, str]


def objective_problems(recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]) -> Iterator[Finding]:
    """What keeps the model in training from writing what it learns from, where an arm asks for that."""
    places = {declaration.name: place for place, declaration in enumerate(recipe.arms)}
    fidelities = written_at(recipe.arms)
    for arm in arms:
        if arm.ingredients is None:
            continue
        declaration, path = recipe.arms[places[arm.name]], ("arms", places[arm.name])
        where: Path = (*path, "objective") if declaration.objective is not None else path
        yield from ((where, wrong) for wrong in _unpaired(arm, arm.ingredients))
        if not arm.ingredients.objective.writes:
            continue
        if arm.ingredients.objective.policy is not None:
            yield from ((where, wrong) for wrong in _not_rewarded(arm.ingredients))
        else:
            yield from ((where, wrong) for wrong in _not_rewritten(arm, sections))
        engine = sections["sampling"].engine.name if "sampling" in sections else HERE
        if engine != HERE:
            yield (
                where,
                f"the arm `{arm.name}` learns from what it writes meanwhile, and the engine `{engine}` "
                f"cannot take new weights while it trains; set sampling.engine.name to {HERE}",
            )
        if arm.fidelity.hazards:
            yield (
                fidelities[arm.name],
                f"the arm `{arm.name}` learns from what it writes meanwhile, which the public scripts do not "
                "do; give that arm another fidelity",
            )
        budget = arm.training.budget
        if budget.tuned_tokens is not None or budget.on == "tuned_tokens":
            own = declaration.training.budget
            mine = own.tuned_tokens is not None or own.on == "tuned_tokens"
            field = "tuned_tokens" if budget.tuned_tokens is not None else "on"
            yield (
                (*path, "training", "budget", field) if mine else ("training", "budget", field),
                f"the arm `{arm.name}` learns from what it writes meanwhile, of which nobody knows before "
                "how many tokens there will be; limit its updates, problems or seconds",
            )


def _unpaired(arm: Arm, ingredients: Ingredients) -> Iterator[str]:
    """Pairs that are learnt from otherwise, and what else does not go with them."""
    paired = isinstance(ingredients.source, Paired)
    if ingredients.objective.preference is None:
        if paired:
            yield (
                f"the source {ingredients.source.label} gives pairs, of which one answer shall not be "
                f"learnt; they are for `objective: {{{Dpo.word}: ...}}`"
            )
        return
    if not paired:
        yield (
            f"{Dpo.word} learns from pairs, and the source {ingredients.source.label} gives none; write "
            "`source: {pairs: right_wrong, writer: expert, samples: 8}`, or one with `chosen` and `rejected`"
        )
    if not (isinstance(ingredients.selector, All) and isinstance(ingredients.target, OwnToken)):
        yield (
            f"whole answers are preferred to each other, so the selector has to be `{All.word}` and the "
            f"target `{OwnToken.word}`; `like: {Dpo.word}` has both"
        )
    rollouts = arm.training.rollouts_per_update
    if rollouts is None or rollouts % 2:
        yield (
            f"an update of {Dpo.word} takes whole pairs, so training.rollouts_per_update has to be an even "
            f"number, and is {'not given' if rollouts is None else rollouts}"
        )
    if arm.fidelity.at("train").hazards:
        yield (f"the public scripts know no pairs; give the arm `{arm.name}` the fidelity `corrected`")


def _not_rewarded(ingredients: Ingredients) -> Iterator[str]:
    """Words of an arm that do not go with rewards for whole answers."""
    needed: tuple[tuple[str, Component, bool], ...] = (
        # A source that is the same in other words is as good.
        (Solutions.word, ingredients.source, ingredients.source.stage == Solutions().stage),
        (All.word, ingredients.selector, isinstance(ingredients.selector, All)),
        (OwnToken.word, ingredients.target, isinstance(ingredients.target, OwnToken)),
    )
    for word, (expected, found, fits) in zip(("source", "selector", "target"), needed, strict=True):
        if not fits:
            yield (
                f"rewards are for whole answers that the model samples, so the {word} has to be "
                f"`{expected}`, and is {found.label}; `like: grpo` has all three words"
            )


def _not_rewritten(arm: Arm, sections: Mapping[str, Any]) -> Iterator[str]:
    """What of an arm asks for more than the rollouts that the model in training has just written."""
    ingredients = arm.ingredients
    assert ingredients is not None
    if not ingredients.source.by_learner:
        yield (
            "with `online` the model in training writes, as the expert does at first, and the source is "
            f"{ingredients.source.label}; take `greedy`, `solutions` or `{{writer: {EXPERT}, ...}}`"
        )
    if not ingredients.selector.decides_alone or ingredients.continuings:
        yield (
            "with `online` there are only the rollouts that are just written, and the selector "
            f"({ingredients.selector.label}) looks at more than those; give a signal `above` or `below` a "
            "number, or keep all"
        )
    if arm.training.rollouts_per_update is None:
        yield (
            "with `online` an update takes whole rollouts that are written for it; give "
            f"`training.rollouts_per_update` for the arm `{arm.name}`"
        )
    if ingredients.target.leaves_out_odd:
        yield (
            "with `online` there are only the rollouts that are just written, which do not say what is odd; "
            "leave `leave_out_odd` out"
        )
    pair = sections.get("pair")
    if pair is not None and pair.align == "tokens" and PAIR in ingredients.readings:
        yield (
            "with `online` models are compared id by id, and `pair.align` is `tokens`; take a pair "
            "with the same tokens, or leave `online` out"
        )


def ignored_units(arms: Sequence[Arm], declarations: Sequence[ArmDeclaration]) -> Iterator[Finding]:
    """An arm's own unit of an update, where its objective says how much one takes."""
    for place, (declaration, arm) in enumerate(zip(declarations, arms, strict=True)):
        policy = None if arm.ingredients is None else arm.ingredients.objective.policy
        for unit in UNITS:
            if policy is not None and getattr(declaration.training, unit) is not None:
                message = "ignored, because the objective says how many problems an update takes"
                yield ("arms", place, "training", unit), message
