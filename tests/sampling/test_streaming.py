"""Stages over rollouts need no more memory for many of them; what they store is small."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.methods.readings import PAIR
from lrbench.recipe.schema import Divergence
from lrbench.sampling.divergence import DivergenceSums, divergence_statistics
from lrbench.sampling.rollouts import (
    ROLLOUTS_PER_GROUP,
    Rollout,
    StoredRollouts,
    count_rollouts,
    iterate_rollouts,
    write_rollouts,
)
from lrbench.sampling.samples import build_samples, kept_steps, read_samples, write_steps
from lrbench.sampling.scores import concatenate, of_rollouts_from
from lrbench.sampling.scoring import score_rollouts
from tests.commands import said_by

# Both stages over made-up scores of rollouts of 64 steps; prints the most memory they were seen to use.
PROGRAM = r"""
import re, sys, tempfile
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import lrbench.sampling.scoring as scoring
from experiments.bench.selection import Once, Shelf
from lrbench.methods.readings import PAIR
from lrbench.pipeline.stages import samples as stages
from lrbench.methods.presets import BY_NAME
from lrbench.recipe.schema import Divergence
from lrbench.sampling.rollouts import Rollout, groups_of, write_rollouts
from lrbench.sampling.samples import read_samples
from lrbench.sampling.scores import Scores

STEPS = 64

def made_up(pair, rollouts, *, alpha_min, first_index):
    count = len(rollouts) * STEPS
    random = np.random.default_rng(first_index)
    rows = np.repeat(np.arange(first_index, first_index + len(rollouts), dtype=np.int32), STEPS)
    steps = np.tile(np.arange(STEPS, dtype=np.int32), len(rollouts))
    reals = [random.random(count, dtype=np.float32) for _ in range(3)]
    ids = random.integers(0, 100, (3, count), dtype=np.int32)
    log_p = [-random.random(2 * count, dtype=np.float32) for _ in range(2)]
    support = random.integers(0, 100, 2 * count, dtype=np.int32)
    return Scores(rows, steps, *reals, ids[0], ids[1], np.arange(0, 2 * count + 1, 2), support, *log_p)

class Draft(Shelf):
    def has(self, name): return self.file(name).exists()
    def path(self, name): return self.file(name)
    def expect(self, count, suffix): pass

class Tokenizer:
    def decode(self, ids, **_): return f"token{ids[0]}"

scoring.score_rollouts = made_up
stages.KEPT_BYTES = 0
rollouts = (Rollout(f"p{i}", 0, tuple(range(40)), tuple(range(STEPS))) for i in range(int(sys.argv[1])))
progress = SimpleNamespace(advance=lambda _: None)
workspace = Once()
workspace.pair_of = lambda *_: SimpleNamespace(loaded=None)
workspace.sources = ("another", "another")
workspace.hold_beside = lambda wanted: None
workspace.expert = SimpleNamespace(tokenizer=Tokenizer())
with tempfile.TemporaryDirectory() as folder:
    shelves = {name: Draft(Path(folder), name) for name in ("rollouts", "scores", "samples")}
    for number, group in enumerate(groups_of(rollouts, 64)):
        write_rollouts(shelves["rollouts"].file(f"part-{number:05d}.parquet"), group)
    sources = dict(expert=None, amateur=None, rollouts=None)
    stages.PairScores(**sources, alpha_min=0.05).work(
        shelves["scores"], {"rollouts": shelves["rollouts"]}, workspace, progress)
    readings = ((PAIR, SimpleNamespace(least_mass=None)),)
    arm = stages.ArmSamples(None, readings, BY_NAME["lightr"].ingredients.completed(Divergence(beta=0.8)))
    inputs = {name: shelves[name] for name in ("rollouts", "scores")}
    found = arm.work(shelves["samples"], inputs, workspace, progress)
    assert found["divergence"]["steps"] == int(sys.argv[1]) * STEPS
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
"""


@pytest.mark.slow
def test_scores_and_samples_of_many_rollouts_need_no_more_memory() -> None:
    # Held at once, the scores alone of the larger number would take 40 MB, and the rollouts as much.
    # What a process has freed and keeps differs by up to 15 MB.
    assert int(said_by(PROGRAM, 8_000)) - int(said_by(PROGRAM, 1_000)) < 25_000_000


@pytest.fixture
def many(tmp_path: Path) -> tuple[list[Rollout], Path]:
    rollouts = [
        Rollout(f"p{index}", index % 3, (index, 1), (2,) * (index % 5 + 1))
        for index in range(2 * ROLLOUTS_PER_GROUP + 7)
    ]
    write_rollouts(tmp_path / "rollouts.parquet", iter(rollouts))
    return rollouts, tmp_path / "rollouts.parquet"


def test_stored_rollouts_are_a_sequence_of_the_same(many: tuple[list[Rollout], Path]) -> None:
    rollouts, path = many
    stored = StoredRollouts([path])
    assert len(stored) == count_rollouts([path]) == len(rollouts)
    assert list(stored) == list(iterate_rollouts([path])) == rollouts
    for index in np.random.default_rng(0).permutation(len(rollouts)):
        assert stored[index] == rollouts[index]
    assert stored[-1] == rollouts[-1]
    assert stored[250:260] == rollouts[250:260]
    for beyond in (len(rollouts), -len(rollouts) - 1):
        with pytest.raises(IndexError):
            stored[beyond]


def test_stored_rollouts_hold_the_groups_used_last(
    many: tuple[list[Rollout], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts, path = many
    monkeypatch.setattr("lrbench.sampling.rollouts.ROLLOUTS_KEPT", 1)
    stored = StoredRollouts([path])
    assert [stored[0], stored[-1], stored[1]] == [rollouts[0], rollouts[-1], rollouts[1]]
    assert len(pickle.dumps(stored)) < 1000
    assert list(pickle.loads(pickle.dumps(stored))) == rollouts


def test_a_file_of_no_rollouts_is_read(tmp_path: Path) -> None:
    write_rollouts(tmp_path / "none.parquet", [])
    assert list(StoredRollouts([tmp_path / "none.parquet"])) == []
    assert list(iterate_rollouts([tmp_path / "none.parquet"])) == []


def test_samples_in_parts_are_those_of_the_whole(
    pair: Any, rollouts: list[Rollout], tmp_path: Path, ingredients: Callable[[str], Any]
) -> None:
    parts = [
        (rollouts[start : start + 2], score_rollouts(pair, rollouts[start : start + 2], alpha_min=0.05))
        for start in range(0, len(rollouts), 2)
    ]
    whole = concatenate([of_rollouts_from(scores, -2 * place) for place, (_, scores) in enumerate(parts)])
    write_rollouts(tmp_path / "rollouts.parquet", rollouts)
    for arm in ("lightr", "no_contrast", "neither"):
        thresholds = Divergence(beta=float(np.median(whole.kl)))
        completed = ingredients(arm).completed(thresholds)
        scored = completed.needs_scores
        expected = build_samples(rollouts, {PAIR: whole} if scored else {}, completed)
        written = write_steps(
            tmp_path / "steps.parquet",
            (build_samples(part, {PAIR: scores} if scored else {}, completed) for part, scores in parts),
        )
        found = read_samples([tmp_path / "rollouts.parquet"], tmp_path / "steps.parquet")
        assert written == len(found) == len(expected)
        assert list(found.rollouts) == rollouts
        for name in ("rollout", "step", "kl"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        for name in ("offsets", "ids", "weights"):
            np.testing.assert_array_equal(getattr(found.targets, name), getattr(expected.targets, name))
        if scored is not None:
            sums = DivergenceSums()
            for _, scores in parts:
                sums.add(scores, kept_steps({PAIR: scores}, ingredients(arm).completed(thresholds).selector))
            kept = kept_steps({PAIR: whole}, ingredients(arm).completed(thresholds).selector)
            expected_sums = divergence_statistics(whole, kept)
            for name, value in sums.statistics().items():
                assert value == (
                    expected_sums[name] if name == "kl_histogram" else pytest.approx(expected_sums[name])
                )
