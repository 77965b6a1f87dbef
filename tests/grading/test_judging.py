from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.errors import UserError
from lrbench.grading import Reason, grade, grade_many


def verdicts(gold: str, answer: str, benchmark: str = "math") -> tuple[bool, bool]:
    """The paper verdict and the exact verdict on a boxed answer."""
    verdict = grade(benchmark=benchmark, completion=f"So it is $\\boxed{{{answer}}}$.", gold=gold)
    return verdict.correct, verdict.exact


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("72", "72"),
        ("\\frac{1}{2}", "0.5"),
        ("5,040", "5040"),
        ("2\\sqrt{3}", "\\sqrt{12}"),
        ("(x-1)^2", "x^2-2x+1"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{bmatrix} 1 \\\\ 2 \\end{bmatrix}"),
        ("\\text{Sunday}", "\\text{Sunday}"),
        ("36^\\circ", "36"),
    ],
)
def test_both_verdicts_accept_a_right_answer_in_an_ordinary_form(gold: str, answer: str) -> None:
    assert verdicts(gold, answer) == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5", "500"),
        ("123456", "123457"),
        ("9,-7", "9,-7,0"),
        ("[0,1)", "(0,1)"),
        ("\\frac{a}{b}", "\\frac{b}{a}"),
    ],
)
def test_only_the_paper_accepts_what_its_known_weaknesses_let_pass(gold: str, answer: str) -> None:
    assert verdicts(gold, answer) == (True, False)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("\\frac{3}{2}", "1\\frac{1}{2}"),
        ("1,2", "2,1"),
        ("y=2x+3", "2x-y+3=0"),
        ("x \\geq 2", "[2,\\infty)"),
        ("50\\%", "\\frac{1}{2}"),
        ("0.\\overline{3}", "\\frac{1}{3}"),
        ("1 \\pm \\sqrt{19}", "1+\\sqrt{19}, 1-\\sqrt{19}"),
        ("|x|", "\\sqrt{x^2}"),
        ("1000000", "1 \\text{ million}"),
        ("-5", "−5"),
        ("7425", "7{,}425"),
        ("2", "\\displaystyle 2"),
        ("36", "36 \\text{ cm}^2"),
        ("(-\\infty,2)\\cup(3,\\infty)", "(3,\\infty)\\cup(-\\infty,2)"),
        ("\\frac{d x}{d t}=k x-a", "x' = kx - a"),
    ],
)
def test_only_the_exact_verdict_accepts_a_right_answer_the_paper_cannot_read(gold: str, answer: str) -> None:
    assert verdicts(gold, answer) == (False, True)


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("(1,2)\\cup(3,4)", "(1,2)\\cup(3,5)", (False, False)),
        ("(-\\infty,2)\\cup(3,\\infty)", "(-\\infty,2)", (False, False)),
        ("(-\\infty,2)", "(-\\infty,2)\\cup(3,\\infty)", (False, False)),
        ("[1,2]\\cup[3,4]", "[1,2]\\cup[3,5]", (False, False)),
        ("[1,2]", "[1,2]\\cap[0,3]", (False, False)),
        ("(1,2)\\cup(3,4)\\cup(5,6)", "(1,2)\\cup(3,4)", (False, False)),
        ("(1,2)\\cup(3,4)", "(1,2)\\cup(3,4)", (True, True)),
        # Element by element, the protocol reads `2)\cap(3` as 2, and the exponent of a bracket as nothing.
        ("(-\\infty,2)\\cup(3,\\infty)", "(-\\infty,2)\\cap(3,\\infty)", (True, False)),
        ("(-\\infty,0)\\cup\\{1\\}", "(-\\infty,0)\\cap\\{1\\}", (True, False)),
        ("12:00", "1:00", (False, False)),
        ("12:00", "12:00", (True, True)),
    ],
)
def test_the_paper_reads_no_union_up_to_its_first_interval_and_nobody_a_time_as_a_ratio(
    gold: str, answer: str, expected: tuple[bool, bool]
) -> None:
    assert verdicts(gold, answer) == expected


def test_scientific_notation_equals_a_gold_in_e_notation_only_exactly() -> None:
    assert verdicts("4.5e33", "4.5 \\times 10^{33} \\text{ erg/s}", "minerva_math") == (False, True)
    assert verdicts("4.5e33", "4.5e33", "minerva_math") == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("72", "73"),
        ("(1,2)", "(2,1)"),
        ("\\frac{d x}{d t}=k x-a", "\\frac{dx}{dt} = kx + a"),
        ("2\\sqrt{3}", "3\\sqrt{2}"),
        ("x+1", "x+2"),
        ("\\text{odd}", "\\text{even}"),
        ("506_7", "506_8"),
    ],
)
def test_both_verdicts_reject_a_wrong_answer(gold: str, answer: str) -> None:
    assert verdicts(gold, answer) == (False, False)


def test_a_choice_is_read_as_its_letter() -> None:
    verdict = grade(benchmark="mmlu_stem", completion="The answer is (B).", gold="B")
    assert verdict.prediction == "B"
    assert verdict.correct
    assert verdict.exact


def test_the_article_a_misleads_the_paper_but_not_the_exact_verdict() -> None:
    verdict = grade(benchmark="mmlu_stem", completion="The answer is a bit subtle, but it is (D).", gold="D")
    assert (verdict.prediction, verdict.correct, verdict.exact) == ("A", False, True)


def test_a_choice_given_by_its_words_is_exact_when_the_problem_is_known() -> None:
    problem = "Which is even? Answer Choices: (A) 3 (B) 20 (C) 5 (D) 7"
    arguments = {"benchmark": "mmlu_stem", "completion": "The answer is 20.", "gold": "B"}
    assert grade(**arguments, problem=problem).exact
    assert not grade(**arguments).exact


def test_stop_strings_cut_what_follows_the_answer() -> None:
    completion = "$\\boxed{6}$<|im_end|> and $\\boxed{7}$"
    assert grade(benchmark="gsm8k", completion=completion, gold="6").correct
    assert not grade(benchmark="gsm8k", completion=completion, gold="6", stop=()).correct


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("$\\boxed{6}$", Reason.CORRECT),
        ("$\\boxed{600}$", Reason.CORRECT_IN_PAPER_ONLY),
        ("$\\boxed{\\textbf{6}}$", Reason.CORRECT_IN_EXACT_ONLY),
        ("$\\boxed{8}$", Reason.NOT_EQUIVALENT),
        ("I do not know.", Reason.NO_ANSWER),
        ("", Reason.NO_ANSWER),
        (f"$\\boxed{{{'+'.join('1' * 20_000)}}}$", Reason.TOO_LONG),
    ],
)
def test_the_reason_says_why(completion: str, reason: Reason) -> None:
    assert grade(benchmark="gsm8k", completion=completion, gold="6").reason is reason


def test_a_truncated_completion_is_so_called_only_where_its_answer_is_not_right() -> None:
    wrong = grade(benchmark="gsm8k", completion="We first add 3", gold="6", truncated=True)
    right = grade(benchmark="gsm8k", completion="so \\boxed{6}. Also", gold="6", truncated=True)
    assert (wrong.reason, right.reason) == (Reason.TRUNCATED, Reason.CORRECT)


def test_an_unknown_benchmark_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no benchmark 'aime'; use one of gsm8k, .*choice"):
        grade(benchmark="aime", completion="1", gold="1")


@pytest.mark.parametrize(
    ("completion", "prediction", "right", "reason"),
    [
        ("First 12+7=19. The answer is \\boxed{14}.", "14", True, Reason.CORRECT),
        ("\\boxed{14} no, \\boxed{15}", "15", False, Reason.NOT_EQUIVALENT),
        ("I think it is 14.", None, False, Reason.NO_ANSWER),
        ("\\boxed{1400}", "1400", False, Reason.NOT_EQUIVALENT),
        ("\\boxed{fourteen}", "fourteen", False, Reason.NOT_EQUIVALENT),
    ],
)
def test_an_embedded_family_wants_the_integer_in_the_last_box(
    completion: str, prediction: str | None, right: bool, reason: Reason
) -> None:
    verdict = grade(benchmark="hard", completion=completion, gold="14")
    assert (verdict.prediction, verdict.correct, verdict.exact) == (prediction, right, right)
    assert verdict.reason is reason


def test_many_items_are_judged_in_their_order() -> None:
    items = [{"benchmark": "math", "completion": f"\\boxed{{x+{n}}}", "gold": f"{n % 3}+x"} for n in range(9)]
    assert [verdict.exact for verdict in grade_many(items, workers=2)] == [n < 3 for n in range(9)]


@settings(max_examples=150, deadline=None)
@given(
    completion=st.text(
        alphabet=st.sampled_from("0123456789.,+-*/^_=<>(){}[]$%\\ \nabcxeE答案是"), max_size=60
    ),
    gold=st.sampled_from(["5", "\\frac{1}{2}", "(1,2)", "\\text{(A)}", "x+1", "50\\%", "\\text{east}", ""]),
    benchmark=st.sampled_from(["gsm8k", "minerva_math", "mmlu_stem", "multi_step"]),
)
def test_no_completion_makes_the_grader_fail(completion: str, gold: str, benchmark: str) -> None:
    gold = "7" if benchmark == "multi_step" else gold
    verdict = grade(benchmark=benchmark, completion=f"\\boxed{{{completion}}}", gold=gold)
    assert (verdict.reason is Reason.CORRECT) == (verdict.correct and verdict.exact)
