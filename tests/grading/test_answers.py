from __future__ import annotations

import pytest

from lrbench.grading.answers import exact_answer
from lrbench.grading.choices import exact_choice


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Final answer: $x+1$**", "x+1"),
        ("so we stop. A: (1, 2)", "(1, 2)"),
        ("#### 67\n\nThis took 4 steps.", "67"),
        ("The answer is 8. This uses all 3 conditions.", "8"),
        ("It comes to 3, as expected for part 2.", "3"),
        ("values $\\boxed{1}$ and $\\boxed{2}$", "1, 2"),
        ("\\[\\boxed{1}\\]\n\\[\\boxed{2}\\]", "2"),
        ("\\boxed{25}. So \\boxed{}", "25"),
        ("I have boxed my answer: The answer is 7.", "7"),
        ("\\boxed{9}\n\nQuestion: next?\n\\boxed{12}", "9"),
        ("total = -49 + something = -50", "-50"),
        ("nothing to see", None),
    ],
)
def test_a_reader_finds_the_answer(text: str, answer: str | None) -> None:
    assert exact_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is not (D) but (A).", "A"),
        ("We choose $\\boxed{D}$ since A is wrong.", "D"),
        ("A is right, while D is wrong.", "A"),
        ("$\\boxed{\\text{(D) A and B}}$", "D"),
        ("<b>D</b>", "D"),
        ("I cannot determine this.", None),
    ],
)
def test_a_reader_finds_the_letter(text: str, letter: str | None) -> None:
    assert exact_choice(text) == letter
