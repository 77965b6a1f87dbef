"""How the rule for few seeds errs and what it finds: `python -m experiments.statistics.seeds`.

Worlds of arms whose run means are normal, with the seven published sizes. Two arms' runs differ on 15% of the
items, two runs of one arm on 8%; the standard deviation between seeds is 0.8 points on a benchmark, half of
the variance common to all benchmarks. The rule is that of the product; only its inputs are drawn.

Letters of shapes: D draws, A arms, S seeds, K benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrbench.evaluation.statistics import SIGNIFICANCE
from lrbench.evaluation.statistics.seed_differences import errors_within, random_freedom, random_part

SIZES_K = np.array([1319, 5000, 1000, 2215, 272, 675, 3018])
SEED_SD = 0.008
WITHIN, BETWEEN = 0.08, 0.15
DRAWS = 4000


@dataclass(frozen=True)
class World:
    """`arms` arms with `seeds` seeds each; the first two are compared.

    `over_arms` and `over_benchmarks` are the log-SD of the standard deviation between seeds. `second_runs`
    gives the second arm another number of seeds; `base` makes it untrained, one run without any luck.
    `by_rate` gives arms accuracies from 40 to 95%, and seeds a variance that goes with p(1 - p).
    """

    name: str
    arms: int
    seeds: int
    over_arms: float = 0.0
    over_benchmarks: float = 0.0
    second_runs: int | None = None
    base: bool = False
    by_rate: bool = False

    def separated(self, gain: float, seed: int, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
        """Whether benchmarks [D, K] (Holm over them) and averages [D] are separated.

        `gain` is the true difference, a share: of the first benchmark alone, and of the average.
        """
        generator = np.random.default_rng(seed)
        spread_DAK = SEED_SD * np.exp(
            self.over_arms * generator.normal(size=(draws, self.arms, 1))
            + self.over_benchmarks * generator.normal(size=(draws, self.arms, len(SIZES_K)))
        )
        if self.by_rate:
            rate_DA1 = generator.uniform(0.4, 0.95, size=(draws, self.arms, 1))
            spread_DAK *= np.sqrt(rate_DA1 * (1 - rate_DA1)) / 0.4
        common_DAS1 = generator.normal(size=(draws, self.arms, self.seeds, 1))
        own_DASK = generator.normal(size=(draws, self.arms, self.seeds, len(SIZES_K)))
        chance_DASK = generator.normal(size=own_DASK.shape) * np.sqrt(WITHIN / 2 / SIZES_K)
        runs_DASK = spread_DAK[:, :, None] * (common_DAS1 + own_DASK) / np.sqrt(2) + chance_DASK
        if self.base:
            runs_DASK[:, 1] = 0.0
        items_DK = generator.normal(size=(draws, len(SIZES_K))) * np.sqrt((BETWEEN - WITHIN) / SIZES_K)
        p_DK = self._p(runs_DASK, items_DK + gain * (np.arange(len(SIZES_K)) == 0), 1 / SIZES_K)
        average_D1 = runs_DASK.mean(axis=-1, keepdims=True)
        per_item = np.array([np.sum(1 / SIZES_K) / len(SIZES_K) ** 2])
        p_D1 = self._p(average_D1, items_DK.mean(axis=1, keepdims=True) + gain, per_item)
        return _holm(p_DK) < SIGNIFICANCE, p_D1[:, 0] < SIGNIFICANCE

    def _p(self, runs_DASK: np.ndarray, items_DK: np.ndarray, per_item_K: np.ndarray) -> np.ndarray:
        """The two-sided p of the first arm against the second."""
        from scipy.special import ndtr

        counts = (self.seeds, 1 if self.base else self.second_runs or self.seeds)
        pooled = np.array([not (self.base and arm == 1) for arm in range(self.arms)])
        both = [runs_DASK[:, arm, :count] for arm, count in enumerate(counts)]
        variances = tuple(
            one.var(axis=1, ddof=1) if one.shape[1] > 1 else np.zeros_like(one[:, 0]) for one in both
        )
        rest = runs_DASK[:, 2:].var(axis=2, ddof=1) if self.seeds > 1 else np.zeros((len(items_DK), 0, 1))
        parts = [(variances[arm], counts[arm] - 1) for arm in (0, 1) if counts[arm] > 1 and pooled[arm]]
        parts += [(rest[:, arm], self.seeds - 1) for arm in range(rest.shape[1])]
        freedom = sum(degrees for _, degrees in parts)
        pool = sum(variance * degrees for variance, degrees in parts) / freedom
        crossed = sum(WITHIN / 2 / count for count, arm in zip(counts, (0, 1), strict=True) if pooled[arm])
        alone_K = (BETWEEN - WITHIN + crossed) * per_item_K
        # Of an arm of one run it is not known what of the items' noise is the run's.
        known = sum(WITHIN / 2 / count for count in counts if count > 1)
        item_K = alone_K - known * per_item_K
        run_part = random_part(variances, counts, (False, self.base), pool)
        gap = np.abs(both[0].mean(axis=1) - both[1].mean(axis=1) + items_DK)
        degrees = random_freedom(counts, freedom)
        return 2 * ndtr(-errors_within(gap, (item_K + 0 * gap, alone_K + 0 * gap), run_part, degrees))


def worlds() -> Iterator[World]:
    """The worlds of the table in docs/statistics.md."""
    for arms, seeds in ((3, 2), (6, 2), (10, 2), (30, 2), (3, 3), (6, 3), (10, 3)):
        alike = World("alike", arms, seeds)
        yield alike
        yield replace(alike, name="differing", over_arms=0.6, over_benchmarks=0.4)
        yield replace(alike, name="extreme", over_arms=1.0, over_benchmarks=0.5)
    for arms, seeds in ((2, 2), (6, 2), (6, 3)):
        differing = World("differing", arms, seeds, 0.6, 0.4)
        yield replace(differing, name="differing, against base", base=True)
        if seeds == 3:
            yield replace(differing, name="differing, 3 seeds against 1", second_runs=1)
        yield replace(differing, name="differing, by p(1-p)", by_rate=True)


def main() -> None:
    """Print the table: shares of draws, Monte-Carlo error 0.0035 at 5%."""
    columns = ("error: benchmark", "any of 7", "average", "power +5", "power +10", "average +5")
    print(f"| arms | seeds | seeds' spread | {' | '.join(columns)} |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for world in worlds():
        false_DK, false_D = world.separated(0.0, seed=1)
        five_DK, five_D = world.separated(0.05, seed=2)
        ten_DK, _ = world.separated(0.1, seed=3)
        shares = (false_DK.mean(), false_DK.any(axis=1).mean(), false_D.mean())
        powers = (five_DK[:, 0].mean(), ten_DK[:, 0].mean(), five_D.mean())
        shown = " | ".join([*(f"{share:.3f}" for share in shares), *(f"{power:.2f}" for power in powers)])
        print(f"| {world.arms} | {world.seeds} | {world.name} | {shown} |")


def _holm(p_DK: np.ndarray) -> np.ndarray:
    order_DK = np.argsort(p_DK, axis=1)
    steps_K = np.arange(p_DK.shape[1], 0, -1)
    sorted_DK = np.maximum.accumulate(np.take_along_axis(p_DK, order_DK, axis=1) * steps_K, axis=1)
    adjusted_DK = np.empty_like(p_DK)
    np.put_along_axis(adjusted_DK, order_DK, np.minimum(1.0, sorted_DK), axis=1)
    return adjusted_DK


if __name__ == "__main__":
    main()
