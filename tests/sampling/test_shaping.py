"""What is made of a solution's text: its answer, its equations, what the answer needs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.sampling.shaping import equations, final_answer, pieces_of, pruned
from lrbench.suites.graders import checker_of

PROBLEM = "Problem: Ida has 12 cups. Ida gives Nils 3. Ida gives Nils 4. How many cups does Ida have now?"
STEPS = "We have 12-3=9. So we have 9-4=5. The answer is \\boxed{5}."
CHECKED = (
    "We have 12-3=9. Check: 9+3=12. Now, let me see. So we have 9-4=5. Check: 5+4=9. "
    "The answer is \\boxed{5}. I am 95% sure."
)
read = checker_of("multi_step").read


@given(st.text(alphabet="ab1. \n!?="))
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text


def test_the_final_answer_is_the_shortest_end_that_gives_it() -> None:
    assert final_answer(CHECKED, read) == "The answer is \\boxed{5}."
    assert final_answer("Nothing to be read here.", read) is None


def test_equations_stand_alone_before_the_answer() -> None:
    assert equations(STEPS, read) == "12-3=9\n9-4=5\nThe answer is \\boxed{5}."
    assert (
        equations("It costs $12.50 * 2 = $25 then.\nSo \\boxed{25}", read)
        == "$12.50 * 2 = $25\nSo \\boxed{25}"
    )
    assert equations("It is 12-3 so 9. The answer is \\boxed{9}.", read) is None


def test_what_the_answer_does_not_need_is_dropped() -> None:
    assert pruned(CHECKED, PROBLEM, read) == STEPS


@pytest.mark.parametrize(
    "text", [STEPS, f"{STEPS}\n", "\\boxed{5}", "We get 7. Twice 7 is 14. So \\boxed{14}."]
)
def test_a_minimal_trace_stays_as_it_is(text: str) -> None:
    assert pruned(text, "What is it?", read) == text


def test_what_is_pruned_needs_nothing_more_to_be_pruned_and_keeps_its_answer() -> None:
    """On solutions of the embedded world, with the checks that a verbose teacher writes."""
    from lrbench.embedded.families import BUILDERS
    from lrbench.embedded.solutions import Manner, careful, solution

    for seed in range(200):
        for family in BUILDERS.values():
            question = family(Random(seed))
            plain = careful(Random(seed), question)
            told = solution(Random(seed), question, Manner(care=1.0, checks=0.7), "none")
            for text in (plain, told):
                once = pruned(text, question.text, read)
                assert once is not None
                assert read(once) == read(text)
                assert pruned(once, question.text, read) == once
            assert pruned(plain, question.text, read) == plain
