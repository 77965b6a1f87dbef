"""Whether an arm's record is what its recipe and the stages that it was made by say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from lrbench.embedded.assets import EARLIER_WEIGHTS, model_folder
from lrbench.methods.component import AMATEUR, ARM
from lrbench.methods.fidelity import FIELD
from lrbench.methods.plugins import identity_of
from lrbench.methods.source import AGREED_STAGE, CHECKED_STAGE, CONTINUING, GREEDY_STAGE, WRITTEN_STAGE
from lrbench.models.source import folder_identity
from lrbench.recipe.arms import Arm, completed, resolve_arms
from lrbench.recipe.expanding import Variant
from lrbench.recipe.references import EMBEDDED
from lrbench.recipe.writing import asked_problems
from lrbench.results.bundle.declared import Declared, Recipes
from lrbench.results.bundle.findings import Findings
from lrbench.results.identity import START, arm_id, arm_settings, as_recorded, training_identity
from lrbench.results.records import ArmRecord, Costs, name_in_record
from lrbench.store.keys import FileHashes

Manifest = Mapping[str, Any]

# The stages that have a model write, a problem at a time.
SAMPLING = (GREEDY_STAGE, CHECKED_STAGE, WRITTEN_STAGE, AGREED_STAGE)
TRAIN, EDIT, ROUTER, SCORES = "train", "edit", "router", "scores"
# Begins the name under which what a model writes reads the adapter that the model has on.
WRITER = "adapter of "
# The name under which samples read the rollouts that they are of.
ROLLOUTS = "rollouts"
# The name under which training reads how likely paired answers were before.
REFERENCE = "reference"
CURVES = TypeAdapter(dict[str, list[tuple[int, float]]])
HUB = "hub:"


def check_arm(
    arm: ArmRecord,
    manifests: Mapping[str, Manifest],
    provenances: Mapping[str, Any],
    curves: Mapping[str, Any],
    recipes: Recipes,
    arms: Collection[ArmRecord],
    findings: Findings,
) -> None:
    """Whether settings, costs, curves and statistics of `arm` are those of its recipe and its stages.

    `curves` holds the curves that lie beside the manifests of training stages, by the stage's key.
    """
    where = f"arm {arm.arm_id} ({arm.recipe}/{arm.arm})"
    declared = recipes.read(arm.recipe_yaml, where)
    findings.compare(where, "the recipe", arm.recipe, declared.recipe.name)
    recipes.check_hash(arm.recipe_yaml, arm.recipe_hash, where, findings)
    findings.compare(where, "the expert", arm.expert, declared.recipe.pair.expert.model)
    absent = [stage for stage, key in arm.stages.items() if key not in manifests]
    for stage in absent:
        findings.add(where, f"the manifest of its stage {stage} is not in the bundle")
    if absent:
        return
    making = {} if "train" not in arm.stages else dict(_making(arm.stages["train"], manifests))
    if EDIT in arm.stages:
        making = {manifests[key]["stage"]: key for key in _written(arm.stages[EDIT], manifests)}
    if ROUTER in arm.stages:
        making = dict(_routing(arm.stages[ROUTER], making, manifests)) | making
    findings.compare(where, "its stages", arm.stages, making)
    behind = {stage: manifests[key] for stage, key in making.items()}
    for reading, manifest in behind.items():
        _, *models = reading.split()
        for model, name in zip(models, ("expert adapter", "amateur adapter"), strict=False):
            check_adapter(where, arm, model, manifest["inputs"].get(name), arms, findings)
        for name, key in manifest["inputs"].items():
            if name == START:
                check_adapter(where, arm, f"{ARM}{arm.settings.get(START)}", key, arms, findings)
            elif name.startswith(WRITER):
                check_adapter(where, arm, name.removeprefix(WRITER), key, arms, findings)
    meant = _meant(arm, declared, behind)
    if meant is None:
        seed = "no seed" if arm.seed is None else f"seed {arm.seed}"
        findings.add(where, f"its recipe declares no such arm with {seed} at the point {arm.point}")
        return
    variant, found = meant
    findings.compare(where, "whether it is trained", found.ingredients is not None, "train" in behind)
    if (found.ingredients is not None) != ("train" in behind):
        return
    _check_measured(where, arm, behind, making, provenances, curves, findings)
    if found.ingredients is not None:
        if not identity_of(found.answer) and not found.fidelity.at("evaluate").hazards:
            own_id = arm_id(arm.recipe, arm.arm, arm.point, making["train"])
            findings.compare(where, "its id", arm.arm_id, own_id)
        _check_settings(where, arm, variant, found, behind, findings)
    else:
        settings = as_recorded(arm_settings(variant.recipe, found, _texts(arm, behind)), arm.settings)
        for name in sorted(settings.keys() | arm.settings.keys()):
            findings.compare(where, f"the setting {name}", arm.settings.get(name), settings.get(name))
    amateur = variant.recipe.pair.amateur_name if AMATEUR in found.models else None
    findings.compare(where, "the amateur", arm.amateur, amateur)
    _check_problems(where, arm, variant, found, behind, findings)


def _check_problems(
    where: str,
    arm: ArmRecord,
    variant: Variant,
    found: Arm,
    behind: Mapping[str, Manifest],
    findings: Findings,
) -> None:
    """How many problems the stages have asked, and how often where the model in training draws them."""
    trained = behind[TRAIN]["statistics"] if TRAIN in behind else {}
    drawn = int(trained.get("sampled_problems", 0))
    costs, stored = arm.costs, _stored(variant, found, behind)
    if not drawn or not costs.drawn_problems:
        # Of those that are drawn again and again, earlier versions recorded how often.
        findings.compare(where, "the number of sampled problems", costs.sampled_problems, stored + drawn)
        findings.compare(where, "the number of problem draws", costs.drawn_problems, 0)
        return
    findings.compare(where, "the number of problem draws", costs.drawn_problems, stored + drawn)
    limits = [drawn, variant.recipe.data.problems, trained["budget"].get("problems")]
    most = stored + min(limit for limit in limits if limit is not None)
    # How many problems have an answer, and so can be drawn for a reward, only the problems themselves say.
    if not stored + trained["problems"] <= costs.sampled_problems <= most:
        findings.add(
            where,
            f"the number of sampled problems is recorded as {costs.sampled_problems}, but is from "
            f"{stored + trained['problems']} to {most}",
        )


def _stored(variant: Variant, found: Arm, behind: Mapping[str, Manifest]) -> int:
    """How many problems were asked for stored rollouts; the arm's own source may ask fewer than all."""
    recipe = variant.recipe
    problems = recipe.data.problems
    source = None if found.ingredients is None else found.ingredients.source
    own = [] if source is None else asked_problems(source, recipe.sampling, problems)
    writing = [manifest["stage"] for manifest in behind.values() if manifest["stage"] in SAMPLING]
    # Others are those that an amateur is made from.
    return sum(own) + problems * (len(writing) - len(own))


def check_adapter(
    where: str, arm: ArmRecord, model: str, key: str | None, arms: Collection[ArmRecord], findings: Findings
) -> None:
    """Whether what `arm` reads as `model` has the adapter on that the arm of that name was trained to.

    `key` is that of the adapter read. Where there is no such arm with the same seed, it cannot be told.
    """
    if not model.startswith(ARM):
        findings.compare(where, f"the adapter of {model}", key, None)
        return
    named = [other for other in arms if (other.recipe, other.arm) == (arm.recipe, model.removeprefix(ARM))]
    keys = {other.stages.get(TRAIN) for other in named if other.seed == arm.seed}
    if keys and key not in keys:
        findings.add(where, f"what it reads as {model} has an adapter that is not of that arm")


def check_model(where: str, what: str, name: str, weights: str, findings: Findings) -> None:
    """Whether a model called `name` can have these weights, as far as that is known here."""
    if weights.startswith(HUB):
        findings.compare(where, f"the {what}", name, weights.removeprefix(HUB).rpartition("@")[0])
    elif name.startswith(EMBEDDED):
        own = name.removeprefix(EMBEDDED)
        if weights not in EARLIER_WEIGHTS.get(own, ()):
            shipped = folder_identity(model_folder(own), _HASHES)
            findings.compare(where, f"the weights of {name}", weights, shipped)


_HASHES = FileHashes()


def _making(train: str, manifests: Mapping[str, Manifest]) -> Iterator[tuple[str, str]]:
    """Name and key of the stages behind an adapter, inputs first, in the order of `recording`."""
    inputs = manifests[train]["inputs"]
    if "samples" not in inputs:
        # The model in training has written what it learnt from.
        amateurs = [key for name, key in inputs.items() if name.startswith("amateur of ")]
        keys = [key for made in amateurs for key in _written(made, manifests)]
        yield from [*((manifests[key]["stage"], key) for key in dict.fromkeys(keys)), (TRAIN, train)]
        return
    samples = inputs["samples"]
    readings = dict(manifests[samples]["inputs"])
    deriving = [
        manifests[scores]["inputs"].get("amateur") for name, scores in readings.items() if name != ROLLOUTS
    ]
    keys = [*_written(readings.pop(ROLLOUTS), manifests)]
    for derived in filter(None, deriving):
        keys += _written(derived, manifests)
    seen: Counter[str] = Counter()
    for key in dict.fromkeys(keys):
        stage = manifests[key]["stage"]
        seen[stage] += 1
        yield name_in_record(stage, seen[stage]), key
    reference = [(manifests[key]["stage"], key) for name, key in inputs.items() if name == REFERENCE]
    yield from [*readings.items(), ("samples", samples), *reference, (TRAIN, train)]


def _routing(
    router: str, own: Mapping[str, str], manifests: Mapping[str, Manifest]
) -> Iterator[tuple[str, str]]:
    """The same of the stages behind a router that are not among an arm's `own`, numbered after those."""
    read = {key: name for name, key in manifests[router]["inputs"].items()}
    seen = Counter(manifests[key]["stage"] for key in own.values())
    for key in dict.fromkeys(_written(router, manifests)):
        if key not in own.values():
            stage = manifests[key]["stage"]
            seen[stage] += 1
            yield read[key] if stage == SCORES else name_in_record(stage, seen[stage]), key


def _written(key: str, manifests: Mapping[str, Manifest]) -> Iterator[str]:
    """The keys of what rollouts were made from, inputs first, but for adapters."""
    for _, needed in sorted(manifests[key]["inputs"].items()):
        if needed in manifests and manifests[needed]["stage"] != TRAIN:
            yield from _written(needed, manifests)
    yield key


def _source(arm: ArmRecord, behind: Mapping[str, Manifest]) -> str:
    """What the record calls the stage that gave the rollouts that are learnt from."""
    if "samples" not in behind:
        return TRAIN
    key = behind["samples"]["inputs"][ROLLOUTS]
    return next(name for name, own in arm.stages.items() if own == key)


def _meant(arm: ArmRecord, declared: Declared, behind: Mapping[str, Manifest]) -> tuple[Variant, Arm] | None:
    """What the arm was made from: of several points that it may stand for, one with its settings."""
    candidates = list(declared.meant_by(arm))
    texts = _texts(arm, behind)
    for variant, found in candidates:
        if arm.settings == as_recorded(arm_settings(variant.recipe, found, texts), arm.settings):
            return variant, found
    return candidates[0] if candidates else None


def _texts(arm: ArmRecord, behind: Mapping[str, Manifest]) -> str:
    """Which problems were asked, by the stage that gave the rollouts; empty where none were."""
    if TRAIN in behind:
        return str(behind[_source(arm, behind)]["identity"]["texts"])
    if ROUTER not in behind:
        return ""
    rollouts = behind[ROUTER]["inputs"][ROLLOUTS]
    return str(next(behind[name] for name, key in arm.stages.items() if key == rollouts)["identity"]["texts"])


def _check_measured(
    where: str,
    arm: ArmRecord,
    behind: Mapping[str, Manifest],
    making: Mapping[str, str],
    provenances: Mapping[str, Any],
    curves: Mapping[str, Any],
    findings: Findings,
) -> None:
    """Costs, statistics and curves against what the stages measured."""
    statistics: dict[str, Any] = {}
    for manifest in behind.values():
        statistics |= manifest["statistics"]
    for name in sorted(statistics.keys() | arm.statistics.keys()):
        findings.compare(where, f"the statistic {name}", arm.statistics.get(name), statistics.get(name))
    trained = behind["train"]["statistics"] if "train" in behind else {}
    sampled = [manifest["statistics"] for manifest in behind.values() if manifest["stage"] in SAMPLING]
    costs = Costs(
        updates=trained.get("updates", 0),
        tuned_tokens=trained.get("tuned_tokens", 0),
        trained_steps=trained.get("trained_steps", 0),
        learnt_problems=trained.get("problems", 0),
        sampled_problems=arm.costs.sampled_problems,
        drawn_problems=arm.costs.drawn_problems,
        sampled_tokens=sum(found.get("sampled_tokens", found["tokens"]) for found in sampled)
        + trained.get("sampled_tokens", 0)
        + sum(
            manifest["statistics"]["continued_tokens"]
            for manifest in behind.values()
            if manifest["stage"] in CONTINUING
        ),
        seconds={stage: round(provenances[key]["seconds"], 3) for stage, key in making.items()},
    )
    for name, value in vars(costs).items():
        words = name.replace("_", " ")
        findings.compare(where, f"the cost in {words}", getattr(arm.costs, name), value)
    environments = [found["environment"] for found in provenances.values()]
    if making:
        last = next(making[name] for name in (TRAIN, EDIT, ROUTER) if name in making)
        environments = [provenances[last]["environment"]]
    if arm.environment not in environments:
        findings.add(where, "no stage was made in the environment that is recorded")
    measured = CURVES.validate_python(curves[making[TRAIN]] if TRAIN in making else {})
    # By their texts, since NaN is not equal to itself.
    for name in sorted(measured.keys() | arm.curves.keys()):
        if repr(arm.curves.get(name)) != repr(measured.get(name)):
            findings.add(where, f"the curve {name} is not the one that its training measured")


def _check_settings(
    where: str,
    arm: ArmRecord,
    variant: Variant,
    found: Arm,
    behind: Mapping[str, Manifest],
    findings: Findings,
) -> None:
    """A trained arm's settings against its recipe, and its stages' identities against the same."""
    recipe = variant.recipe
    settings = as_recorded(arm_settings(recipe, found, _texts(arm, behind)), arm.settings)
    for name in sorted(settings.keys() | arm.settings.keys()):
        findings.compare(where, f"the setting {name}", arm.settings.get(name), settings.get(name))
    train = behind["train"]["identity"]
    # What the model in training has written is told by its own stage, and so is what it learnt from that.
    samples = behind["samples"]["identity"] if "samples" in behind else train
    findings.compare(where, "the seed", arm.seed, train["seed"])
    findings.compare(where, "the training", training_identity(found.training), train["training"])
    assert found.ingredients is not None
    changed = found.ingredients.change.identity
    findings.compare(where, "what of the expert it changes", changed.get("change"), train.get("change"))
    parts = completed(found, resolve_arms(recipe), recipe.seed)
    source = parts.source.stage
    if not parts.objective.writes:
        findings.compare(where, "its source's stage", source, _source(arm, behind))
    identity = train if parts.objective.writes else behind[source]["identity"] if source in behind else {}
    sampling = settings["sampling"]
    if parts.objective.policy is not None:
        sampling = sampling | {"solutions": sampling["solutions"] | parts.objective.policy.sampling}
    for name, value in sampling.items():
        if name in identity:
            chosen = value["name"] if name == "engine" else value
            findings.compare(where, f"{name} of its {source}", chosen, identity[name])
    if parts.source.draws and "seed" in identity:
        findings.compare(where, "the seed of its solutions", arm.seed, identity["seed"])
    for name, value in identity_of(parts.selector, parts.target).items():
        findings.compare(where, f"{name} of its samples", value, samples.get(name))
    for stage in (source, "scores", "samples", "train"):
        if stage in behind:
            hazards = found.fidelity.at(stage).identity.get(FIELD)
            findings.compare(
                where, f"the fidelity of its {stage}", hazards, behind[stage]["identity"].get(FIELD)
            )
    for stage, manifest in behind.items():
        # Scores that another model reads first have that one in its place.
        if "expert" in manifest["identity"] and " " not in stage:
            findings.compare(where, f"the expert of {stage}", train["expert"], manifest["identity"]["expert"])
    if "scores" in behind:
        scores = behind["scores"]["identity"]
        findings.compare(
            where, "alpha_min of its scores", settings["divergence"]["alpha_min"], scores["alpha_min"]
        )
        needed = recipe.pair.needed_mass
        findings.compare(where, "least_mass of its scores", needed, scores.get("least_mass"))
        weights = scores["amateur"]["weights"]
        made = behind["scores"]["inputs"].get("amateur")
        if made is not None:
            findings.compare(where, "the weights of its amateur", weights, f"derived:{made}")
        elif arm.amateur is not None:
            check_model(where, "amateur", arm.amateur, weights, findings)
