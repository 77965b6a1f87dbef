"""What does not go with what of the expert an arm changes, as far as the recipe alone says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrbench.methods.answers import OWN
from lrbench.methods.changes import Change
from lrbench.methods.component import ARM, EXPERT
from lrbench.recipe.arms import Arm
from lrbench.recipe.messages import Path
from lrbench.recipe.schema import Recipe
from lrbench.recipe.writing import labelled_by

Finding = tuple[Path, str]


def change_problems(recipe: Recipe, arms: Sequence[Arm], sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Engines that cannot write with such a model, adapters of another kind, and continuations too late."""
    by_name = {arm.name: arm for arm in arms}
    places = {declaration.name: place for place, declaration in enumerate(recipe.arms)}
    engines = {name: sections[name].engine.name for name in ("sampling", "evaluation") if name in sections}
    for arm in arms:
        declaration, path = recipe.arms[places[arm.name]], ("arms", places[arm.name])
        where = (*path, "change") if declaration.change is not None else path
        change: Change | None = arm.edit if arm.ingredients is None else arm.ingredients.change
        if change is not None and "evaluation" in engines:
            wrong = change.unservable(engines["evaluation"])
            if wrong is not None:
                yield where, f"{wrong} (evaluation.engine.name)"
        if arm.edit is not None and OWN not in arm.answer.models:
            yield (
                where,
                f"`change: {arm.edit.word}` changes the arm's own model, and its answer by "
                f"`{arm.answer.word}` does not read that; name `{OWN}` there in the place of `{EXPERT}`",
            )
        if arm.answer.learnt is not None:
            answer = (*path, "answer") if declaration.answer is not None else path
            yield from ((answer, wrong) for wrong in _routed(arm, by_name, engines.get("sampling")))
        if arm.ingredients is None or change is None:
            continue
        if change.unmergeable is not None and arm.fidelity.merged_in_bfloat16:
            yield where, f"{change.unmergeable}, so it has no hazard `merged_in_bfloat16`"
        other = by_name.get(arm.start or "")
        if other is not None and other.ingredients is not None and other.ingredients.change != change:
            yield (
                (*path, "start"),
                f"the adapter of `{other.name}` is of `change: {other.ingredients.change.word}`, and this "
                f"arm's of `{change.word}`; an adapter begins as one of the same shape",
            )
        yield from _written_by(arm, by_name, path, engines.get("sampling"))
        if arm.ingredients.objective.writes and arm.ingredients.continuings:
            yield (
                (*path, "selector") if declaration.selector is not None else path,
                f"the arm `{arm.name}` learns from what it writes meanwhile, of which nothing is continued; "
                "choose another selector",
            )


def _routed(arm: Arm, by_name: Mapping[str, Arm], engine: str | None) -> Iterator[str]:
    """Why a learnt route has no labels: its own model is not read, or the other one cannot write them."""
    assert arm.answer.learnt is not None
    to, _ = arm.answer.learnt
    if arm.edit is not None:
        yield (
            "a learnt route has its labels of the expert, with an adapter or without, and "
            f"`change: {arm.edit.word}` makes the arm's own model another one; route by `when`"
        )
    if engine is None:
        return
    writer = by_name.get(to.removeprefix(ARM)) if to.startswith(ARM) else None
    wrong = labelled_by(to).unservable(engine)
    if wrong is None and writer is not None and writer.ingredients is not None:
        wrong = writer.ingredients.change.unservable(engine)
    if wrong is not None:
        yield f"{wrong} (sampling.engine.name), as `{to}` writes what a learnt route has its labels of"


def _written_by(arm: Arm, by_name: Mapping[str, Arm], path: Path, engine: str | None) -> Iterator[Finding]:
    """A source that the engine cannot write, since it is written by another arm's changed model."""
    assert arm.ingredients is not None
    for name in sorted(arm.ingredients.source.models):
        writer = by_name.get(name.removeprefix(ARM)) if name.startswith(ARM) else None
        if writer is None or writer.ingredients is None or engine is None:
            continue
        wrong = writer.ingredients.change.unservable(engine)
        if wrong is not None:
            yield (*path, "source"), f"{wrong} (sampling.engine.name), as `{name}` writes it"
