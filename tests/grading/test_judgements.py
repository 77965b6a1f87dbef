"""What judges say, read as a reader would: fixed cases, and that both verdicts are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.grading.judgements import judgement_of_one, judgement_of_two
from lrbench.suites.grader import Answered
from lrbench.suites.judging import Judgement


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("right", "right"),
        ("Wrong.", "wrong"),
        ("Yes", "right"),
        ("No.", "wrong"),
        ("**No**", "wrong"),
        ("Verdict: incorrect", "wrong"),
        ("The answer is correct.", "right"),
        ("The answer is not correct.", "wrong"),
        ("That isn't quite right.", "wrong"),
        ("The answer is not wrong.", "right"),
        ("It looks right at first. But 7*8 is 56, so the answer is wrong.", "wrong"),
        ("It seems wrong. No: 7*8=56, so it is right.", "right"),
        ("The answer is wrong. The correct answer is 12.", "wrong"),
        ("This is the right answer.", "right"),
        ("There is no error. The answer is correct.", "right"),
        (r"It may be wrong, yet \boxed{right}", "right"),
        (r"So the answer is wrong. \boxed{12}", "wrong"),
        ("It cannot be right.", "wrong"),
        ("This can't be right.", "wrong"),
        ("That doesn't look right.", "wrong"),
        ("I don't think it is right.", "wrong"),
        ("The student gives a different correct answer.", "right"),
        ("It is right; nothing is wrong with it.", "right"),
        ("The answer is wrong. The right one is 7.", "wrong"),
        ("The answer is wrong; the correct value of x is 7.", "wrong"),
        ("TRUE", "right"),
        ("We have 3+4=7. The answer is 7.", None),
        ("There is no way to know", None),
        ("Nobody brings copyright into this", None),
        ("", None),
    ],
)
def test_a_judge_of_one_answer_is_read(text: str, said: str | None) -> None:
    assert judgement_of_one(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A", "A"),
        ("(B)", "B"),
        ("**B**.", "B"),
        ("Answer A", "A"),
        ("The answer is B.", "B"),
        ("Verdict: A", "A"),
        ("A adds, B takes away.\nB", "B"),
        ("Answer B is right because answer A is wrong.", "B"),
        ("Answer A is wrong, answer B is right.", "B"),
        ("The first one is correct, the second is not.", "A"),
        ("The second answer is better.", "B"),
        ("The correct answer is A, since B forgets a step.", "A"),
        (r"Between A and B I take \boxed{A}", "A"),
        ("A careful look shows nothing.", None),
        ("I would take B", "B"),
        ("The first answer is wrong.", None),
        ("The first one isn't right, take the second.", "B"),
        ("Not A", None),
        ("Both are fine.", None),
        ("", None),
    ],
)
def test_a_judge_of_two_answers_is_read(text: str, said: str | None) -> None:
    assert judgement_of_two(text) == said


@given(st.text(max_size=200))
def test_any_text_is_read_as_one_of_the_two_or_as_neither(text: str) -> None:
    assert judgement_of_one(text) in ("right", "wrong", None)
    assert judgement_of_two(text) in ("A", "B", None)


def test_the_grader_holds_what_was_read_against_the_gold_answer() -> None:
    one, two = Judgement(), Judgement(of="pair")
    assert one.grade(Answered("Yes.", "right", "?")).correct
    assert not one.grade(Answered("Yes.", "wrong", "?")).exact
    assert str(one.grade(Answered("Hm.", "wrong", "?")).reason) == "no answer found"
    assert str(two.grade(Answered("A", "B", "?", truncated=True)).reason) == "truncated"
    assert (one.read("No."), two.read("the answer is B")) == ("wrong", "B")
    assert one.unreadable("yes", "?") == "is neither `right` nor `wrong`"
    assert two.unreadable("right", "?") == "is neither `A` nor `B`"
    assert two.unreadable("A", "?") is None
