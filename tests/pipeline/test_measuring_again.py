"""Arms measured once more: nothing is trained again, and boards of bfloat16 are of one batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger
from lrbench.results.wording import noise_texts, sections


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        arms=["base", "again", "lightr"],
        measure={"repeats": 2},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 6},
    )


def test_a_second_measurement_is_an_evaluation_of_its_own_and_no_training(
    arms: dict[str, ArmPlan],
) -> None:
    assert list(arms) == ["base", "again", "lightr", "lightr_again"]
    first, again = arms["lightr"], arms["lightr_again"]
    assert first.adapter is not None
    assert again.adapter is not None
    assert first.adapter.key == again.adapter.key
    assert first.scores[0].key != again.scores[0].key
    assert first.scores[0].protocol == again.scores[0].protocol


def test_in_float32_the_board_says_that_every_answer_is_the_same(runs: Path) -> None:
    records = Ledger(runs / "ledger").read()
    (board,) = build_boards(records.arms, records.scores, records.recipes)
    lines = noise_texts(board, next(sections(board)))
    assert [line.partition(" measured")[0] for line in lines] == [
        "Noise: again is base",
        "Noise: lightr_again is lightr",
    ]
    assert all(line.endswith("Every answer is the same, all 6 of them.") for line in lines)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_how_many_rows_are_written_at_once_decides_what_is_measured_where_arithmetic_rounds(
    make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path], tmp_path: Path, dtype: str
) -> None:
    pair = {
        role: {"model": str(folder), "dtype": dtype}
        for role, folder in zip(("expert", "amateur"), local_pair, strict=True)
    }

    def keys(rows: int | str) -> dict[str, set[str]]:
        plan = plan_recipe(make_recipe(pair=pair, runtime={"batch_size": rows}), tmp_path)
        return {
            name: {stage.key for stage in plan.stages if stage.name == name}
            for name in ("rollouts", "train", "evaluate")
        }

    wide, narrow = keys(64), keys(32)
    changed = [name for name in wide if wide[name] != narrow[name]]
    assert changed == ([] if dtype == "float32" else ["evaluate"])
    assert keys(64) == wide
