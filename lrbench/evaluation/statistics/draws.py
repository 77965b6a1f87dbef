"""Several sampled answers to every item: avg@k, pass@k, maj@k, each counting the items and their draws.

Items are random and so are their draws, but the draws of one item are not independent of one another: one
that is hard is hard every time. Counting n x k outcomes as independent covers 42 to 88 times in 100 where 95
are said; counting items alone is up to twice too wide. Intervals are Wilson's at the effective size
(`effective_size`), which is at most n x k for avg@k, and n times the sets of k that do not overlap for pass@k
and maj@k. With one draw of each item all three are the accuracy, and its interval is Wilson's.

Letters of shapes: N items, M draws of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrbench.evaluation.statistics.accuracies import pass_at_k
from lrbench.evaluation.statistics.effective_size import Groups, mean_share
from lrbench.evaluation.statistics.values import Estimate, Interval, check_benchmarks
from lrbench.methods.answers import majority


def draws_matrix(draws: Sequence[str]) -> np.ndarray:
    """Whether every draw of every item is right, [N, M], from one `0` or `1` per item for every draw.

    Raises `ValueError` for no draw, no item, or draws of other numbers of items.
    """
    if not draws or not draws[0] or len({len(outcomes) for outcomes in draws}) > 1:
        raise ValueError("every draw needs an outcome of the same items, at least one")
    values = np.frombuffer("".join(draws).encode("ascii"), dtype=np.uint8) - ord("0")
    return values.reshape(len(draws), -1).T.astype(bool)


def average_at_k(right_NM: np.ndarray, groups: Groups = None) -> Estimate:
    """Estimates the chance that one sampled answer is right, over all items like these: avg@k, k draws each.

    Raises `ValueError` for no item, no draw, or another number of groups.
    """
    _, draws = _shape(right_NM)
    return mean_share(right_NM.mean(axis=1), groups, outcomes=draws)


def pass_at_k_of_items(right_NM: np.ndarray, k: int, groups: Groups = None) -> Estimate:
    """Estimates the chance that one of `k` sampled answers is right, over all items like these.

    The mean over the items of the unbiased `pass_at_k`. Raises `ValueError` unless 1 <= k <= M, and as
    `average_at_k` does.
    """
    _, draws = _shape(right_NM)
    by_count = np.array([pass_at_k(correct, draws, k) for correct in range(draws + 1)])
    return mean_share(by_count[right_NM.sum(axis=1)], groups, outcomes=draws / k)


def majority_at_k(
    right_NM: np.ndarray, answers: Sequence[Sequence[str | None]], k: int, groups: Groups = None
) -> Estimate:
    """Estimates the chance that the answer which most of `k` samples give is right, on all items like these.

    `answers` holds what is voted for, [N][M]: the answer that was read in a draw, None where there was none,
    which has no vote. Of several with as many votes the one drawn first wins, as for the answer `vote`. The
    votes are those of the draws 1 to k, k + 1 to 2k and so on, as many sets as there are. Raises `ValueError`
    unless 1 <= k <= M and answers and draws are as many, and as `average_at_k` does.
    """
    items, draws = _shape(right_NM)
    if not 1 <= k <= draws:
        raise ValueError(f"maj@{k} cannot be estimated from {draws} samples; k is at least 1 and at most n")
    if len(answers) != items or any(len(of_item) != draws for of_item in answers):
        raise ValueError("every draw of every item needs an answer, or None")
    starts = range(0, draws - k + 1, k)
    elected = [
        [right_M[start + majority(of_item[start : start + k])] for start in starts]
        for right_M, of_item in zip(right_NM, answers, strict=True)
    ]
    return mean_share(np.mean(elected, axis=1), groups, outcomes=len(starts))


def mean_of_benchmarks(estimates: Sequence[Estimate]) -> Estimate:
    """Estimates the mean over these benchmarks of what each of the `estimates` is of, all shares.

    Half the widths of the intervals are added as standard errors are, and their middles as skewness is, as in
    `score_intervals.average_limits`. Raises `ValueError` for no benchmark.
    """
    check_benchmarks(estimates)
    value_K = np.array([one.value for one in estimates])
    low_K, high_K = np.array([(one.interval.low, one.interval.high) for one in estimates]).T
    value, count = float(value_K.mean()), len(value_K)
    variance_K = ((high_K - low_K) / 2) ** 2
    total = float(variance_K.sum())
    moved = float(np.sum(((high_K + low_K) / 2 - value_K) * variance_K)) / total if total else 0.0
    middle, reach = value + moved / count, total**0.5 / count
    low, high = min(value, middle - reach), max(value, middle + reach)
    return Estimate(value, Interval(max(0.0, low), min(1.0, high)))


def _shape(right_NM: np.ndarray) -> tuple[int, int]:
    if right_NM.ndim != 2 or 0 in right_NM.shape:
        raise ValueError("draws are a table of items and draws, with at least one of each")
    items, draws = right_NM.shape
    return items, draws
