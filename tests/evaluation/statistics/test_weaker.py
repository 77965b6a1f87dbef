"""What two comparisons say together is never more than one of them says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lrbench.evaluation.statistics import Comparison, Interval, weaker

shares = st.floats(0, 1)
comparisons = st.builds(
    lambda difference, p, p_equivalent: Comparison(difference, Interval(-9, 9), p, p, p_equivalent),
    st.floats(-9, 9).filter(bool),
    shares,
    shares,
)


def said(one: Comparison) -> tuple[str, bool]:
    return one.verdict, one.separated and one.difference > 0


@given(comparisons, comparisons)
def test_what_both_say_is_said_and_nothing_else(one: Comparison, other: Comparison) -> None:
    found = weaker(one, other)
    assert said(found) == said(weaker(other, one))
    if said(one) == said(other):
        assert said(found) == said(one)
        assert found.p_adjusted >= min(one.p_adjusted, other.p_adjusted)
        if one.separated:
            assert found.p_adjusted == max(one.p_adjusted, other.p_adjusted)
    else:
        assert found.verdict == "inconclusive"


@given(comparisons)
def test_of_twice_the_same_it_is_that(one: Comparison) -> None:
    assert weaker(one, one) == one
