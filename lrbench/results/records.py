"""What the ledger holds: one record per arm made, one per arm and benchmark measured.

An arm record says how a model came to be (recipe, costs, curves, what its steps looked like); a
score record says what it got right, item by item. Both are identified by what they say, so writing
one twice is writing it once.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lrbench.store.keys import stable_hash

Outcomes = Annotated[str, Field(pattern=r"^[01]*$")]


class Record(BaseModel):
    """Base of ledger records: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def identity(self) -> str:
        """Hash of all that is said except when it was recorded."""
        return stable_hash(self.model_dump(mode="json", exclude={"recorded_at"}))


class Costs(BaseModel):
    """What an arm cost to make. Seconds are wall-clock, by stage, the first time the work was done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tuned_tokens: int = 0
    sampled_problems: int = 0
    sampled_tokens: int = 0
    seconds: dict[str, float] = {}


class ArmRecord(Record):
    """How one arm of one recipe was made.

    `arm_id` names the arm's model and how it was declared; `curves` maps a metric name to its values
    as [update, value] pairs; `statistics` is what the stages reported (share of steps kept, KL
    histogram ...); `stages` maps stage names to their keys.
    """

    kind: Literal["arm"] = "arm"
    arm_id: str
    recipe: str
    recipe_hash: str
    recipe_yaml: str
    arm: str
    seed: int
    expert: str
    amateur: str | None
    settings: dict[str, Any]
    costs: Costs
    statistics: dict[str, Any] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    stages: dict[str, str]
    environment: dict[str, str]
    recorded_at: str


class ScoreRecord(Record):
    """What one arm scored on one benchmark under one protocol.

    `paper` and `exact` hold one 0 or 1 per item, in the benchmark's order, under the two verdicts;
    `items_hash` identifies the items, so that two outcomes are paired only over the same ones.
    """

    kind: Literal["score"] = "score"
    arm_id: str
    recipe: str
    arm: str
    seed: int
    expert: str
    suite: str
    benchmark: str
    protocol: dict[str, Any]
    protocol_hash: str
    items_hash: str
    paper: Outcomes
    exact: Outcomes
    evaluation_key: str
    seconds: float
    recorded_at: str

    @property
    def n(self) -> int:
        """Number of items measured."""
        return len(self.paper)

    @property
    def correct(self) -> int:
        """Items right under the paper verdict, the one the board ranks."""
        return self.paper.count("1")

    @property
    def correct_exact(self) -> int:
        """Items right under the exact verdict."""
        return self.exact.count("1")


def items_hash(item_ids: list[str]) -> str:
    """Identity of a list of items, in order."""
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()
