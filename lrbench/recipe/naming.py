"""Models and arms that arms name: is there such a one, and can it be had before whoever asks for it?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lrbench.methods.answers import OWN
from lrbench.methods.component import AMATEUR, ARM, EXPERT
from lrbench.methods.learner import EARLIER, MOVING
from lrbench.methods.shapes import Correction
from lrbench.methods.source import Source
from lrbench.methods.writers import DATA, Written
from lrbench.recipe.arms import Arm
from lrbench.recipe.measuring import is_sampled
from lrbench.recipe.messages import Path, did_you_mean, excerpt
from lrbench.recipe.schema import ArmDeclaration, Recipe

Finding = tuple[Path, str]

RESERVED = (EXPERT, AMATEUR, *MOVING)


def reference_problems(recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the models and arms that `arms` name, and with the engine that is to serve them."""
    models = sections.get("models") or {}
    for name in models:
        if name in RESERVED:
            yield ("models", name), f"`{name}` is a name that every recipe has; give the model another one"
    names = [declaration.name for declaration in recipe.arms]
    by_name = {arm.name: arm for arm in arms}
    places = {name: ("arms", place) for place, name in enumerate(names)}
    for arm in arms:
        declaration, path = recipe.arms[places[arm.name][1]], places[arm.name]
        for word, named in _named(arm, declaration):
            wrong = _unknown(named, models, names, by_name)
            if wrong is not None:
                # What nobody has written, the known arm has.
                needed = None if word else _needed(named, declaration)
                yield (*path, *word), needed or wrong
        yield from _moving(arm, declaration, path)
        yield from _matching(arm, by_name, path)
        yield from _beginning(arm, by_name, path)
        if arm.ingredients is not None:
            where = (*path, "source") if declaration.source is not None else path
            source, needs_scores = arm.ingredients.source, arm.ingredients.needs_scores
            yield from _source_problems(source, where, sections, needs_scores=needs_scores)
        where = (*path, "answer") if declaration.answer is not None else path
        if is_sampled(sections.get("measure")) and arm.answer.undrawable is not None:
            yield where, arm.answer.undrawable
        if "evaluation" in sections:
            unservable = arm.answer.unservable(sections["evaluation"].engine.name)
            if unservable is not None:
                yield where, f"{unservable} (evaluation.engine.name)"
    yield from _circles(by_name, places)
    yield from _circles_of_adapters(recipe, by_name)


def _source_problems(
    source: Source, where: Path, sections: Mapping[str, Any], *, needs_scores: bool
) -> Iterator[Finding]:
    """Rollouts that the engine cannot write, or of more problems than there are, or that cannot be read."""
    if "sampling" in sections:
        unservable = source.unservable(sections["sampling"].engine.name)
        if unservable is not None:
            yield where, unservable
    there = sections["data"].problems if "data" in sections else None
    for part in source.parts:
        asked = part.first_problems
        if asked is not None and there is not None and asked > there:
            yield where, f"asks {asked:,} problems, and data.problems is {there:,}; raise that, or ask fewer"
    written = [part for part in source.parts if isinstance(part, Written)]
    if DATA in (sections.get("models") or {}) and any(part.is_data for part in written):
        yield where, f"`{DATA}` as a writer is the data set; give the model of that name another one"
    aligned = "pair" in sections and sections["pair"].align == "tokens"
    if aligned and needs_scores and any(isinstance(part.shape, Correction) for part in written):
        message = f"`{Correction.word}` puts answers into prompts, which `pair.align: tokens` builds anew"
        yield where, f"{message}; compare by ids, or learn without a second model"


def unused_models(recipe: Recipe, arms: Sequence[Arm]) -> Iterator[Finding]:
    """Models that are declared and that no arm reads."""
    read = frozenset().union(*(arm.models for arm in arms))
    if recipe.measure is not None and recipe.measure.weighed_by is not None:
        read |= {recipe.measure.weighed_by}
    for name in recipe.models or {}:
        if name not in read:
            yield ("models", name), "ignored, because no arm reads this model"


def _named(arm: Arm, declaration: ArmDeclaration) -> Iterator[tuple[Path, str]]:
    """Every model that a word of the arm names, with where the word stands."""
    words: dict[str, Any] = {"answer": arm.answer}
    if arm.ingredients is not None:
        words |= dict(arm.ingredients)
    for word, component in words.items():
        where: Path = (word,) if getattr(declaration, word) is not None else ()
        for model in sorted(component.models):
            yield where, model
    if arm.start is not None:
        yield ("start",), ARM + arm.start


def _needed(name: str, declaration: ArmDeclaration) -> str:
    """What a recipe has to add for the known arm that a declaration is like."""
    like = declaration.like or declaration.name
    if name.startswith(ARM):
        arm = name.removeprefix(ARM)
        return f"`{like}` reads what the arm `{arm}` has become; add that arm, or name another in its place"
    return (
        f"`{like}` reads a model called `{name}`; say which it is, as in "
        f"`models: {{{name}: {{model: embedded/careful}}}}`"
    )


def _unknown(
    name: str, models: Mapping[str, Any], arms: Sequence[str], by_name: Mapping[str, Arm]
) -> str | None:
    """What is wrong with the name of a model, if anything."""
    if name in RESERVED or name in models:
        return None
    if not name.startswith(ARM):
        known = [EXPERT, AMATEUR, *models]
        hint = did_you_mean(name, [*known, *(f"{ARM}{arm}" for arm in arms)])
        return (
            f"`{excerpt(name)}` is no model of this recipe; its models are {', '.join(known)}, and "
            f"`{ARM}NAME` is the expert with the adapter of that arm{hint}"
        )
    arm = name.removeprefix(ARM)
    if arm not in arms:
        hint = did_you_mean(arm, arms)
        return f"`{excerpt(arm)}` is no arm of this recipe; its arms are {', '.join(arms)}{hint}"
    if arm in by_name and by_name[arm].ingredients is None:
        return f"the arm `{arm}` is not trained, so it has no adapter; name the models that it reads instead"
    return None


def _moving(arm: Arm, declaration: ArmDeclaration, path: Path) -> Iterator[Finding]:
    """The model in training, where an arm reads it and does not learn from what that one writes."""
    if EARLIER in arm.answer.models:
        yield (*path, "answer"), f"`{EARLIER}` is the model in training, and an answer has it as `{OWN}`"
    if arm.ingredients is None or arm.ingredients.objective.rewritten_every is not None:
        return
    for word, component in arm.ingredients:
        for named in sorted(component.models & set(MOVING)):
            where: Path = (word,) if getattr(declaration, word) is not None else ()
            yield (
                (*path, *where),
                f"`{named}` is the model in training, which reads what it writes with `online` alone; give "
                f"the arm `{arm.name}` an objective such as `{{online: 20}}`",
            )


def _matching(arm: Arm, by_name: Mapping[str, Arm], path: Path) -> Iterator[Finding]:
    """An arm that keeps as many steps as another one has to look at the same rollouts."""
    matched = _matched(arm)
    if matched is None or arm.ingredients is None:
        return
    where = (*path, "selector", "match")
    other = by_name.get(matched)
    if other is None:
        hint = did_you_mean(matched, by_name)
        yield where, f"`{excerpt(matched)}` is no arm of this recipe; its arms are {', '.join(by_name)}{hint}"
    elif other.ingredients is None:
        yield where, f"the arm `{matched}` is not trained, so it keeps no steps to match"
    elif other.ingredients.source != arm.ingredients.source:
        yield (
            where,
            f"the arm `{matched}` learns from other rollouts ({other.ingredients.source.label}) than this "
            f"one ({arm.ingredients.source.label}), so its steps cannot be matched",
        )


def _beginning(arm: Arm, by_name: Mapping[str, Arm], path: Path) -> Iterator[Finding]:
    """An adapter that begins as another one has to be of the same shape."""
    other = by_name.get(arm.start or "")
    if other is None or other.ingredients is None:
        return
    for name in ("r", "alpha", "target_modules"):
        own, theirs = getattr(arm.training.lora, name), getattr(other.training.lora, name)
        if (set(own) != set(theirs)) if name == "target_modules" else own != theirs:
            yield (
                (*path, "start"),
                f"the adapter of `{other.name}` has training.lora.{name} {_said(theirs)}, and this arm's "
                f"has {_said(own)}; an adapter begins as one of the same shape",
            )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _circles(by_name: Mapping[str, Arm], places: Mapping[str, Path]) -> Iterator[Finding]:
    """Arms whose steps are matched to each other's in a circle."""
    matches = {name: [other] for name, arm in by_name.items() if (other := _matched(arm))}
    told: set[str] = set()
    for name in matches:
        if name not in told and (way := circle(name, matches)):
            told.update(way)
            yield (
                (*places[name], "selector", "match"),
                f"arms that wait for each other: {' -> '.join([*way, name])}",
            )


def _circles_of_adapters(recipe: Recipe, by_name: Mapping[str, Arm]) -> Iterator[Finding]:
    """Arms that learn from each other's adapters in a circle, or whose budgets close one."""
    reads = {name: _arms_in(_read_to_learn(arm, by_name)) for name, arm in by_name.items()}
    budgets = {name: arm.training.budget.match for name, arm in by_name.items() if arm.ingredients}
    waits = {name: {*reads[name], *filter(None, [match])} for name, match in budgets.items()}
    told: set[str] = set()
    for place, declaration in enumerate(recipe.arms):
        name = declaration.name
        # Where budgets alone wait for each other, that is said of them.
        if name in waits and name not in told and reads[name] and (way := circle(name, waits)):
            told.update(way)
            following = f"{ARM}{[*way, name][1]}"
            words = (where for where, model in _named(by_name[name], declaration) if model == following)
            where = next((where for where in words if where != ("answer",)), ())
            message = f"arms that wait for each other: {' -> '.join([*way, name])}"
            yield ("arms", place, *where), message


def _read_to_learn(arm: Arm, by_name: Mapping[str, Arm]) -> frozenset[str]:
    """The models that are read while `arm` learns, those behind the steps that it matches among them."""
    read: frozenset[str] = frozenset() if arm.ingredients is None else arm.ingredients.models
    if arm.start is not None:
        read |= {ARM + arm.start}
    seen = {arm.name}
    while (other := by_name.get(_matched(arm) or "")) is not None and other.name not in seen:
        seen.add(other.name)
        arm = other
        read |= frozenset() if arm.ingredients is None else arm.ingredients.selector.models
    return read


def _matched(arm: Arm) -> str | None:
    return None if arm.ingredients is None else arm.ingredients.selector.matched_arm


def _arms_in(models: Collection[str]) -> list[str]:
    return sorted(name.removeprefix(ARM) for name in models if name.startswith(ARM))


def circle(name: str, waits: Mapping[str, Collection[str]]) -> list[str]:
    """The arms from `name` to one that waits for it again, by a shortest way; none where no way leads back.

    `waits` says of every arm for which others it waits.
    """
    ways, seen = [[name]], set[str]()
    for way in ways:
        for following in sorted(waits.get(way[-1], ())):
            if following == name:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
