"""Mixtures: what is taken of each part, for any counts and shares."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lrbench.sampling.mixing import mixing_order, taken

PROBLEMS = [f"p{number}" for number in range(12)]
counts = st.dictionaries(st.sampled_from(PROBLEMS), st.integers(1, 4))
shares = st.integers(1, 50).map(lambda tenths: Fraction(tenths, 10))


@given(st.lists(st.tuples(counts, shares), min_size=1, max_size=4), st.integers(0, 5))
def test_counts_are_within_one_of_their_shares_and_a_problem_is_of_one_part(
    parts: list[tuple[dict[str, int], Fraction]], seed: int
) -> None:
    having, wanted = [has for has, _ in parts], [share for _, share in parts]
    chosen = taken(mixing_order(seed, PROBLEMS), having, wanted)
    given_of = [sum(some.values()) for some in chosen]
    together = sum(given_of)
    for some, has, count, share in zip(chosen, having, given_of, wanted, strict=True):
        assert abs(count - together * share / sum(wanted)) < 1
        assert all(0 < number <= has[problem] for problem, number in some.items())
    assert sum(map(len, chosen)) == len(set().union(*chosen))


@given(counts)
def test_of_a_single_part_all_is_taken(has: dict[str, int]) -> None:
    assert taken(mixing_order(0, PROBLEMS), [has], [Fraction(1, 3)]) == [has]


def test_as_much_as_can_be_is_taken_and_another_seed_takes_others() -> None:
    whole = dict.fromkeys(PROBLEMS, 1)
    first, second = (
        taken(mixing_order(seed, PROBLEMS), [whole, whole], [Fraction(1), Fraction(3)]) for seed in (0, 1)
    )
    assert [len(some) for some in first] == [3, 9]
    assert first != second
