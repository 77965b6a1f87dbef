"""Records of a sweep: an arm at several points, beside the expert as it is."""

from __future__ import annotations

from typing import Any

from lrbench.results.board import build_boards
from lrbench.results.choosing import Sweep, sweeps_of
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from tests.results.conftest import make_arm, make_score

ALPHAS = (0.1, 0.2, 0.4)


def swept_records(runs: int) -> tuple[RecipeRecord, list[ArmRecord], list[ScoreRecord]]:
    """`base`, and `lightr` at three alphas with so many seeds, the last point the highest; with a claim."""
    arms, scores = [], []
    at = [("base", None, None, 100)] + [
        ("lightr", alpha, seed, 120 + 10 * place + 4 * seed)
        for place, alpha in enumerate(ALPHAS)
        for seed in range(runs)
    ]
    for number, (arm, alpha, seed, count) in enumerate(at):
        point = {} if alpha is None else {"divergence.alpha": alpha}
        same: dict[str, Any] = {
            "arm_id": f"{arm}-{alpha}-{seed}",
            "point": point,
            "seed": seed,
            "recorded_at": f"2026-11-20T10:{number:02}:00+00:00",
        }
        arms.append(make_arm(arm, settings={"divergence": {"alpha": alpha}} if point else {}, **same))
        paper = "1" * count + "0" * (200 - count)
        # So that runs are paired and differ on some items.
        paper = paper[number:] + paper[:number]
        scores.append(make_score("chain", paper, arm, benchmarks=("chain",), **same))
    recipe = RecipeRecord(
        recipe="quickstart",
        recipe_hash="hash",
        recipe_yaml="name: quickstart\n",
        arm_ids=tuple(record.arm_id for record in arms),
        claims=("lightr > base on average",),
        command="lrbench run quickstart.yaml",
        recorded_at="2026-11-20T10:00:00+00:00",
    )
    return recipe, arms, scores


def swept_with_its_baseline(updates: tuple[int, ...] = (8, 16)) -> Sweep:
    """`lightr` over thresholds and updates, set against `sft` over these updates."""
    at: list[tuple[str, dict[str, Any], int]] = [
        ("sft", {"training.updates": each}, 80 if each == 8 else 100) for each in updates
    ]
    for beta in (0.2, 0.4):
        at += [("lightr", {"divergence.beta": beta, "training.updates": each}, 90) for each in (8, 16)]
    arms, scores = [], []
    for number, (arm, point, count) in enumerate(at):
        same: dict[str, Any] = {"arm_id": f"arm-{number}", "point": point, "seed": 0}
        arms.append(make_arm(arm, settings=point, **same))
        scores.append(
            make_score("chain", "1" * count + "0" * (200 - count), arm, benchmarks=("chain",), **same)
        )
    (board,) = build_boards(arms, scores, [])
    return next(sweep for sweep in sweeps_of(board, board.rows) if sweep.first.arm == "lightr")
