"""A signal is one number a step, from what its readers thought of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given

from lrbench.errors import RunError
from lrbench.methods.readings import PAIR
from lrbench.methods.signals import SIGNALS, Word
from lrbench.methods.steps import Columns, Views, taken, unscored
from tests.methods.strategies import scored, views

# A step at which both models first think of token 7, and one at which they differ; the second rollout's
# token is not shared.
STEPS = Columns(
    rollout=np.array([3, 3, 4], dtype=np.int32),
    step=np.array([0, 1, 0], dtype=np.int32),
    kl=np.array([0.5, 1.5, 0.1], dtype=np.float32),
    kl_reverse=np.array([0.25, 2.0, 0.2], dtype=np.float32),
    entropy_expert=np.array([1.0, 0.5, 0.75], dtype=np.float32),
    entropy_amateur=np.array([2.0, 1.25, 3.0], dtype=np.float32),
    top1_expert=np.array([7, 7, 9], dtype=np.int32),
    top1_amateur=np.array([7, 8, 9], dtype=np.int32),
    own_log_p_expert=np.array([-0.5, -3.0, np.nan], dtype=np.float32),
    own_log_p_amateur=np.array([-0.25, -1.0, np.nan], dtype=np.float32),
)


def values(word: Word, of: str | None = None, over: str | None = None) -> list[float]:
    found: list[float] = SIGNALS[word].measured({PAIR: STEPS}, of, over, seed=0).tolist()
    return found


def test_every_word_has_a_signal() -> None:
    assert set(get_args(Word)) == set(SIGNALS)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("kl", [0.5, 1.5, np.float32(0.1)]),
        ("kl_reverse", [0.25, 2.0, np.float32(0.2)]),
        ("entropy", [1.0, 0.5, 0.75]),
        ("entropy_amateur", [2.0, 1.25, 3.0]),
        ("disagree", [0.0, 1.0, 0.0]),
        ("surprise", [0.5, 3.0, math.nan]),
        ("excess", [0.25, 2.0, math.nan]),
        ("step", [0.0, 1.0, 0.0]),
    ],
)
def test_values_are_as_defined(word: Word, expected: list[float]) -> None:
    np.testing.assert_array_equal(values(word), expected)


def test_readers_can_be_exchanged() -> None:
    assert values("entropy", of="amateur") == values("entropy_amateur")
    assert values("kl", of="amateur", over="expert") == values("kl_reverse")
    assert values("surprise", of="amateur")[:2] == [0.25, 1.0]
    assert values("excess", of="amateur", over="expert")[:2] == [-0.25, -2.0]
    assert values("disagree", of="amateur", over="expert") == values("disagree")


@pytest.mark.parametrize(
    ("word", "of", "over", "reading"),
    [
        ("surprise", "teacher", None, ("expert", "teacher")),
        ("surprise", "amateur", None, PAIR),
        ("excess", None, "teacher", ("expert", "teacher")),
        ("excess", "teacher", "expert", ("expert", "teacher")),
        ("kl", "mentor", "teacher", ("mentor", "teacher")),
    ],
)
def test_another_model_is_read_beside_the_expert_where_that_takes_part(
    word: Word, of: str | None, over: str | None, reading: tuple[str, str]
) -> None:
    assert SIGNALS[word].reading(of, over)[0] == reading


def test_the_excess_over_another_model_is_that_of_its_reading() -> None:
    two: Views = {PAIR: STEPS, ("expert", "teacher"): replace(STEPS, own_log_p_amateur=STEPS.kl)}
    found = SIGNALS["excess"].measured(two, "expert", "teacher", None)
    np.testing.assert_array_equal(found[:2], [0.5 + 0.5, 1.5 + 3.0])
    np.testing.assert_array_equal(SIGNALS["excess"].measured(two, "teacher", "expert", None), -found)


@given(views())
def test_a_model_against_itself_has_no_excess(found: Views) -> None:
    steps = taken(found, slice(None))[PAIR]
    assert isinstance(steps, Columns)
    itself = replace(steps, own_log_p_amateur=steps.own_log_p_expert)
    values = SIGNALS["excess"].measured({PAIR: itself}, None, None, None)
    assert set(values[~np.isnan(values)]) <= {0.0}


def test_draws_are_uniform_and_depend_on_seed_rollout_and_step_alone() -> None:
    steps = unscored([50] * 400)
    draws = SIGNALS["random"].measured({PAIR: steps}, None, None, 5)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, 20, (0, 1))
    # 20,000 draws in 20 bins: a standard deviation is 31.
    assert np.abs(counts - 1000).max() < 4 * 31
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03
    assert len(np.unique(draws)) == len(draws)
    later = SIGNALS["random"].measured({PAIR: unscored([50] * 7, first_rollout=100)}, None, None, 5)
    np.testing.assert_array_equal(later, draws[5000:5350])
    other = SIGNALS["random"].measured({PAIR: steps}, None, None, 6)
    assert abs(np.corrcoef(draws, other)[0, 1]) < 0.03


def test_only_places_and_draws_are_known_of_steps_that_nobody_scored() -> None:
    assert {word for word, signal in SIGNALS.items() if not signal.scored} == {"step", "random"}
    bare: Views = {PAIR: unscored([2, 3])}
    assert SIGNALS["step"].measured(bare, None, None, None).tolist() == [0, 1, 0, 1, 2]
    for word, signal in SIGNALS.items():
        if signal.scored:
            with pytest.raises(RunError, match=r"these steps have no `.*Run the recipe again"):
                signal.measured(bare, None, None, None)
            assert len(SIGNALS[word].measured({PAIR: scored([2, 3], 0)}, None, None, None)) == 5


def test_values_are_told_in_words() -> None:
    assert SIGNALS["entropy"].said(1.3245) == "entropy 1.32"
    assert SIGNALS["step"].said(12.0) == "step 12"
    assert SIGNALS["disagree"].said(1.0) == "first choices differ"
    assert SIGNALS["surprise"].said(math.nan) == "surprise unknown, as the models do not share the token"
