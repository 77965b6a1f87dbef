"""Whether the records of a bundle are what its manifests and regraded items say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrbench.recipe.arms import resolve_arm
from lrbench.recipe.recorded import recorded_recipe
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.regrading import Regraded
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.artifact import Origin
from lrbench.store.canonical import stable_hash

Manifest = Mapping[str, Any]


def check_manifest(where: str, stage: str, key: str, manifest: Manifest, findings: Findings) -> None:
    """Whether a manifest's key and content hash are those of what it holds."""
    origin = Origin(manifest["stage"], manifest["version"], manifest["identity"], manifest["inputs"])
    findings.compare(where, "the stage", (manifest["stage"], manifest["key"]), (stage, key))
    findings.compare(where, "the stage's key", key, origin.key)
    content = {name: manifest[name] for name in ("stage", "key", "statistics", "files")}
    findings.compare(where, "the content hash", manifest["content_hash"], stable_hash(content))


def check_arm(
    arm: ArmRecord, manifests: Mapping[str, Manifest], provenances: Mapping[str, Any], findings: Findings
) -> None:
    """Whether an arm's settings, costs and statistics are those of the stages it was made by."""
    where = f"arm {arm.arm_id} ({arm.recipe}/{arm.arm})"
    behind = {}
    for stage, key in arm.stages.items():
        if key not in manifests:
            findings.add(where, f"the manifest of its stage {stage} is not in the bundle")
            return
        findings.compare(where, f"the stage {stage}", stage, manifests[key]["stage"])
        behind[stage] = manifests[key]
    measured = [manifest["statistics"] for manifest in behind.values()]
    for name, value in arm.statistics.items():
        if all(statistics.get(name) != value for statistics in measured):
            findings.add(where, f"no stage has the statistic {name} that is recorded")
    for stage, seconds in arm.costs.seconds.items():
        found = round(provenances[arm.stages[stage]]["seconds"], 3)
        findings.compare(where, f"the seconds of {stage}", seconds, found)
    environments = [provenance["environment"] for provenance in provenances.values()]
    if arm.environment not in environments:
        findings.add(where, "no stage was made in the environment that is recorded")
    sampled = [behind[name]["statistics"] for name in ("rollouts", "solutions") if name in behind]
    tokens = sum(statistics.get("sampled_tokens", statistics["tokens"]) for statistics in sampled)
    findings.compare(where, "the number of sampled tokens", arm.costs.sampled_tokens, tokens)
    recipe = recorded_recipe(arm.recipe_yaml, where)
    declared = [declaration for declaration in recipe.arms if declaration.name == arm.arm]
    if len(declared) != 1:
        findings.add(where, "its recipe declares no such arm")
        return
    ingredients = resolve_arm(recipe, declared[0]).ingredients
    findings.compare(where, "whether it is trained", ingredients is not None, "train" in behind)
    if ingredients is not None and "train" in behind:
        found = behind["train"]["statistics"]["tuned_tokens"]
        findings.compare(where, "the number of tuned tokens", arm.costs.tuned_tokens, found)
        samples = behind["samples"]["identity"]
        for name, value in vars(ingredients).items():
            findings.compare(where, f"the {name}", arm.settings[name], value)
        for name in ("selector", "target"):
            findings.compare(where, f"the {name} of its samples", arm.settings[name], samples[name])
        for name in ("alpha", "beta"):
            if name in samples:
                divergence = arm.settings["divergence"]
                findings.compare(where, f"{name} of its samples", divergence[name], samples[name])


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
    findings.compare(where, "the adapter", arm.stages.get("train"), manifest["inputs"].get("adapter"))
    findings.compare(where, "the suite", score.suite, score.protocol["suite"])
    findings.compare(where, "the benchmark", score.benchmark, items.benchmark)
    findings.compare(where, "the items' hash", score.items_hash, items.items_hash)
    findings.compare(where, "the time in seconds", score.seconds, provenances[key]["seconds"])
    for verdict in ("paper", "exact"):
        _compare_outcomes(
            where, verdict, getattr(score, verdict), getattr(items, verdict), items.ids, findings
        )


def check_complete(scores: Sequence[ScoreRecord], findings: Findings) -> None:
    """Whether every benchmark that was measured together with another is there."""
    known = {(score.arm_id, score.protocol_hash) for score in scores}
    absent = {
        (score.arm_id, benchmark): None
        for score in scores
        for benchmark, protocol in score.suite_protocol.items()
        if (score.arm_id, protocol) not in known
    }
    for arm_id, benchmark in absent:
        findings.add(f"arm {arm_id}", f"its score on {benchmark} is not in the bundle")


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
