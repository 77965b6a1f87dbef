"""When answers were first right, and what their traces count."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.evaluation.traces import Tracing, first_right, token_weights
from lrbench.sampling.engines.answered import Answered
from lrbench.suites.grader import Grader
from lrbench.suites.graders import Choice, Integer, Maths, Text


@pytest.mark.parametrize(
    ("grader", "completion", "gold", "right", "begins"),
    [
        # It goes on, and stays right.
        (Integer(), r"So \boxed{7}. Let me check. 3+4=7.", "7", True, r"So \boxed{7}."),
        # A box after the same number was read as a vote.
        (Integer(), "3+4=7. So it is 7.\n\\boxed{7}\nYes.", "7", True, "3+4=7. So it is 7.\n\\boxed{7}\n"),
        # It was right once, and is wrong at its end.
        (Integer(), "\\boxed{7}\nNo: \\boxed{8}", "7", False, "\\boxed{7}\n"),
        # It is right at its end alone, with no sentence ended.
        (Integer(), r"First. Then \boxed{7}", "7", True, r"First. Then \boxed{7}"),
        (Integer(), r"Never. \boxed{8}", "7", False, None),
        # A point within a number ends no sentence.
        (
            Maths(),
            r"It is $3.5$ at most. So \boxed{3.25}.",
            "3.25",
            True,
            r"It is $3.5$ at most. So \boxed{3.25}.",
        ),
        (Choice(), "The answer is (B). Since A is wrong. So B.", "B", True, "The answer is (B)."),
        (Text(), "Paris", "paris", True, "Paris"),
    ],
)
def test_an_answer_is_first_right_after_the_sentence_that_says_it(
    grader: Grader, completion: str, gold: str, right: bool, begins: str | None
) -> None:
    found = first_right(grader, completion, gold, "Which?", right=right)
    assert (None if found is None else completion[:found]) == begins


class Letters:
    """A token is a pair of letters, and 9 ends an answer."""

    def decode(self, ids: list[int]) -> str:
        return "".join(r"\boxed{7}. Good"[2 * place : 2 * place + 2] for place in ids)


def test_tokens_are_counted_up_to_where_it_was_right_and_scored_where_a_model_chose_them() -> None:
    answer = Answered((0, 1, 2, 3, 4, 5, 6, 7, 9), ("given", "forced", *["model"] * 7))
    likely: Any = lambda _prompts, _completions: [[-4.0, -2.0, *[-0.5] * 7]]  # noqa: E731
    item: Any = SimpleNamespace(completion=r"\boxed{7}. Good", gold="7", problem="", paper=True)
    tracing = Tracing(likely, Letters(), frozenset({9}), Integer())  # type: ignore[arg-type]
    assert list(tracing.of([[1]], [answer], [item])) == [{"nll": 3.5, "scored": 7, "first_right": 5}]


def test_weights_are_spread_over_a_trace_and_equal_ones_weigh_nothing() -> None:
    likely = [0.2, 0.6, 1.0]
    assert token_weights([math.log(one) for one in likely]) == pytest.approx([0, 0.5, 1])
    assert token_weights([-1.5] * 4) == [1.0] * 4
    assert token_weights([]) == []


@pytest.mark.parametrize(
    ("others", "weighed", "weight"),
    [
        # As likely everywhere: it is the likelihood without weights.
        ([-9.0, -9.0, *[-1.25] * 7], 3.5 + 1.5, 7.0),
        # What was given is weighed as little as it is scored.
        ([0.0, 0.0, *[math.log(0.5)] * 6, math.log(0.25)], 3.0, 6.0),
    ],
)
def test_tokens_are_weighed_by_another_models_confidence(
    others: list[float], weighed: float, weight: float
) -> None:
    answer = Answered((0, 1, 2, 3, 4, 5, 6, 7, 9), ("given", "forced", *["model"] * 7))
    own = [-4.0, -2.0, *[-0.5] * 6, -2.0]
    item: Any = SimpleNamespace(completion=r"\boxed{7}. Good", gold="7", problem="", paper=True)
    tracing = Tracing(
        lambda _prompts, _completions: [own],
        Letters(),  # type: ignore[arg-type]
        frozenset({9}),
        Integer(),
        lambda _prompts, _completions: [others],
    )
    (found,) = tracing.of([[1]], [answer], [item])
    assert (found["nll"], found["scored"]) == (5.0, 7)
    assert (found["weighed_nll"], found["weight"]) == (weighed, weight)
