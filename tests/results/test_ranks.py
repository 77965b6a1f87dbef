"""Ranks are as many as the tests leave open, and hold together."""

from __future__ import annotations

from lrbench.results.board import build_boards
from lrbench.results.ranks import MOST_RANKED, Ranks, rank_ranges
from tests.results.conftest import make_score


def right(count: int, shift: int = 0, n: int = 200) -> str:
    """`count` items right, from the item `shift` on."""
    paper = "1" * count + "0" * (n - count)
    return paper[-shift:] + paper[:-shift] if shift else paper


def ranks_of(arms: dict[str, dict[int | None, str]], **keys: str) -> dict[str, Ranks]:
    """The ranks by arm, of arms with their outcomes by seed."""
    scores = [
        make_score(
            "chain",
            paper,
            arm,
            seed=seed,
            arm_id=f"{arm}-{seed}",
            benchmarks=("chain",),
            evaluation_key=keys.get(arm, f"{arm}-{seed}"),
        )
        for arm, of_seeds in arms.items()
        for seed, paper in of_seeds.items()
    ]
    (board,) = build_boards([], scores)
    found = rank_ranges(board, board.groups)
    return {row.arm: found[row.arm_id] for row in board.rows if row.arm_id in found}


def test_what_is_separated_from_all_has_one_rank_and_what_is_not_shares_its_own() -> None:
    one = {"base": {None: right(60)}, "sft": {0: right(120)}, "lightr": {0: right(122, 2)}}
    assert ranks_of(one) == {"base": Ranks(3, 3, 3), "sft": Ranks(1, 2, 3), "lightr": Ranks(1, 2, 3)}


def test_seeds_of_both_count_and_one_that_is_fixed_is_ranked_too() -> None:
    seeds = (0, 1, 2)
    several = {
        "base": {None: right(60)},
        "sft": {seed: right(120 + seed, seed) for seed in seeds},
        "lightr": {seed: right(170 + seed, seed) for seed in seeds},
    }
    found = ranks_of(several)
    assert {arm: (ranks.first, ranks.last) for arm, ranks in found.items()} == {
        "base": (3, 3),
        "sft": (2, 2),
        "lightr": (1, 1),
    }


def test_a_model_is_not_behind_itself_and_of_one_arm_or_too_many_there_are_no_ranks() -> None:
    same = {"sft": {0: right(120)}, "lightr": {0: right(120)}, "base": {None: right(40)}}
    found = ranks_of(same, sft="one", lightr="one")
    assert (found["sft"], found["lightr"]) == (Ranks(1, 2, 3), Ranks(1, 2, 3))
    assert ranks_of({"base": {None: right(40)}}) == {}
    assert ranks_of({f"arm{place}": {0: right(60 + place)} for place in range(MOST_RANKED + 1)}) == {}
