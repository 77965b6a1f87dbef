"""A selector keeps steps by a signal and a rule, the same ones however the source is dealt out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lrbench.methods.readings import PAIR
from lrbench.methods.selector import Selector
from lrbench.methods.selectors import All, Kl, Matched, Rule, read_selector
from lrbench.methods.signals import SIGNALS, Word
from lrbench.methods.steps import Columns, Views, taken, unscored
from tests.methods.strategies import scored, views

words = st.sampled_from(get_args(Word))
scored_words = st.sampled_from([word for word, signal in SIGNALS.items() if signal.scored])


def rule(**written: Any) -> Rule:
    """As an arm has it: seeded, and matched to a completed selector."""
    return Rule(**written).matching(lambda _: Kl(beta=1.0)).seeded(3)


def per_rollout(found: Views, kept: np.ndarray) -> dict[int, int]:
    rollouts, counts = np.unique(found[PAIR].rollout[kept], return_counts=True)
    return dict(zip(rollouts.tolist(), counts.tolist(), strict=True))


@given(views(), st.floats(0, 3))
def test_the_divergence_above_beta_is_the_paper_s_selector_bit_for_bit(found: Views, beta: float) -> None:
    kl = found[PAIR].kl
    assert kl is not None
    expected = kl > np.float32(beta)
    assert Kl(beta=beta).keep(found).tolist() == expected.tolist()
    assert rule(signal="kl", above=beta).keep(found).tolist() == expected.tolist()


@given(views(), words)
def test_the_whole_top_is_all(found: Views, word: Word) -> None:
    assert rule(signal=word, top=1.0).keep(found).all()
    assert All().keep(found).all()


@given(views(), words)
def test_whatever_has_a_value_is_above_the_lowest_number(found: Views, word: Word) -> None:
    values = SIGNALS[word].measured(found, None, None, 0)
    assert rule(signal=word, above=-1e300).keep(found).tolist() == (~np.isnan(values)).tolist()
    assert not rule(signal=word, above=1e300).keep(found).any()


@given(views(), words, st.floats(0, 3))
def test_above_and_below_leave_out_what_is_just_at_the_bound(found: Views, word: Word, bound: float) -> None:
    values = SIGNALS[word].measured(found, None, None, 3)
    rounded = values.dtype.type(bound)
    above = rule(signal=word, above=bound).keep(found)
    below = rule(signal=word, below=bound).keep(found)
    assert not (above & below).any()
    assert (~(above | below)).tolist() == ((values == rounded) | np.isnan(values)).tolist()


@given(views(), words, st.floats(0.01, 1))
def test_the_top_has_the_largest_values_and_the_earlier_among_equals(
    found: Views, word: Word, share: float
) -> None:
    values = np.nan_to_num(SIGNALS[word].measured(found, None, None, 3).astype(float), nan=-1e9).tolist()
    first = sorted(range(len(values)), key=lambda index: (-values[index], index))
    kept = rule(signal=word, top=share).keep(found)
    assert np.flatnonzero(kept).tolist() == sorted(first[: round(share * len(values))])


@given(views(), words, scored_words, st.floats(0, 3))
def test_a_match_keeps_as_many_of_every_rollout(found: Views, word: Word, other: Word, bound: float) -> None:
    selector = Rule(signal=word, match="b").matching(lambda _: rule(signal=other, above=bound)).seeded(0)
    like = rule(signal=other, above=bound).keep(found)
    kept = selector.keep(found)
    assert per_rollout(found, kept) == per_rollout(found, like)
    values = np.nan_to_num(SIGNALS[word].measured(found, None, None, 0).astype(float), nan=-1e9)
    for rollout in np.unique(found[PAIR].rollout):
        own = found[PAIR].rollout == rollout
        if kept[own].any() and not kept[own].all():
            assert values[own & kept].min() >= values[own & ~kept].max()


@given(views(), words)
def test_matched_to_itself_a_signal_keeps_the_same(found: Views, word: Word) -> None:
    above = rule(signal=word, above=1.0)
    assert Rule(signal=word, match="b").matching(lambda _: above).seeded(3).keep(found).tolist() == (
        above.keep(found).tolist()
    )


def test_equals_go_to_the_earlier_step() -> None:
    found: Views = {PAIR: scored([4, 4], 0)}
    zeros = np.zeros(8, dtype=np.float32)
    kl = np.array([0, 0, 2, 2, 0, 0, 0, 2], dtype=np.float32)
    same: Views = {PAIR: Columns(**vars(found[PAIR]) | {"entropy_expert": zeros, "kl": kl})}
    kept = rule(signal="entropy", match="lightr").keep(same)
    assert np.flatnonzero(kept).tolist() == [0, 1, 4]
    assert np.flatnonzero(rule(signal="entropy", top=0.625).keep(same)).tolist() == [0, 1, 2, 3, 4]


@given(views(), st.floats(0.01, 1))
def test_where_no_step_stands_out_the_first_are_kept(found: Views, share: float) -> None:
    """As with a teacher that is the expert itself: it surprises as much everywhere."""
    steps = vars(taken(found, slice(None))[PAIR])
    own = np.nan_to_num(steps["own_log_p_expert"])
    teacher = Columns(**steps | {"own_log_p_expert": own, "own_log_p_amateur": own})
    selector = rule(signal="excess", of="expert", over="teacher", top=share)
    kept = selector.keep({PAIR: found[PAIR], ("expert", "teacher"): teacher})
    assert np.flatnonzero(kept).tolist() == list(range(round(share * len(own))))


SELECTORS: list[Selector] = [
    Kl(beta=1.0),
    All(),
    rule(signal="random", above=0.6),
    rule(signal="step", below=2),
    rule(signal="entropy", top=0.3),
    rule(signal="surprise", top=0.5),
    rule(signal="random", match="lightr"),
    Rule(signal="random", match="b").matching(lambda _: rule(signal="excess", top=0.4)).seeded(1),
]


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: selector.label)
@given(found=views(), size=st.integers(1, 4))
def test_parts_are_decided_as_the_whole(selector: Selector, found: Views, size: int) -> None:
    first = found[PAIR].rollout.min()
    places = (found[PAIR].rollout - first) // size
    parts = [taken(found, places == place) for place in np.unique(places)]
    keeps = selector.keeper(lambda: parts)
    assert np.concatenate([keeps(part) for part in parts]).tolist() == selector.keep(found).tolist()


def test_random_steps_are_the_same_again_and_others_by_another_seed() -> None:
    found: Views = {PAIR: scored([20] * 30, 0)}
    drawn = Rule(signal="random", match="lightr").matching(lambda _: Kl(beta=1.0))
    first, again, other = (drawn.seeded(seed).keep(found) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert per_rollout(found, first) == per_rollout(found, other)
    # Of 20 steps about half are kept: two independent draws share about half of them.
    assert 0.3 < (first & other).sum() / first.sum() < 0.7


def test_random_steps_need_no_scores_unless_they_are_matched_to_some() -> None:
    drawn = rule(signal="random", top=0.25)
    assert drawn.readings == frozenset()
    assert drawn.keep({PAIR: unscored([7, 9])}).sum() == 4
    assert rule(signal="random", match="lightr").readings == {PAIR}
    assert Rule(signal="random", match="b").matching(lambda _: All()).readings == frozenset()


def test_no_steps_are_none() -> None:
    nothing: Views = {PAIR: taken({PAIR: scored([1], 0)}, slice(0))[PAIR]}
    for selector in SELECTORS:
        assert selector.keep(nothing).tolist() == []
        assert selector.keeper(list)(nothing).tolist() == []


class TestWritten:
    """What recipes and records say."""

    @pytest.mark.parametrize(
        ("written", "told"),
        [
            ({"signal": "kl"}, "exactly one of `above`, `below`, `top` and `match`, and has none"),
            ({"signal": "kl", "above": 1, "top": 0.2}, "has `above` and `top`"),
            ({"signal": "step", "below": 1, "of": "expert"}, "`step` has no reader `of`"),
            ({"signal": "entropy", "top": 0.2, "over": "x"}, "`entropy` has no reader `over`"),
            ({"signal": "excess", "top": 0.2, "of": "amateur"}, "`of` and `over` are the same"),
            ({"signal": "kl", "above": 1, "seed": 3}, "`kl` draws nothing; leave `seed` out"),
            ({"signal": "entropy", "top": 1.5}, "less than or equal to 1"),
            ({"signal": "entrpy", "top": 0.5}, "'entropy'"),
            ({"signal": "kl", "above": float("nan")}, "finite number"),
        ],
    )
    def test_what_does_not_fit_together_is_told(self, written: Mapping[str, Any], told: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Rule.model_validate(written)
        assert told in str(caught.value)

    @pytest.mark.parametrize(
        ("selector", "identity"),
        [
            (Kl().completed(0.4), {"selector": "kl", "beta": 0.4}),
            (All(), {"selector": "all"}),
            (rule(signal="entropy", top=0.2, of="expert"), {"selector": {"signal": "entropy", "top": 0.2}}),
            (
                rule(signal="excess", of="expert", over="teacher", top=0.6),
                {"selector": {"signal": "excess", "over": "teacher", "top": 0.6}},
            ),
            (
                rule(signal="random", match="lightr"),
                {
                    "selector": {
                        "signal": "random",
                        "match": {"selector": "kl", "beta": 1.0},
                        "seed": 3,
                    }
                },
            ),
        ],
    )
    def test_identity_holds_what_decides(self, selector: Selector, identity: Mapping[str, Any]) -> None:
        assert selector.identity == identity

    @pytest.mark.parametrize("selector", [Kl(), *SELECTORS], ids=lambda selector: selector.label)
    def test_what_is_recorded_is_read_back(self, selector: Selector) -> None:
        assert read_selector(selector.model_dump(mode="json")) == selector

    def test_the_arm_that_is_matched_is_named_and_its_selector_kept(self) -> None:
        written = Rule(signal="random", match="lightr")
        assert written.matched_arm == "lightr"
        found = written.matching(lambda name: {"lightr": Kl(beta=0.5)}[name])
        assert found.match == Matched(arm="lightr", selector=Kl(beta=0.5))
        assert (found.matched_arm, found.label) == ("lightr", "random, as many as lightr")

    def test_a_seed_of_its_own_is_left(self) -> None:
        assert Rule(signal="random", top=0.2, seed=7).seeded(1).seed == 7
        assert Rule(signal="kl", top=0.2).seeded(1) == Rule(signal="kl", top=0.2)

    def test_the_models_it_reads_are_known(self) -> None:
        assert rule(signal="random", top=0.2).models == set()
        assert rule(signal="surprise", of="teacher", top=0.2).models == {"expert", "teacher"}
        assert rule(signal="random", match="lightr").models == {"expert", "amateur"}


class TestReasons:
    """Why a step is kept, for people."""

    @pytest.mark.parametrize(
        ("selector", "kept", "reason"),
        [
            (Kl(beta=0.4), True, "Kept: KL 1.25 > β 0.4."),
            (Kl(beta=2.0), False, "Not kept: KL 1.25 ≤ β 2."),
            (All(), True, "Kept, as this arm keeps every step (KL 1.25)."),
            (rule(signal="entropy", above=0.5), True, "Kept: entropy 0.75 > 0.5."),
            (rule(signal="disagree", above=0), False, "Not kept: first choices agree."),
            (rule(signal="step", below=0), False, "Not kept: step 0 ≥ 0."),
            (rule(signal="entropy", top=0.2), True, "Kept: entropy 0.75, among the top 20% of all steps."),
            (
                rule(signal="entropy", match="lightr"),
                False,
                "Not kept: entropy 0.75, not among the largest of this rollout, as many as lightr keeps.",
            ),
        ],
    )
    def test_the_value_and_the_rule_are_said(self, selector: Selector, kept: bool, reason: str) -> None:
        steps = vars(scored([1], 0)) | {
            "kl": np.array([1.25], dtype=np.float32),
            "entropy_expert": np.array([0.75], dtype=np.float32),
            "top1_expert": np.array([2], dtype=np.int32),
            "top1_amateur": np.array([2], dtype=np.int32),
        }
        assert selector.reason({PAIR: Columns(**steps)}, kept) == reason
