"""The expected time of several workers, held against the bounds that hold for every list schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.pipeline.estimating.scheduling import longest_chain, seconds_together


@st.composite
def stages(draw: st.DrawFn) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Stages in an order in which inputs come first; some inputs are finished and not among them."""
    times = draw(st.lists(st.integers(0, 50), min_size=1, max_size=12))
    seconds = {f"stage {place}": float(time) for place, time in enumerate(times)}
    inputs = {
        key: draw(st.lists(st.sampled_from(["finished", *list(seconds)[:place]]), max_size=3))
        for place, key in enumerate(seconds)
    }
    return seconds, inputs


@given(stages(), st.integers(1, 5))
def test_a_schedule_keeps_the_bounds_of_graham(
    work: tuple[dict[str, float], dict[str, list[str]]], workers: int
) -> None:
    seconds, inputs = work
    total, chain = sum(seconds.values()), longest_chain(seconds, inputs)
    together = seconds_together(seconds, inputs, workers)
    assert max(chain, total / workers) <= together + 1e-9
    assert together <= total / workers + (1 - 1 / workers) * chain + 1e-9
    assert seconds_together(seconds, inputs, 1) == pytest.approx(total)
    assert seconds_together(seconds, inputs, len(seconds)) == pytest.approx(chain)


@given(stages(), st.integers(1, 5), st.integers(1, 4))
def test_whoever_has_nothing_else_to_do_helps_and_no_worker_is_at_two_stages(
    work: tuple[dict[str, float], dict[str, list[str]]], workers: int, each: int
) -> None:
    seconds, inputs = work
    parts = dict.fromkeys(seconds, each)
    together = seconds_together(seconds, inputs, workers, parts)
    assert max(longest_chain(seconds, inputs, parts), sum(seconds.values()) / workers) <= together + 1e-6
    assert together <= seconds_together(seconds, inputs, workers) * 2 + 1e-6


def test_one_stage_of_many_parts_is_divided_among_all() -> None:
    inputs: dict[str, list[str]] = {"a": [], "b": [], "c": ["b"]}
    seconds = {"a": 8.0, "b": 2.0, "c": 1.0}
    assert seconds_together(seconds, inputs, 2, {"a": 10}) == pytest.approx(5.5)
    assert seconds_together(seconds, inputs, 4, {"a": 3}) == pytest.approx(3.0)
    assert longest_chain(seconds, inputs, {"a": 4}) == 3.0


def test_a_stage_waits_for_its_inputs_and_not_for_others() -> None:
    seconds = {"a": 5.0, "b": 2.0, "c": 4.0, "d": 1.0}
    inputs: dict[str, list[str]] = {"a": [], "b": [], "c": ["b"], "d": ["a", "c"]}
    assert seconds_together(seconds, inputs, 2) == 7.0
    assert longest_chain(seconds, inputs) == 7.0
    assert seconds_together({}, {}, 2) == longest_chain({}, {}) == 0.0
