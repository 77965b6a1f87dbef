"""Whether the ledger and the store tell one story: lines that were lost, artifacts that went away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lrbench.results.ledger import LedgerContents
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.artifact import Origin
from lrbench.store.keys import stable_hash
from lrbench.suites.shipped import SHIPPED
from lrbench.suites.suite import shipped_suite

EVALUATE = "evaluate"
MOST_NAMED = 3
# What of a protocol differs between the benchmarks of one evaluation.
_OF_ONE_BENCHMARK = frozenset(
    {
        *("task", "data", "items", "benchmark", "set", "prompt", "system_prompt", "examples", "shots"),
        *("max_new_tokens", "stop", "grader", "grader_version", "plugins", "tasks"),
    }
)

Address = tuple[str, str]


@dataclass(frozen=True)
class Gap:
    """Something that one of them tells and the other does not.

    `lost` where it cannot be work that was interrupted; `text` says what is missing and what to do.
    """

    lost: bool
    text: str


def gaps(contents: LedgerContents, artifacts: Mapping[Address, Origin], damaged: set[Address]) -> list[Gap]:
    """Every gap between the ledger's `contents` and the finished `artifacts` by stage and key.

    What is `damaged` is there, and told elsewhere.
    """
    return [
        *_scores_without_arm(contents),
        *_arms_without_recipe(contents),
        *_arms_without_score(contents),
        *_missing_scores(contents.scores),
        *_unrecorded(contents, artifacts),
        *_missing_artifacts(contents, artifacts.keys() | damaged),
    ]


def _scores_without_arm(contents: LedgerContents) -> Iterator[Gap]:
    known = {record.arm_id for record in contents.arms}
    lost = {_name(score) for score in contents.scores if score.arm_id not in known}
    if lost:
        yield Gap(True, f"ledger: no record of how {_listed(lost)} was made, though it has scores; {_AGAIN}")


def _arms_without_recipe(contents: LedgerContents) -> Iterator[Gap]:
    meant = {arm_id for record in contents.recipes for arm_id in record.arm_ids}
    lost = {_name(record) for record in contents.arms if record.arm_id not in meant}
    if lost:
        yield Gap(True, f"ledger: no recipe's record means {_listed(lost)}, which was made; {_AGAIN}")


def _arms_without_score(contents: LedgerContents) -> Iterator[Gap]:
    """Arms that nothing was measured of: an arm is recorded together with its first scores."""
    measured = {score.arm_id for score in contents.scores}
    lost = {_name(record) for record in contents.arms if record.arm_id not in measured}
    if lost:
        yield Gap(True, f"ledger: no score of {_listed(lost)}, though one was recorded with it; {_AGAIN}")


def _missing_scores(scores: Iterable[ScoreRecord]) -> Iterator[Gap]:
    """Benchmarks of an evaluation that have no score: they are recorded together or not at all."""
    found: dict[tuple[str, str], list[ScoreRecord]] = defaultdict(list)
    for score in scores:
        # A result file may lack a benchmark that others of its import have.
        if not score.imported:
            found[score.arm_id, stable_hash(score.suite_protocol)].append(score)
    for together in found.values():
        missing = together[0].suite_protocol.keys() - {score.benchmark for score in together}
        if missing:
            text = f"ledger: no scores of {_name(together[0])} on {_listed(missing)}; {_AGAIN}"
            yield Gap(True, text)


def _unrecorded(contents: LedgerContents, artifacts: Mapping[Address, Origin]) -> Iterator[Gap]:
    """Finished measurements that no score tells of: lost where the evaluation was finished as a whole."""
    recorded = {score.evaluation_key for score in contents.scores}
    evaluations: dict[str, list[str]] = defaultdict(list)
    suites: dict[str, str] = {}
    for (stage, key), origin in artifacts.items():
        if stage == EVALUATE:
            together = _evaluation(origin)
            evaluations[together].append(key)
            suites[together] = str(origin.identity.get("protocol", {}).get("suite"))
    for together, keys in evaluations.items():
        waiting = [key for key in keys if key not in recorded]
        if waiting:
            suite = suites[together]
            whole = suite not in SHIPPED or len(keys) >= len(shipped_suite(suite).names)
            state = "is not in the ledger" if whole else "belongs to an evaluation that is not finished"
            places = _listed(f"{EVALUATE}/{key[:8]}" for key in waiting)
            yield Gap(whole, f"{places}: finished, but {state}; {_AGAIN}")


def _missing_artifacts(contents: LedgerContents, there: set[Address]) -> Iterator[Gap]:
    behind: dict[Address, ArmRecord | ScoreRecord] = {}
    for record in contents.arms:
        behind |= dict.fromkeys(record.addresses.values(), record)
    for score in contents.scores:
        if not score.imported:
            behind.setdefault((EVALUATE, score.evaluation_key), score)
    gone = [f"{stage}/{key[:8]} of {_name(behind[stage, key])}" for stage, key in behind.keys() - there]
    if gone:
        yield Gap(True, f"store: not there any more, though results come from it: {_listed(gone)}; {_AGAIN}")


_AGAIN = "the next run of its recipe mends this"


def _evaluation(origin: Origin) -> str:
    """The same for all benchmarks measured together."""
    protocol = origin.identity.get("protocol", {})
    common = {name: value for name, value in protocol.items() if name not in _OF_ONE_BENCHMARK}
    return stable_hash([origin.identity.get("expert"), common, origin.inputs])


def _name(record: ArmRecord | ScoreRecord) -> str:
    seed = [] if record.seed is None else [str(record.seed)]
    return "/".join([record.recipe, record.arm, *seed])


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - MOST_NAMED
    return ", ".join(ordered[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
