"""Looking into a result: its graded items, its rollouts step by step. Reads the store and writes nothing.

No model and no tokenizer is needed: artifacts hold their problems' texts and what their token ids read as.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrbench.errors import StoreError
from lrbench.evaluation.graded_items import read_draws, read_items
from lrbench.methods.readings import Reading
from lrbench.methods.source import SEEN
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.sampling.continuing import Verdicts, read_verdicts
from lrbench.sampling.rollouts import Rollout, read_rollouts
from lrbench.sampling.scores import Scores, read_scores
from lrbench.sampling.token_texts import TOKENS_FILE, read_token_texts
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store

EVALUATION = "evaluate"
# Begins the name that a record has for scores of another reading than the pair's; its two models follow.
BESIDE = "scores "


@dataclass(frozen=True)
class ScoredRollouts:
    """The rollouts an arm learnt from, with both models' scores of every step.

    `scores.rollout` indexes `rollouts`; `texts` maps every token id that occurs to what it reads as. `others`
    are scores of the same steps under other readings than the pair's, and `continued` what became of other
    tokens at them, in the order of the ingredients that ask for it.
    """

    rollouts: list[Rollout]
    scores: Scores
    texts: dict[int, str]
    others: Mapping[Reading, Scores] = field(default_factory=dict)
    continued: tuple[Verdicts, ...] = ()


class Inspector:
    """What the store of a `runs` folder holds behind the records of its ledger.

    Every method raises `StoreError` with a message for the user when the artifact is gone or damaged.
    """

    def __init__(self, runs: Path) -> None:
        self.store = Store(runs / "store")

    def items(self, score: ScoreRecord) -> list[dict[str, Any]]:
        """The graded items of a score in the benchmark's order; fields as in `evaluation.harness.Item`."""
        if score.imported:
            raise StoreError(
                f"the outcomes on {score.benchmark} were imported: what was asked and answered is in the "
                "file that they come from"
            )
        return list(read_items(self.artifact(EVALUATION, score.evaluation_key)))

    def answers(self, score: ScoreRecord) -> Iterator[dict[str, Any]]:
        """Every graded answer of a score that was measured here, of sampled ones all draws of an item."""
        return read_draws(self.artifact(EVALUATION, score.evaluation_key))

    def scored_rollouts(self, arm: ArmRecord) -> ScoredRollouts | None:
        """The scored rollouts of an arm; None for an arm that no amateur had a part in."""
        if "scores" not in arm.stages:
            return None
        scores = self.artifact("scores", arm.stages["scores"])
        rollouts_key = scores.inputs["rollouts"]
        source = next(stage for stage, key in arm.addresses.values() if key == rollouts_key)
        readings = {name: tuple(name.split()[1:]) for name in arm.stages if name.startswith(BESIDE)}
        others = {
            (models[0], models[1]): read_scores(_parquet_files(self.artifact("scores", arm.stages[name])))
            for name, models in readings.items()
        }
        return ScoredRollouts(
            rollouts=read_rollouts(_parquet_files(self.artifact(source, rollouts_key))),
            scores=read_scores(_parquet_files(scores)),
            texts=read_token_texts(scores.file(TOKENS_FILE)),
            others=others,
            continued=tuple(
                read_verdicts(_parquet_files(self.artifact(stage, key)))
                for _, (stage, key) in sorted(arm.addresses.items())
                if stage in SEEN
            ),
        )

    def stages(self, arm: ArmRecord) -> Iterator[tuple[str, Artifact | StoreError]]:
        """The artifact of every stage behind an arm by the stage's name, or why there is none."""
        for name, (stage, key) in arm.addresses.items():
            try:
                yield name, self.artifact(stage, key)
            except StoreError as error:
                yield name, error

    def artifact(self, stage: str, key: str) -> Artifact:
        """The verified artifact of a stage."""
        artifact = self.store.look(stage, key)
        if artifact is None:
            raise StoreError(
                f"{stage}/{key} is not in {self.store.root}: the ledger has its results, but what they were "
                "made from was removed. Running the recipe again makes it anew."
            )
        return artifact


def _parquet_files(artifact: Artifact) -> list[Path]:
    return [artifact.file(record.name) for record in artifact.files if record.name.endswith(".parquet")]
