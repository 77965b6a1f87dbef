"""Which lines of a trace are tried without, in which order, and from what a model goes on then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.shapes import Way
from lrbench.sampling.shortening import SEARCHES, Trace, beginning_without, dropped_lines
from lrbench.suites.graders import checker_of

TEXT = "We have 12-3=9. Check: 9+3=12. So we have 9-4=5. The answer is \\boxed{5}. I am 95% sure."
read = checker_of("multi_step").read


def found_by(way: Way, tried: list[int], count: int, fails: Callable[[range], bool]) -> tuple[list[int], int]:
    """What a search leaves out, and how often it tried; the lines are also those that its trials say."""
    search, trials, passed = SEARCHES[way](tried, count), 0, []
    try:
        run = next(search)
        while True:
            trials += 1
            failed = fails(run)
            passed += [] if failed else [run.start]
            run = search.send(failed)
    except StopIteration as stopped:
        found: list[int] = stopped.value
        assert dropped_lines(way, count, passed) == set(found)
        return found, trials


lines = st.integers(0, 12).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.integers(0, max(count - 1, 0)), unique=True, max_size=count).map(sorted),
        st.sets(st.integers(0, 12)),
    )
)


@given(lines)
def test_line_by_line_those_that_nothing_needs_are_left_out(found: tuple[int, list[int], set[int]]) -> None:
    count, tried, needed = found
    dropped, trials = found_by("lines", tried, count, lambda run: bool(needed & set(run)))
    assert dropped == [place for place in tried if place not in needed]
    assert trials == len(tried)


@given(lines)
def test_the_end_is_cut_as_early_as_it_may_be(found: tuple[int, list[int], set[int]]) -> None:
    count, tried, needed = found
    last = max((place for place in needed if place < count), default=-1)
    dropped, trials = found_by("end", tried, count, lambda run: bool(needed & set(run)))
    begins = next((place for place in tried if place > last), count)
    assert dropped == list(range(begins, count))
    assert trials <= len(tried).bit_length()


def test_a_trace_is_its_lines_and_its_end() -> None:
    trace = Trace.of(TEXT, read)
    assert trace == Trace(
        ("We have 12-3=9. ", "Check: 9+3=12. ", "So we have 9-4=5. "),
        "The answer is \\boxed{5}. I am 95% sure.",
    )
    assert trace.without(()) == TEXT
    assert trace.without({1}) == TEXT.replace("Check: 9+3=12. ", "")
    assert Trace.of("Nothing to be read here.", read) is None


@pytest.mark.parametrize(
    ("dropped", "run", "begun"),
    [
        ((), range(1, 2), "We have 12-3=9. S"),
        ((), range(1), "C"),
        ((1,), range(1), "S"),
        ((), range(1, 3), "We have 12-3=9. T"),
        # Where it goes on as what is left out did, up to where it no longer does.
        ((), range(2, 3), "We have 12-3=9. Check: 9+3=12. T"),
    ],
)
def test_what_is_gone_on_from_cannot_be_the_lines_that_are_left_out(
    dropped: tuple[int, ...], run: range, begun: str
) -> None:
    """With an id for every character, as far as the first one in which both differ."""
    trace = Trace.of(TEXT, read)
    assert trace is not None
    found = beginning_without(trace, dropped, run, lambda text: list(map(ord, text)))
    assert "".join(map(chr, found)) == begun


def test_of_two_equal_lines_one_is_gone_on_from_as_if_both_were_there() -> None:
    trace = Trace(("Again. ", "Again. ", "Once more. "), "So \\boxed{5}.")
    found = beginning_without(trace, (), range(1), lambda text: list(map(ord, text)))
    assert "".join(map(chr, found)) == "Again. O"
    whole = Trace(("x ",), "x ")
    assert (
        "".join(map(chr, beginning_without(whole, (), range(1), lambda text: list(map(ord, text))))) == "x "
    )
