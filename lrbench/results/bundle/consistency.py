"""Whether the records of a bundle are what its manifests and regraded items say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrbench.methods.fidelity import FIELD
from lrbench.methods.plugins import PLUGINS
from lrbench.recipe.schema import Evaluation, Recipe
from lrbench.results.bundle.arms import Manifest, check_adapter, check_model
from lrbench.results.bundle.declared import Recipes, is_of
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.regrading import Regraded
from lrbench.results.bundle.selecting import check_selection
from lrbench.results.identity import arm_id, model_of
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.store.artifact import Origin
from lrbench.store.canonical import stable_hash
from lrbench.suites.suite import measured_benchmarks, suite_of


def check_manifest(where: str, stage: str, key: str, manifest: Manifest, findings: Findings) -> None:
    """Whether a manifest's key and content hash are those of what it holds."""
    origin = Origin(manifest["stage"], manifest["version"], manifest["identity"], manifest["inputs"])
    findings.compare(where, "the stage", (manifest["stage"], manifest["key"]), (stage, key))
    findings.compare(where, "the stage's key", key, origin.key)
    content = {name: manifest[name] for name in ("stage", "key", "statistics", "files")}
    findings.compare(where, "the content hash", manifest["content_hash"], stable_hash(content))


def check_recipe(record: RecipeRecord, recipes: Recipes, findings: Findings) -> None:
    """Whether a recipe's record says what the recipe in it does."""
    where = f"recipe {record.recipe} of {record.recorded_at}"
    declared = recipes.read(record.recipe_yaml, where)
    findings.compare(where, "the name", record.recipe, declared.recipe.name)
    recipes.check_hash(record.recipe_yaml, record.recipe_hash, where, findings)
    findings.compare(where, "its claims", record.claims, declared.recipe.claims)


def check_meant(
    record: RecipeRecord,
    arms: Mapping[str, ArmRecord],
    scores: Sequence[ScoreRecord],
    measured: Mapping[str, Regraded],
    recipes: Recipes,
    findings: Findings,
) -> None:
    """Whether the arms that a recipe means are those it declares, each with all scores that it declares."""
    where = f"recipe {record.recipe} of {record.recorded_at}"
    meant: dict[str, list[ArmRecord]] = {}
    for found_id in dict.fromkeys(record.arm_ids):
        if found_id in arms:
            meant.setdefault(arms[found_id].arm, []).append(arms[found_id])
    scores_of: dict[str, list[ScoreRecord]] = {}
    for score in scores:
        scores_of.setdefault(score.arm_id, []).append(score)
    suites = {stable_hash(score.suite_protocol): score.suite for score in scores}
    expected = {
        (suite_of(variant.recipe.evaluation).name, suite_of(second).name)
        for variants in recipes.read(record.recipe_yaml, where).arms.values()
        for variant, _ in variants
        if (second := variant.recipe.second) is not None
    }
    paired = {(suites.get(first), suites.get(second)) for first, second in record.forgetting.items()}
    findings.compare(where, "the suites on which it is seen what is forgotten", paired, expected)
    declared: set[str] = set()
    for name, variants in recipes.read(record.recipe_yaml, where).arms.items():
        for variant, arm in variants:
            made = [found for found in meant.get(name, []) if is_of(found, variant, arm)]
            declared |= {found.arm_id for found in made}
            if not made:
                findings.add(
                    where, f"its arm {name} with seed {variant.recipe.seed} at {variant.point} is not there"
                )
            for found in made:
                on_suite = record.selection is None or found.arm_id in record.selection.on_suite
                for wanted in variant.recipe.evaluations if on_suite else ():
                    _check_benchmarks(
                        found, variant.recipe, wanted, scores_of.get(found.arm_id, []), measured, findings
                    )
    check_selection(record, recipes.read(record.recipe_yaml, where), arms, scores, measured, findings)
    for found in (arm for group in meant.values() for arm in group if arm.arm_id not in declared):
        findings.add(where, f"it declares no {found.arm} with seed {found.seed} at {found.point}")


def _check_benchmarks(
    arm: ArmRecord,
    recipe: Recipe,
    wanted: Evaluation,
    scores: Sequence[ScoreRecord],
    measured: Mapping[str, Regraded],
    findings: Findings,
) -> None:
    """Whether `arm` was measured on everything that is `wanted`, and in the way `recipe` says."""
    benchmarks = {benchmark.name for benchmark in measured_benchmarks(wanted)}
    there = {score.benchmark: score for score in scores if _is_as_declared(score, recipe, wanted, benchmarks)}
    for benchmark in sorted(benchmarks - there.keys()):
        findings.add(
            f"arm {arm.arm_id} ({arm.recipe}/{arm.arm})",
            f"its score on {benchmark}, as the recipe declares it, is not there",
        )
    listed = {item for score in there.values() for item in measured[score.evaluation_key].ids}
    if wanted.items is not None and listed != set(wanted.items):
        findings.add(f"arm {arm.arm_id} ({arm.recipe}/{arm.arm})", "its items are not those the recipe lists")


def _is_as_declared(score: ScoreRecord, recipe: Recipe, wanted: Evaluation, benchmarks: set[str]) -> bool:
    protocol = score.protocol
    # A limit that leaves nothing out is recorded as none.
    left_nothing = wanted.limit is not None and (score.n <= wanted.limit or wanted.lm_eval is not None)
    limits = {wanted.limit, None if left_nothing else wanted.limit}
    return (
        score.suite == suite_of(wanted).name
        and score.suite_protocol.keys() == benchmarks
        and protocol["limit"] in limits
        and (protocol["items"] is None) == (wanted.items is None)
        and (protocol["engine"], protocol["dtype"]) == (wanted.engine.name, recipe.pair.expert.dtype)
    )


# What of an evaluation's identity says what answered, where it was not the arm's own model alone.
ANSWERING = ("change", "answer", "models", PLUGINS, FIELD)
# Before the name of a model under which an evaluation reads the adapter that it has on.
ADAPTER_OF = "adapter of "


def check_score(
    score: ScoreRecord,
    arms: Mapping[str, ArmRecord],
    manifests: Mapping[str, Manifest],
    provenances: Mapping[str, Any],
    measured: Mapping[str, Regraded],
    findings: Findings,
) -> None:
    """Whether a score is what its evaluation's items come to, and belongs to its arm."""
    where = f"score of {score.recipe}/{score.arm} ({score.arm_id}) on {score.benchmark}"
    findings.compare(where, "the protocol's hash", score.protocol_hash, stable_hash(score.protocol))
    arm = arms.get(score.arm_id)
    if arm is None:
        findings.add(where, "its arm is not in the bundle")
        return
    for name in ("recipe", "arm", "seed", "point", "expert"):
        findings.compare(where, f"the {name}", getattr(score, name), getattr(arm, name))
    key = score.evaluation_key
    if key not in manifests or key not in measured:
        findings.add(where, "its evaluation is not in the bundle")
        return
    manifest, items = manifests[key], measured[key]
    findings.compare(where, "the protocol", score.protocol, manifest["identity"]["protocol"])
    expert = manifest["identity"]["expert"]
    findings.compare(where, "the expert's weights", score.expert_weights, expert["weights"])
    findings.compare(where, "the dtype", score.protocol["dtype"], expert["dtype"])
    check_model(where, "expert", score.expert, expert["weights"], findings)
    findings.compare(where, "the adapter", arm.stages.get("train"), manifest["inputs"].get("adapter"))
    own = arm.stages.get("train") or stable_hash(expert)
    answering = {name: manifest["identity"][name] for name in ANSWERING if name in manifest["identity"]}
    others = {name: needed for name, needed in manifest["inputs"].items() if name != "adapter"}
    for name, needed in others.items():
        if name.startswith(ADAPTER_OF):
            check_adapter(where, arm, name.removeprefix(ADAPTER_OF), needed, arms.values(), findings)
    model = model_of(own, answering, others)
    findings.compare(where, "its id", score.arm_id, arm_id(arm.recipe, arm.arm, arm.point, model))
    findings.compare(where, "the suite", score.suite, score.protocol["suite"])
    findings.compare(where, "the benchmark", score.benchmark, items.benchmark)
    findings.compare(where, "the items' hash", score.items_hash, items.items_hash)
    findings.compare(where, "the time in seconds", score.seconds, provenances[key]["seconds"])
    if score.tokens is not None:
        findings.compare(where, "the tokens", score.tokens, items.tokens)
        findings.compare(where, "the tokens written", score.written, items.written)
        findings.compare(where, "the forward passes", score.passes, items.took.get("passes"))
    if score.truncated is not None:
        findings.compare(where, "the truncated answers", score.truncated, items.truncated)
    answers = items.answers
    for verdict in ("paper", "exact"):
        _compare_outcomes(
            where, verdict, getattr(score, verdict), getattr(answers, verdict), items.ids, findings
        )
    findings.compare(where, "the outcomes of the draws", score.draws, answers.draws)
    findings.compare(where, "the outcomes of the majority", score.majority, answers.majority)
    if score.agreeing is not None:
        findings.compare(where, "the draws that agree", score.agreeing, answers.agreeing)
    if score.confidence is not None and score.stated != answers.stated(score.confidence):
        findings.add(where, "its stated confidences are not those that its pattern finds in the completions")
    if score.traces != answers.traces:
        findings.add(where, "its traces are not those of its answers")
    # Earlier versions recorded no groups.
    if score.groups is not None:
        findings.compare(where, "the groups of the items", score.groups, answers.groups)


def check_complete(scores: Sequence[ScoreRecord], findings: Findings) -> None:
    """Whether every benchmark that was measured together with another is there."""
    known = {(score.arm_id, score.protocol_hash) for score in scores}
    absent = {
        (score.arm_id, benchmark): None
        for score in scores
        for benchmark, protocol in score.suite_protocol.items()
        if (score.arm_id, protocol) not in known
    }
    for unmeasured, benchmark in absent:
        findings.add(f"arm {unmeasured}", f"its score on {benchmark} is not in the bundle")


def _compare_outcomes(
    where: str, verdict: str, recorded: str, found: str, ids: Sequence[str], findings: Findings
) -> None:
    if recorded == found:
        return
    if len(recorded) != len(found):
        findings.compare(where, f"the number of {verdict} verdicts", len(recorded), len(found))
        return
    differing = [
        ids[place] for place, pair in enumerate(zip(recorded, found, strict=True)) if pair[0] != pair[1]
    ]
    findings.add(
        where,
        f"the {verdict} verdicts of {len(differing)} items are not those of their completions, the first is "
        f"{differing[0]}: {recorded.count('1')} are recorded as right, {found.count('1')} are",
    )
