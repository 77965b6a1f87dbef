from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lrbench.embedded.arithmetic import LARGEST, SMALLEST, Step, operands, random_step, step_from

values = st.integers(SMALLEST, LARGEST)


@given(values, st.sampled_from("+-*/"))
def test_every_operand_offered_keeps_the_result_whole_and_in_range(value, operator):
    for right in operands(value, operator):
        exact = eval(f"{value}{operator}{right}")
        assert exact == int(exact) == Step(value, operator, right).result
        assert SMALLEST <= exact <= LARGEST


@given(values, st.integers())
def test_addition_and_subtraction_always_offer_a_step(value, seed):
    assert step_from(Random(seed), value, "+-").left == value


@given(st.integers())
def test_a_random_fact_reads_as_a_true_equation(seed):
    left, right = str(random_step(Random(seed))).split("=")
    assert eval(left) == int(right)
