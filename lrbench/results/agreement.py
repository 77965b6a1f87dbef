"""Whether the ledger's records say what the artifacts behind them do: verdicts, and what was learnt from.

A record whose checksum fits can still be another than was measured, and an artifact that was lost may have
come out otherwise when it was made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from lrbench.evaluation.graded_items import read_draws
from lrbench.results.answers import Answers
from lrbench.results.completeness import EVALUATE, Address
from lrbench.results.ledger import LedgerContents
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.store.artifact import Artifact

TRAIN = "train"
# A cost, and where the statistics of training have it.
COUNTED = {
    "updates": "updates",
    "tuned_tokens": "tuned_tokens",
    "trained_steps": "trained_steps",
    "learnt_problems": "problems",
}


@dataclass(frozen=True)
class Disagreement:
    """A record that is not what its artifact says; `text` says in what."""

    record: ArmRecord | ScoreRecord
    text: str


def disagreements(contents: LedgerContents, artifacts: Mapping[Address, Artifact]) -> Iterator[Disagreement]:
    """The scores and costs of `contents` that are not those of the verified `artifacts`.

    What comes from an artifact that is not among them is not judged.
    """
    for score in contents.scores:
        evaluation = artifacts.get((EVALUATE, score.evaluation_key))
        if evaluation is not None:
            yield from _of_score(score, evaluation)
    for arm in contents.arms:
        key = arm.stages.get(TRAIN)
        trained = None if key is None else artifacts.get((TRAIN, key))
        if key is None or trained is not None:
            yield from _of_arm(arm, trained)


def _of_score(score: ScoreRecord, evaluation: Artifact) -> Iterator[Disagreement]:
    answers = Answers.of(read_draws(evaluation))
    for name, recorded, found in (
        ("paper", "".join(score.outcomes), "".join(answers.draws or (answers.paper,))),
        ("exact", score.exact, answers.exact),
        ("majority", score.majority or "", answers.majority or ""),
    ):
        if recorded != found:
            wrong = sum(own != other for own, other in zip_longest(recorded, found))
            yield Disagreement(
                score,
                f"{wrong} of the {len(recorded):,} {name} verdicts of {score.recipe}/{score.arm} on "
                f"{score.benchmark} are not those of its evaluation, which has {len(found):,}",
            )
            return
    tokens = evaluation.statistics["tokens"]
    if score.tokens is not None and score.tokens != tokens:
        yield Disagreement(
            score,
            f"the answers of {score.recipe}/{score.arm} on {score.benchmark} are recorded with "
            f"{score.tokens:,} tokens, its evaluation counted {tokens:,}",
        )


def _of_arm(arm: ArmRecord, trained: Artifact | None) -> Iterator[Disagreement]:
    statistics = {} if trained is None else trained.statistics
    for name, counted in COUNTED.items():
        recorded, found = getattr(arm.costs, name), statistics.get(counted, 0)
        if recorded != found:
            yield Disagreement(
                arm,
                f"the {name.replace('_', ' ')} of {arm.recipe}/{arm.arm} are recorded as {recorded:,}, "
                f"its training counted {found:,}",
            )
            return
