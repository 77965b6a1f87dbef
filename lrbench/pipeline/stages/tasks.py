"""What a stage will do, in sizes alone: how long that takes on a machine is for `estimating` to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lrbench.models.source import LocatedModel
from lrbench.recipe.schema import EngineChoice

if TYPE_CHECKING:
    from lrbench.pipeline.stages.base import Stage


@dataclass(frozen=True)
class Writing:
    """A model writes `rows` completions, `per_shard` of them at a time, with on average `mean` tokens each.

    `most` is the most tokens that one may have. Where it goes on from what is there, `given` tokens on
    average are read with the prompt. Of the rows that are usually written at once it writes as many as
    `narrowed` says. Shards may be one queue where that is `queueing`, and one with what another stage writes
    where that `continues` its queue. The models `beside` read every token too.
    """

    model: LocatedModel
    engine: EngineChoice
    rows: int
    per_shard: int
    mean: float
    most: int
    narrowed: Callable[[int], int] = int
    queueing: bool = False
    continues: bool = False
    given: float = 0.0
    beside: tuple[LocatedModel, ...] = ()


@dataclass(frozen=True)
class Scoring:
    """Models read rollouts, `per_shard` of them at a time, and give distributions at `steps` of each."""

    models: tuple[LocatedModel, ...]
    rollouts: float
    steps: float
    per_shard: int


@dataclass(frozen=True)
class Learning:
    """Updates that each read `rollouts` of `steps` tokens behind their prompts, and learn at `kept` in all.

    So many `rereadings` of the same come before, from which nothing is learnt. `rank` is that of the adapter
    that learns. Updates end once they took `seconds`. What the recipe says
    under `runtime` of processes and memory holds where `as_declared`.
    """

    model: LocatedModel
    updates: int
    rollouts: float
    steps: float
    kept: float
    rank: int = 0
    seconds: float | None = None
    as_declared: bool = False
    rereadings: int = 0


@dataclass(frozen=True)
class Several:
    """Tasks that one stage does by turns, with the same model."""

    tasks: tuple[Writing | Scoring | Learning, ...]


Task = Writing | Scoring | Learning | Several


@dataclass(frozen=True)
class FirstLayers:
    """A model that a stage makes, by the `identity` it is known under: so many first layers of another."""

    identity: str
    model: LocatedModel
    layers: int


class Known(Protocol):
    """What is known before a stage is made: of stages that are finished, and of earlier runs."""

    def statistics(self, stage: Stage) -> Mapping[str, Any] | None:
        """What a finished stage measured; None where it is not finished."""

    def usual(self, stage: Stage, model: LocatedModel) -> float:
        """Tokens of a completion of `model` in earlier stages of this kind, or else as is usual."""


def mean_written(stage: Stage, known: Known, model: LocatedModel, most: int | None) -> float:
    """Tokens of a completion that `stage` writes: of those there are, or else what is usual, up to `most`."""
    found = known.statistics(stage)
    rows = stage.completions(found) if found else 0
    if found and rows:
        return stage.written(found) / rows
    usual = known.usual(stage, model)
    return float(usual if most is None else min(most, usual))
