"""Which point is chosen: the best mean over seeds, the first declared of equal ones."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lrbench.results.selection import Candidate, average, choose

# Few values, so that ties are frequent.
SHARES = st.fractions(0, 1, max_denominator=3)


@given(st.lists(st.lists(SHARES, min_size=2, max_size=2) | st.none(), min_size=1, max_size=6))
def test_the_choice_is_the_obvious_one(points: list[list[Fraction] | None]) -> None:
    candidates = [
        Candidate({"training.updates": place}, None if seeds is None else tuple(seeds))
        for place, seeds in enumerate(points)
    ]
    found = choose("lightr", candidates)
    measured = {place: sum(seeds) for place, seeds in enumerate(points) if seeds is not None}
    if not measured:
        assert found is None
        return
    assert found is not None
    best = [place for place, total in measured.items() if total == max(measured.values())]
    assert found.point == {"training.updates": best[0]}
    assert found.tied == len(best) - 1
    assert (found.points, found.lacking) == (len(measured), len(points) - len(measured))


def test_benchmarks_count_alike_whatever_their_sizes() -> None:
    assert average([(1, 1), (0, 99)]) == Fraction(1, 2)


def test_what_a_reader_has_to_know_of_a_choice_is_said() -> None:
    half, whole = (Fraction(1, 2),), (Fraction(1),)
    points = [Candidate({}, half), Candidate({}, whole), Candidate({}, whole), Candidate({}, None)]
    found = choose("lightr", points)
    assert found is not None
    assert found.reason == (
        "best of 3 points; another one is as good, and the first declared is taken; 1 more could not be "
        "measured"
    )


def test_a_choice_at_the_edge_of_what_was_tried_is_said() -> None:
    half, whole = (Fraction(1, 2),), (Fraction(1),)

    def chosen(rates: list[float], best: int, other: object = "a") -> dict[str, str]:
        points = [
            Candidate({"training.learning_rate": rate, "arms.x.answer": other}, whole if at == best else half)
            for at, rate in enumerate(rates)
        ]
        found = choose("lightr", points)
        assert found is not None
        return dict(found.edges)

    assert chosen([1e-4, 1e-3, 1e-2], 2) == {"training.learning_rate": "highest"}
    assert chosen([1e-4, 1e-3, 1e-2], 0) == {"training.learning_rate": "lowest"}
    assert chosen([1e-2, 1e-4, 1e-3], 2) == {}
    # One value is no search, and neither are words or switches.
    assert chosen([1e-3, 1e-3], 0) == {}
    assert chosen([1e-4, 1e-3, 1e-2], 1, other=True) == {}
    # What could not be measured was not tried.
    points = [Candidate({"a": 1}, half), Candidate({"a": 2}, whole), Candidate({"a": 3}, None)]
    found = choose("lightr", points)
    assert found is not None
    assert found.reason.endswith("; a is the highest that was tried: a better one may lie beyond")
