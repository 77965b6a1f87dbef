"""What scores take on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.bench.subjects import embedded, to_the_end
from lrbench.pipeline.stages.samples import ROLLOUTS_PER_SHARD
from lrbench.sampling.rollouts import groups_of
from lrbench.sampling.scores import read_scores, write_scores
from lrbench.sampling.scoring import score_rollouts

MOST_BYTES = 200


@pytest.mark.parametrize("problems", [8, 80])
@pytest.mark.parametrize("length", ["until they stop", "to the end"])
def test_a_step_of_the_embedded_pair_takes_at_most_200_bytes(
    tmp_path: Path, problems: int, length: str
) -> None:
    """In shards as runs write them, the last of which is not full."""
    subject = embedded(problems)[1]
    if length == "to the end":
        subject = to_the_end(subject).first(8)
    paths = []
    for number, group in enumerate(groups_of(subject.rollouts, ROLLOUTS_PER_SHARD)):
        paths.append(tmp_path / f"part-{number}.parquet")
        write_scores(paths[-1], score_rollouts(subject.pair, group, alpha_min=0.05))
    steps = sum(rollout.steps for rollout in subject.rollouts)
    assert len(read_scores(paths)) == steps > 50
    size = sum(path.stat().st_size for path in paths) / steps
    assert 10 < size <= MOST_BYTES
