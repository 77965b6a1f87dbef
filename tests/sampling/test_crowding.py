"""A step keeps a limited number of plausible tokens, and says how much probability it leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.targets import contrast, left_out
from lrbench.sampling import crowding
from lrbench.sampling.crowding import MOST_TOKENS
from lrbench.sampling.scores import Scores, concatenate, read_scores, write_scores
from lrbench.sampling.step_scores import step_columns

MOST_BYTES = 4096


def scores_of(expert_CV: torch.Tensor, amateur_CV: torch.Tensor) -> Scores:
    columns = step_columns(expert_CV, amateur_CV, torch.zeros(len(expert_CV), dtype=torch.long), 0.05)
    offsets = np.concatenate([[0], np.cumsum(columns.pop("support_lengths"))]).astype(np.int64)
    count = len(expert_CV)
    if not columns["dropped"].any():
        del columns["dropped"]
    places = {"rollout": np.zeros(count, dtype=np.int32), "step": np.arange(count, dtype=np.int32)}
    return Scores(offsets=offsets, **places, **columns)


@pytest.fixture
def uniform() -> Scores:
    """Two steps of a nearly uniform expert over 152,000 tokens, and a peaked one between them."""
    torch.manual_seed(0)
    expert_CV, amateur_CV = 0.1 * torch.randn(3, 152_000), torch.randn(3, 152_000)
    expert_CV[1, 7] = 40
    return scores_of(expert_CV, amateur_CV)


def test_a_step_of_a_nearly_uniform_model_takes_a_few_kilobytes(uniform: Scores, tmp_path: Path) -> None:
    write_scores(tmp_path / "s.parquet", uniform)
    assert np.diff(uniform.offsets).tolist() == [MOST_TOKENS, 1, MOST_TOKENS]
    assert (tmp_path / "s.parquet").stat().st_size < 3 * MOST_BYTES
    assert uniform.dropped is not None
    assert 0.99 < uniform.dropped[0] < 1
    assert uniform.dropped[1] == 0
    assert left_out(uniform, 0.2)[[0, 2]].min() > 0.99
    # Where the least token that is stored is not plausible any more, none that is was left out.
    assert left_out(uniform, 1.0).tolist() == [0, 0, 0]
    targets = contrast(uniform, np.ones(3, dtype=bool), 0.2)
    assert np.add.reduceat(targets.weights, targets.offsets[:-1]) == pytest.approx([1, 1, 1])


def test_peaked_steps_are_written_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(1)
    scores = scores_of(5 * torch.randn(4, 900), torch.randn(4, 900))
    write_scores(tmp_path / "s.parquet", scores)
    assert scores.dropped is None
    assert "dropped" not in pq.read_schema(tmp_path / "s.parquet").names


def test_what_was_written_without_the_limit_is_read_as_if_it_had_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    # Quarters, so that many tokens are equally likely.
    expert_CV, amateur_CV = (torch.randint(0, 4, (5, 2000)) / 4 for _ in range(2))
    now = scores_of(expert_CV, amateur_CV)
    with monkeypatch.context() as patch:
        patch.setattr(crowding, "MOST_TOKENS", 10**6)
        earlier = scores_of(expert_CV, amateur_CV)
        write_scores(tmp_path / "earlier.parquet", earlier)
    write_scores(tmp_path / "now.parquet", now)
    for name in ("earlier", "now"):
        found = read_scores([tmp_path / f"{name}.parquet"])
        for column, values in vars(now).items():
            if values is not None:
                assert np.array_equal(getattr(found, column), values), (name, column)


def test_scores_with_and_without_left_out_tokens_are_put_together(uniform: Scores) -> None:
    bare = replace(uniform, dropped=None)
    both = concatenate([bare, uniform])
    assert both.dropped is not None
    assert both.dropped.tolist() == [0, 0, 0, *uniform.dropped.tolist()]  # type: ignore[union-attr]


@given(st.lists(st.lists(st.integers(-3, 0), min_size=1, max_size=12), min_size=1, max_size=5))
def test_the_likeliest_stay_and_among_equals_the_lowest_ids(steps: list[list[int]]) -> None:
    lengths = np.array([len(step) for step in steps])
    ids = np.concatenate([np.arange(count, dtype=np.int32) for count in lengths])
    log_p = np.concatenate(steps).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowding, "MOST_TOKENS", 3)
        found = crowding.uncrowded(lengths, ids, log_p)
    best = [sorted(range(len(step)), key=lambda i: (-step[i], i))[:3] for step in steps]
    if found is None:
        assert max(lengths) <= 3
        return
    stays, dropped = found
    kept = np.split(stays, np.cumsum(lengths)[:-1])
    assert [np.flatnonzero(own).tolist() for own in kept] == [sorted(own) for own in best]
    lost = [
        sum(np.exp(p) for i, p in enumerate(step) if i not in own)
        for step, own in zip(steps, best, strict=True)
    ]
    assert dropped == pytest.approx(np.minimum(lost, 1), rel=1e-6)
