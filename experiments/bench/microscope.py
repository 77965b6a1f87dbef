"""What moving a slider of the divergence microscope costs, at the size of a large experiment."""

from __future__ import annotations

import numpy as np
from lrbench_dashboard.rollout_view import content

from experiments.bench.measuring import Figure, print_table, seconds
from lrbench.results.inspection import ScoredRollouts
from lrbench.results.microscope import Microscope
from lrbench.results.records import ArmRecord
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores

ROLLOUTS = 1000
STEPS = 128
VOCABULARY = 32_000
MOST_STORED = 12


def microscope(rollouts: int = ROLLOUTS, steps: int = STEPS) -> Figure:
    """Selection and targets of all steps at new thresholds, and one rollout made ready to be drawn."""
    scope = made_up(rollouts, steps)
    alphas = iter(np.linspace(0.05, 0.9, 12).tolist())

    def moved() -> None:
        thresholds = scope.at(next(alphas), 0.4)
        scope.summary(thresholds)
        content(scope.rollout(0, thresholds), scope.texts, 0)

    moved()
    times = [seconds(moved) for _ in range(10)]
    return Figure(f"microscope, a slider moved over {rollouts:,} x {steps} steps, s", times, "under 0.5")


def made_up(rollouts: int, steps: int) -> Microscope:
    """Scores of random distributions: divergences as far apart as real ones, up to a dozen tokens stored."""
    random = np.random.default_rng(0)
    count = rollouts * steps
    lengths = random.integers(1, MOST_STORED + 1, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    stored = int(offsets[-1])
    ids = random.integers(0, VOCABULARY, stored).astype(np.int32)
    first = ids[offsets[:-1]]
    written = first.reshape(rollouts, steps)
    return Microscope(
        ScoredRollouts(
            [
                Rollout(f"problem-{place}", 0, (0, 1), tuple(row.tolist()))
                for place, row in enumerate(written)
            ],
            Scores(
                rollout=np.repeat(np.arange(rollouts, dtype=np.int32), steps),
                step=np.tile(np.arange(steps, dtype=np.int32), rollouts),
                kl=random.lognormal(-3, 2.5, count).astype(np.float32),
                entropy_expert=random.random(count, dtype=np.float32),
                entropy_amateur=random.random(count, dtype=np.float32),
                top1_expert=first,
                top1_amateur=np.where(random.random(count) < 0.8, first, 7).astype(np.int32),
                offsets=offsets,
                support_ids=ids,
                support_log_p_expert=-random.exponential(2, stored).astype(np.float32),
                support_log_p_amateur=-random.exponential(3, stored).astype(np.float32),
            ),
            {token: f" token{token}" for token in range(VOCABULARY)},
        ),
        ArmRecord.model_construct(
            seed=0,
            settings={
                "source": "greedy",
                "selector": "kl",
                "target": "contrast",
                "divergence": {"alpha": 0.2, "beta": 0.4},
            },
        ),
        alpha_min=0.05,
    )


if __name__ == "__main__":
    print_table([microscope()])
