"""Fields that have to fit each other, and settings that have no effect.

Each check takes the sections it needs, so that one section's mistake does not hide another's. What
comes out is a path and a message; `lrbench.recipe.loading` knows the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrbench.methods.component import AMATEUR
from lrbench.methods.presets import BY_NAME
from lrbench.recipe.addresses import unusable_address
from lrbench.recipe.arms import Arm, resolve_arm, resolve_arms
from lrbench.recipe.changing import change_problems
from lrbench.recipe.comparing import compared, presets_of
from lrbench.recipe.hazards import hazard_problems
from lrbench.recipe.measuring import (
    Measure,
    measure_problems,
    second_suite_problems,
    weighing_problems,
)
from lrbench.recipe.measuring_again import repeats_problems
from lrbench.recipe.messages import Path, did_you_mean, excerpt
from lrbench.recipe.naming import circle, reference_problems, unused_models
from lrbench.recipe.objectives import ignored_units, objective_problems
from lrbench.recipe.references import Origin, origin_of_model
from lrbench.recipe.schema import (
    Amateur,
    ArmDeclaration,
    Budget,
    Compare,
    Data,
    Divergence,
    EngineChoice,
    Evaluation,
    Recipe,
    Training,
)
from lrbench.recipe.selecting import selection_problems
from lrbench.recipe.suites import SECOND
from lrbench.recipe.training_sources import as_source
from lrbench.suites.declaration import SuiteDeclaration
from lrbench.suites.shipped import SHIPPED
from lrbench.suites.suite import LM_EVAL

Finding = tuple[Path, str]

# Suites of other kinds have these names.
UNUSABLE = (*SHIPPED, LM_EVAL)
BATCH_UNITS = ("rollouts_per_update", "steps_per_update")


def misfits(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything in the valid `sections` of a recipe (by field name) that does not fit together."""
    if "data" in sections:
        yield from _repeated_sources(sections["data"])
    if "divergence" in sections:
        yield from _threshold(sections["divergence"])
    if "training" in sections:
        yield from _batch_unit(sections["training"])
        yield from _match(sections["training"].budget, ("training", "budget"))
    if "pair" in sections and sections["pair"].amateur is not None:
        yield from _one_amateur(sections["pair"].amateur)
    if "pair" in sections and sections["pair"].align == "ids" and sections["pair"].least_mass is not None:
        message = "given without `align: tokens`, allowed is only with it, since ids either agree or do not"
        yield ("pair", "least_mass"), message
    if "evaluation" in sections:
        yield from _choice_of_items(sections["evaluation"])
        yield from _own_suite(sections["evaluation"])
        yield from _own_name(sections["evaluation"].suite, ("evaluation", "suite"))
        yield from _selection(sections["evaluation"], sections.get("measure"))
    if sections.get("measure") is not None:
        of_tasks = "evaluation" in sections and sections["evaluation"].lm_eval is not None
        yield from measure_problems(sections["measure"], of_tasks=of_tasks)
        yield from _own_name(sections["measure"].forgetting, SECOND)
        if "models" in sections:
            yield from weighing_problems(sections["measure"], sections["models"] or {})
    for section in ("sampling", "evaluation"):
        if section in sections:
            yield from _address(sections[section].engine, section)
    if "arms" in sections:
        yield from _repeated_names(sections["arms"])
        if sections.get("controls") is not None:
            yield from _controlled(sections["controls"].of, sections["arms"])
        if "compare" in sections:
            yield from _compared_arms(sections["compare"], sections["arms"])
    if {"arms", "divergence", "training", "fidelity"} <= sections.keys():
        # Only these are read while arms are resolved.
        recipe = Recipe.model_construct(**sections)
        arms: list[Arm] = []
        for place, declaration in enumerate(recipe.arms):
            if (declaration.like or declaration.name) in BY_NAME:
                try:
                    arms.append(resolve_arm(recipe, declaration))
                except ValueError as error:
                    yield ("arms", place), str(error)
                    continue
                yield from _own_settings(declaration, arms[-1], recipe, ("arms", place))
        yield from _matched_arms(recipe, arms)
        yield from reference_problems(recipe, arms, sections)
        yield from hazard_problems(recipe, arms, sections)
        yield from change_problems(recipe, arms, sections)
        yield from objective_problems(recipe, arms, sections)
        yield from repeats_problems(recipe, arms, sections)
        yield from _second_suite(sections, arms)
        if "pair" in sections and sections["pair"].amateur is None:
            yield from _missing_amateur(arms)


def _threshold(divergence: Divergence) -> Iterator[Finding]:
    if divergence.alpha < divergence.alpha_min:
        given = "alpha" if "alpha" in divergence.model_fields_set else "alpha_min"
        yield ("divergence", given), _below(divergence)


def _below(divergence: Divergence) -> str:
    return (
        f"alpha is {divergence.alpha:g} and divergence.alpha_min is {divergence.alpha_min:g}, allowed is an "
        "alpha of at least alpha_min, since scores are stored only down to there"
    )


def _batch_unit(training: Training) -> Iterator[Finding]:
    given = [unit for unit in BATCH_UNITS if getattr(training, unit) is not None]
    if not given:
        yield ("training",), "needs one of `rollouts_per_update` and `steps_per_update`"
    elif len(given) == 2:
        message = (
            "given beside `rollouts_per_update`, allowed is one of the two (null switches the other off)"
        )
        yield ("training", "steps_per_update"), message


def _match(budget: Budget, path: Path) -> Iterator[Finding]:
    """What does not fit within one `budget:`."""
    if budget.match is None and budget.on is not None:
        yield (*path, "on"), "given without `match`, which names the arm whose budget is taken"
    elif budget.match is not None and budget.on is None:
        yield (*path, "match"), "given without `on`: updates, tuned_tokens, problems or seconds"
    elif budget.on is not None and getattr(budget, budget.on, None) is not None:
        yield (*path, budget.on), f"given beside `match` on {budget.on}, allowed is one of the two"


def _matched_arms(recipe: Recipe, arms: list[Arm]) -> Iterator[Finding]:
    """Budgets that are to match an arm that has none, or each other in a circle."""
    names = [declaration.name for declaration in recipe.arms]
    untrained = [arm.name for arm in arms if arm.ingredients is None]
    own = {
        declaration.name: ("arms", place, "training", "budget", "match")
        for place, declaration in enumerate(recipe.arms)
        if declaration.training.budget != Budget()
    }
    matches = {arm.name: arm.training.budget.match for arm in arms if arm.ingredients is not None}
    told: set[str] = set()
    for name, match in matches.items():
        path = own.get(name, ("training", "budget", "match"))
        if match is None or match in told:
            continue
        if match not in names:
            hint = did_you_mean(match, names)
            yield path, f"`{excerpt(match)}` is no arm of this recipe; its arms are {', '.join(names)}{hint}"
        elif match in untrained:
            yield path, f"the arm `{match}` is not trained, so it has no budget to match"
        elif way := circle(name, {arm: [other] for arm, other in matches.items() if other}):
            told.update(way)
            yield path, f"budgets that wait for each other: {' -> '.join([*way, name])}"


def _choice_of_items(evaluation: Evaluation) -> Iterator[Finding]:
    if evaluation.limit is not None and evaluation.items is not None:
        message = "given beside `limit`, allowed is one of the two (null switches the other off)"
        yield ("evaluation", "items"), message
    for field in ("benchmarks", "items"):
        names: tuple[str, ...] = getattr(evaluation, field) or ()
        for place, name in enumerate(names):
            if name in names[:place]:
                yield ("evaluation", field, place), f"`{excerpt(name)}` stands twice in the list"


def _own_suite(evaluation: Evaluation) -> Iterator[Finding]:
    declared = evaluation.suite
    if declared is None and evaluation.lm_eval is None:
        yield ("evaluation",), "needs one of `suite` and `lm_eval`"
    elif declared is not None and evaluation.lm_eval is not None:
        message = "given beside `suite`, allowed is one of the two (null switches the other off)"
        yield ("evaluation", "lm_eval"), message
    tasks = () if evaluation.lm_eval is None else evaluation.lm_eval.tasks
    for place, name in enumerate(tasks):
        if name in tasks[:place]:
            yield ("evaluation", "lm_eval", "tasks", place), f"`{excerpt(name)}` stands twice in the list"


def _own_name(declared: str | SuiteDeclaration | None, path: Path) -> Iterator[Finding]:
    if isinstance(declared, SuiteDeclaration) and declared.name in UNUSABLE:
        message = f"`{declared.name}` is a name that lrbench has a suite for; give yours another one"
        yield (*path, "name"), message


def _selection(evaluation: Evaluation, measure: Measure | None) -> Iterator[Finding]:
    if evaluation.select_on is not None:
        forgetting = None if measure is None else measure.forgetting
        of_tasks = evaluation.lm_eval is not None
        yield from selection_problems(evaluation.suite, forgetting, of_tasks=of_tasks)


def _second_suite(sections: Mapping[str, Any], arms: list[Arm]) -> Iterator[Finding]:
    measure, evaluation = sections.get("measure"), sections.get("evaluation")
    if measure is not None and measure.forgetting is not None and evaluation is not None:
        has_expert = any(arm.is_expert for arm in arms)
        yield from second_suite_problems(measure.forgetting, evaluation, has_expert)


def _address(engine: EngineChoice, section: str) -> Iterator[Finding]:
    path = (section, "engine", "url")
    if engine.name == "server" and engine.url is None:
        yield path, "missing; the engine `server` needs its address, such as http://127.0.0.1:8000"
    # Recorded whichever engine is chosen.
    for number, address in enumerate(engine.addresses):
        place = path if isinstance(engine.url, str) else (*path, number)
        if problem := unusable_address(address):
            yield place, problem
        elif address in engine.addresses[:number]:
            yield place, f"{excerpt(address)} stands twice in the list; name every server once"


def _repeated_names(arms: tuple[ArmDeclaration, ...]) -> Iterator[Finding]:
    places: dict[str, int] = {}
    for place, arm in enumerate(arms):
        first = places.setdefault(arm.name, place)
        if first != place:
            message = f"the name `{arm.name}` is also that of arms.{first}; give each arm a `name` of its own"
            yield ("arms", place, "name"), message


def _compared_arms(compare: Compare, arms: tuple[ArmDeclaration, ...]) -> Iterator[Finding]:
    """Names in `compare:` that are no arms of the recipe, or that cannot be set against each other."""
    names = [arm.name for arm in arms]
    against = compare.against or ()
    places: list[tuple[Path, str | None]] = [(("compare", "subject"), compare.subject)]
    places += [(("compare", "against", place), name) for place, name in enumerate(against)]
    for path, name in places:
        if name is not None and name not in names:
            hint = did_you_mean(name, names)
            yield path, f"`{excerpt(name)}` is no arm of this recipe; its arms are {', '.join(names)}{hint}"
    for place, name in enumerate(against):
        if name in against[:place]:
            yield ("compare", "against", place), f"`{excerpt(name)}` stands twice in the list"
        elif name == compare.subject:
            message = f"`{excerpt(name)}` is the subject itself; it is set against other arms"
            yield ("compare", "against", place), message
    if compare.against and compared(presets_of(arms), compare).subject is None:
        yield ("compare", "against"), "these are all arms of the recipe; none is left to set against them"


def _controlled(subject: str, arms: tuple[ArmDeclaration, ...]) -> Iterator[Finding]:
    names = [arm.name for arm in arms]
    if subject not in names:
        hint = did_you_mean(subject, names)
        message = f"`{excerpt(subject)}` is no arm of this recipe; its arms are {', '.join(names)}{hint}"
        yield ("controls", "of"), message


def _own_settings(declaration: ArmDeclaration, arm: Arm, recipe: Recipe, path: Path) -> Iterator[Finding]:
    own = declaration.divergence.alpha
    if own is not None and own < recipe.divergence.alpha_min:
        yield (*path, "divergence", "alpha"), _below(arm.divergence)
    if all(getattr(declaration.training, unit) is not None for unit in BATCH_UNITS):
        message = "given beside `rollouts_per_update`, allowed is one of the two"
        yield (*path, "training", "steps_per_update"), message
    yield from _match(declaration.training.budget, (*path, "training", "budget"))
    if arm.ingredients is not None:
        refused = arm.ingredients.objective.refusal(arm.ingredients.target)
        if refused is not None:
            yield (*path, *(() if declaration.objective is None else ("objective",))), refused


def _repeated_sources(data: Data) -> Iterator[Finding]:
    """A source that is listed before as the same: its problems would be learnt from twice under other ids."""
    contents = [as_source(each) if isinstance(each, str) else each for each in data.sources]
    for place, source in enumerate(contents):
        if any(source.content == earlier.content for earlier in contents[:place]):
            message = "stands in the list before; `weight` says how much of a source is drawn"
            yield ("data", "train", place), message


def _one_amateur(amateur: Amateur) -> Iterator[Finding]:
    if amateur.model is None and amateur.derive is None:
        yield ("pair", "amateur"), "needs one of `model` and `derive`"
    elif amateur.model is not None and amateur.derive is not None:
        message = "given beside `model`, allowed is one of the two (null switches the other off)"
        yield ("pair", "amateur", "derive"), message


def _missing_amateur(arms: list[Arm]) -> Iterator[Finding]:
    reading = [arm.name for arm in arms if AMATEUR in arm.models]
    if reading:
        message = f"missing; the arm `{reading[0]}` compares the expert with an amateur"
        yield ("pair", "amateur"), message


def ignored_settings(recipe: Recipe) -> Iterator[Finding]:
    """Settings of a valid recipe that are written down but change nothing."""
    arms = resolve_arms(recipe)
    yield from _ignored_revisions(recipe)
    if "seed" in recipe.data.model_fields_set and recipe.data.selection == "first":
        yield ("data", "seed"), "ignored, because `selection` is `first`"
    if recipe.data.held_out and not any(arm.ingredients for arm in arms):
        yield ("data", "held_out"), "ignored, because no arm is trained"
    if recipe.pair.amateur is not None and not any(AMATEUR in arm.models for arm in arms):
        yield ("pair", "amateur"), "ignored, because no arm compares the expert with an amateur"
    if recipe.pair.align == "tokens" and not any(_needs_scores(arm) for arm in arms):
        yield ("pair", "align"), "ignored, because no arm compares the expert with an amateur"
    for name in sorted(recipe.divergence.model_fields_set):
        if not any(_uses(arm, name) for arm in arms):
            yield ("divergence", name), f"ignored, because no arm {DIVERGENCE_USES[name]}"
    yield from unused_models(recipe, arms)
    yield from ignored_units(arms, recipe.arms)
    samples = any(arm.ingredients and arm.ingredients.source.draws for arm in arms)
    if "solutions" in recipe.sampling.model_fields_set and not samples:
        yield ("sampling", "solutions"), "ignored, because no arm learns from sampled solutions"
    for section, engine in (("sampling", recipe.sampling.engine), ("evaluation", recipe.evaluation.engine)):
        for name in sorted(engine.model_fields_set - {"name"}):
            if engine.name != "server" and getattr(engine, name) is not None:
                yield (section, "engine", name), f"ignored, because the engine is `{engine.name}`"
    for place, (declaration, arm) in enumerate(zip(recipe.arms, arms, strict=True)):
        for name in ("alpha", "beta"):
            if getattr(declaration.divergence, name) is not None and not _uses(arm, name):
                message = f"ignored, because this arm does not use it: {DIVERGENCE_NEEDS[name]}"
                yield ("arms", place, "divergence", name), message


DIVERGENCE_USES = {
    "alpha": "has a target that takes it, such as `contrast`",
    "beta": "has a selector that takes it, such as `kl`",
    "alpha_min": "needs scores",
}
DIVERGENCE_NEEDS = {
    "alpha": "its target takes no alpha",
    "beta": "its selector takes no beta",
}


def _needs_scores(arm: Arm) -> bool:
    return arm.ingredients is not None and arm.ingredients.needs_scores


def _uses(arm: Arm, name: str) -> bool:
    """Whether a field of `divergence` has any effect on `arm`."""
    if arm.ingredients is None:
        return False
    return arm.ingredients.needs_scores if name == "alpha_min" else name in arm.ingredients.thresholds


def _ignored_revisions(recipe: Recipe) -> Iterator[Finding]:
    for role in ("expert", "amateur"):
        model = getattr(recipe.pair, role)
        if model is None or model.revision is None:
            continue
        if model.model is None or origin_of_model(model.model) is not Origin.HUB:
            yield ("pair", role, "revision"), "ignored, because only models from the hub have revisions"
