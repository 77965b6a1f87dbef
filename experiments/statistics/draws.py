"""How intervals and tests for draws, groups and confidences err: `python -m experiments.statistics.draws`.

The functions of the product on drawn outcomes. Items' rates are Beta(c mean, c (1 - mean)): c = 1 is spread
like a bowl (most items always or hardly ever solved), c = 4 like a hill, `alike` has no spread. All items of
a group have the group's rate, and are correlated by 1 / (1 + c).

Letters of shapes: N items, M draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from lrbench.evaluation.statistics import (
    COMPETITION,
    SIGNIFICANCE,
    PairedDraws,
    average_at_k,
    calibration,
    compare_average,
    mean_share,
    pass_at_k_of_items,
    wilson_interval,
)

SETS = 1500
RATES = (0.5, 0.7, 0.9)
BETWEEN = (0.1, 0.158, 0.25)
SPREADS = {"bowl": 1.0, "hill": 4.0, "alike": None}


def rates(mean: float, spread: float | None, count: int, generator: np.random.Generator) -> np.ndarray:
    """The rates of `count` items or groups, [N]."""
    if spread is None:
        return np.full(count, mean)
    return generator.beta(spread * mean, spread * (1 - mean), size=count)


def pass_rate(mean: float, spread: float | None, k: int) -> float:
    """The mean over all items of 1 - (1 - p)^k."""
    from scipy.special import betaln

    if spread is None:
        return 1 - (1 - mean) ** k
    first, second = spread * mean, spread * (1 - mean)
    return float(1 - np.exp(betaln(first, second + k) - betaln(first, second)))


def coverage_of_draws(items: int, draws: int, k: int, mean: float, spread: float | None) -> float:
    """How often the 95% interval of pass@k holds what it estimates; with k = 1 that of avg@M."""
    generator = np.random.default_rng(items + draws + k)
    truth, held = pass_rate(mean, spread, k), 0
    for _ in range(SETS):
        rate_N1 = rates(mean, spread, items, generator)[:, None]
        right_NM = generator.random((items, draws)) < rate_N1
        estimate = average_at_k(right_NM) if k == 1 else pass_at_k_of_items(right_NM, k)
        held += truth in estimate.interval
    return held / SETS


def coverage_of_groups(sizes: np.ndarray, mean: float, correlation: float) -> tuple[float, float]:
    """How often the intervals hold the rate that count groups, and that do not (Wilson's)."""
    generator = np.random.default_rng(len(sizes))
    groups = np.repeat(np.arange(len(sizes)), sizes).astype(str).tolist()
    held, held_alone = 0, 0
    for _ in range(SETS):
        rate_N = np.repeat(rates(mean, 1 / correlation - 1, len(sizes), generator), sizes)
        right_N = (generator.random(len(rate_N)) < rate_N).astype(float)
        held += mean in mean_share(right_N, groups).interval
        held_alone += mean in wilson_interval(int(right_N.sum()), len(right_N))
    return held / SETS, held_alone / SETS


def errors_of_difference(
    items: int, draws: int, group: int, between: float, gain: float = 0.0, sets: int = SETS
) -> tuple[float, float]:
    """How often two models `gain` apart are separated, and how often the interval holds the gain.

    An item's true difference is `between` one way or the other, the same for all items of a group.
    """
    generator = np.random.default_rng(items * draws + group)
    names = np.repeat(np.arange(items // group), group).astype(str).tolist() if group > 1 else None
    separated, held = 0, 0
    for _ in range(sets):
        middle_N = generator.uniform(0.2, 0.8 - gain, size=items)
        either_N = np.repeat(generator.choice([-between, between], size=items // group), group) / 2
        both = [
            generator.random((items, draws)) < (middle_N + shift)[:, None]
            for shift in (gain + either_N, -either_N)
        ]
        found = compare_average([PairedDraws(*both, names)])
        separated += found.p < SIGNIFICANCE
        held += 100 * gain in found.interval
    return separated / sets, held / sets


def forecasts(kind: str, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The confidences of a forecaster, and the chances with which its answers are right."""
    if kind == "constant":
        return np.full(count, 0.8), np.full(count, 0.65)
    confidence_N = generator.beta(3, 1.2, size=count)
    return confidence_N, confidence_N**2 if kind == "overconfident" else confidence_N


def coverage_of_calibration(kind: str, count: int, sets: int) -> tuple[float, ...]:
    """How often intervals hold the calibration error, the Brier score and the area; how often the error
    stays below what a calibrated forecaster's does.
    """
    generator = np.random.default_rng(count)
    many_N, chance_N = forecasts(kind, 400_000, generator)
    truth = calibration(many_N, generator.random(len(many_N)) < chance_N)
    place_N = np.maximum(np.ceil(many_N * 10).astype(int) - 1, 0)
    error = float(np.abs(np.bincount(place_N, many_N - chance_N)).sum()) / len(many_N)
    brier = float(np.mean((many_N - chance_N) ** 2 + chance_N * (1 - chance_N)))
    held = np.zeros(4)
    for _ in range(sets):
        confidence_N, chance_N = forecasts(kind, count, generator)
        found = calibration(confidence_N, generator.random(count) < chance_N)
        assert truth.area is not None
        assert found.area is not None
        held += (
            error in found.error.interval,
            brier in found.brier.interval,
            truth.area.value in found.area.interval,
            found.error.value <= found.error_of_calibrated,
        )
    return tuple(held / sets)


def draws_rows() -> Iterator[tuple[object, ...]]:
    """Per number of items, the measure and the spread: coverage at the rates."""
    for items in (30, 100, 500):
        for draws, k in ((8, 1), (64, 1), (8, 4), (64, 8)):
            for name, spread in SPREADS.items():
                found = [coverage_of_draws(items, draws, k, mean, spread) for mean in RATES]
                yield items, f"avg@{draws}" if k == 1 else f"pass@{k} of {draws}", name, *map(_three, found)


def groups_rows() -> Iterator[tuple[object, ...]]:
    """Per kind of groups and correlation: coverage with groups counted and without, at 0.7 and 0.9."""
    kinds = {
        "100 of 10": np.full(100, 10),
        "18 of 60": np.full(18, 60),
        "100 uneven": np.random.default_rng(0).geometric(0.1, size=100),
    }
    for name, sizes in kinds.items():
        for correlation in (0.01, 0.1, 0.3, 0.5):
            found = [coverage_of_groups(sizes, mean, correlation) for mean in (0.7, 0.9)]
            yield name, correlation, *(_three(share) for pair in found for share in pair)


def difference_rows() -> Iterator[tuple[object, ...]]:
    """Per design: false separations, and coverage."""
    for items, draws, group in (
        (30, 8, 1),
        (30, 64, 1),
        (100, 8, 1),
        (500, 8, 1),
        (1000, 1, 10),
        (300, 4, 10),
        (1080, 1, 60),
    ):
        for between in (0.0, 0.3):
            yield (
                items,
                draws,
                group,
                between,
                *map(_three, errors_of_difference(items, draws, group, between)),
            )


def power_rows() -> Iterator[tuple[object, ...]]:
    """What sets like a competition's detect, with other numbers of items and draws."""
    for items in (30, 60, 240):
        for draws in (1, 8, 64):
            design = replace(COMPETITION, items=items, draws=draws)
            found = [replace(design, between=sd).smallest_detectable_difference() for sd in BETWEEN]
            yield items, draws, *(f"{points:.1f}" for points in found)


def calibration_rows() -> Iterator[tuple[object, ...]]:
    """Per forecaster: coverage of error, Brier score and area, and how often it passes for calibrated."""
    for kind in ("perfect", "overconfident", "constant"):
        for count in (100, 1000):
            yield kind, count, *map(_three, coverage_of_calibration(kind, count, SETS // 5))


def _three(share: float) -> str:
    return f"{share:.3f}"


TABLES: tuple[tuple[tuple[str, ...], Callable[[], Iterable[tuple[object, ...]]]], ...] = (
    (("items", "measure", "rates", *(f"at {rate}" for rate in RATES)), draws_rows),
    (("groups", "correlation", "at 0.7", "uncounted", "at 0.9", "uncounted"), groups_rows),
    (("items", "draws", "group", "between", "separated", "coverage"), difference_rows),
    (("items", "draws", *(f"between {sd}" for sd in BETWEEN)), power_rows),
    (("forecaster", "n", "error", "Brier", "area", "passes"), calibration_rows),
)


def main() -> None:
    """Print the tables: shares of sets, Monte-Carlo error 0.006 at 5% (0.013 for forecasters)."""
    for columns, rows in TABLES:
        print(f"\n| {' | '.join(columns)} |")
        print(f"| {' | '.join('---' for _ in columns)} |")
        for row in rows():
            print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
