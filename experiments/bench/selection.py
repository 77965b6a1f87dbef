"""What a sweep of alpha and beta costs once scores are stored, and how large these are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from experiments.bench.comparisons import ALPHA_MIN
from experiments.bench.measuring import Figure, seconds
from experiments.bench.subjects import Subject
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.pipeline.stages.samples import ROLLOUTS_PER_SHARD, ArmSamples
from lrbench.recipe.schema import Divergence
from lrbench.sampling.rollouts import Rollout, groups_of, write_rollouts
from lrbench.sampling.scores import write_scores
from lrbench.sampling.scoring import score_rollouts

ROLLOUTS = 1000
ALPHAS = (0.05, 0.1, 0.2, 0.4, 0.8)
BETAS = (0.1, 0.2, 0.4, 0.8, 1.6)


class Shelf:
    """Files in a folder, which stages read as an artifact and write as a draft."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.folder = folder / stage
        self.folder.mkdir()
        self.stage = self.key = stage

    @property
    def files(self) -> list[Any]:
        """The names and sizes of all files."""
        return [
            SimpleNamespace(name=path.name, size=path.stat().st_size)
            for path in sorted(self.folder.iterdir())
        ]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for record in self.files)

    def file(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / name

    def commit(self, name: str, write: Callable[[Path], object], spent: float = 0.0) -> None:
        """Have a file written."""
        del spent
        write(self.file(name))


class Once:
    """What a workspace does for samples: reading once."""

    def __init__(self) -> None:
        self.read: dict[str, Any] = {}

    def read_once(self, artifact: Shelf, read: Callable[[Shelf], Any]) -> Any:
        """What was read the first time."""
        if artifact.key not in self.read:
            self.read[artifact.key] = read(artifact)
        return self.read[artifact.key]


def sweep(subject: Subject) -> Iterator[Figure]:
    """Selection at 25 points over the stored scores of 1,000 rollouts."""
    written = subject.rollouts
    rollouts = [written[index % len(written)] for index in range(ROLLOUTS)]
    steps = sum(rollout.steps for rollout in rollouts) / ROLLOUTS
    with tempfile.TemporaryDirectory() as folder:
        inputs = store(subject, rollouts, Path(folder))
        workspace = Once()
        took = [
            seconds(lambda point=point, place=place: _select(inputs, workspace, point, Path(folder), place))
            for place, point in enumerate(product(ALPHAS, BETAS))
        ]
    over = f"over {ROLLOUTS:,} rollouts of {steps:.0f} steps"
    yield Figure(f"selection at one of {len(took)} points {over}, s", took)
    yield Figure(f"selection at {len(took)} points {over}, s", [sum(took)], "under 2")


def stored_size(name: str, subject: Subject) -> Figure:
    """How large the scores of a step are on the disk, in shards of the size that runs have."""
    rollouts = subject.rollouts
    with tempfile.TemporaryDirectory() as folder:
        scores = store(subject, rollouts, Path(folder))["scores"]
        steps = sum(rollout.steps for rollout in rollouts)
        sizes = [scores.size / steps]
    return Figure(f"stored scores, {name}, bytes a step", sizes, "at most 200")


def store(subject: Subject, rollouts: list[Rollout], folder: Path) -> dict[str, Shelf]:
    """The rollouts and their scores on the disk, in shards as the stages write them."""
    shelves = {name: Shelf(folder, name) for name in ("rollouts", "scores")}
    for number, group in enumerate(groups_of(rollouts, ROLLOUTS_PER_SHARD)):
        name = f"part-{number:05d}.parquet"
        write_rollouts(shelves["rollouts"].file(name), group)
        first = number * ROLLOUTS_PER_SHARD
        scores = score_rollouts(subject.pair, group, alpha_min=ALPHA_MIN, first_index=first)
        write_scores(shelves["scores"].file(name), scores)
    return shelves


def _select(
    inputs: dict[str, Shelf], workspace: Once, point: tuple[float, float], folder: Path, place: int
) -> None:
    ingredients = BY_NAME["lightr"].ingredients
    assert ingredients is not None
    stage = ArmSamples(
        rollouts=cast(Any, None),
        readings=((PAIR, cast(Any, SimpleNamespace(least_mass=None))),),
        ingredients=ingredients.completed(Divergence(alpha=point[0], beta=point[1])),
    )
    progress = SimpleNamespace(advance=lambda _: None)
    stage.work(
        cast(Any, Shelf(folder, f"samples-{place}")),
        cast(Any, inputs),
        cast(Any, workspace),
        cast(Any, progress),
    )
