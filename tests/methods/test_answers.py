"""What answers say of themselves: their models, identity and words, and what of them cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lrbench.methods.answers import ANSWERS, OWN, Again, Lead, Mix, Plain, Vote, majority
from lrbench.store.canonical import stable_hash

WRITTEN: dict[str, Any] = {
    "cd": {"mix": {"expert": 1, "amateur": -1}, "alpha": 0.2},
    "obrien": {"mix": {"expert": 1.5, "amateur": -0.5}, "alpha": 0.1},
    "gated": {"mix": {"expert": 1, "amateur": -1}, "when": {"signal": "kl", "above": 0.4}},
    "first_token": {"mix": {"expert": 1, "amateur": -1}, "when": {"signal": "step", "below": 1}},
    "rast": {"mix": {"peer": 1, "arm:lightr": 1, "expert": -1}},
    "prefill": {"prefill": "First"},
    "route": {"route": {"to": "teacher", "when": {"signal": "entropy", "above": 0.45}}},
    "route_first": {"route": {"to": "teacher", "first": {"signal": "log_p", "below": -0.4}}},
    "route_nearest": {"route": {"to": "teacher", "nearest": {"own": ["2 + 3?"], "other": ["4?", "5?"]}}},
    "route_nearest_1": {"route": {"to": "teacher", "nearest": {"own": ["2?"], "other": ["4?"], "k": 1}}},
    "route_first_entropy": {"route": {"to": "teacher", "first": {"signal": "entropy", "above": 0.4}}},
    "lead": {"lead": {"by": "teacher", "tokens": 15, "share": 0.5}},
    "stop_bias": {"stop_bias": 1.5},
    "budget": {"budget": {"at_least": 40}},
    "force": {"force": {"It": "We", " it": " we"}, "first": 2},
    "force_all": {"force": {"It": "We"}},
    "vote": {"vote": 8, "temperature": 1},
    "again": {"again": "1/2"},
    "again_16": {"again": 16},
    "take_over": {"take_over": {"by": "teacher"}},
    "take_over_early": {"take_over": {"by": "teacher", "recap": {"after": 3}}},
    "take_over_never": {"take_over": {"by": "teacher", "recap": None}},
    "take_over_check": {"take_over": {"by": "teacher", "cues": {"verify": ["Check"]}}},
    "cache_shift": {"cache_shift": {"towards": "So. {question}", "questions": ["2 + 3?", "4 + 5?"]}},
    "cache_shift_keys": {"cache_shift": {"towards": "{question}", "questions": ["2?"], "keys": 0.5}},
    "cache_shift_away": {
        "cache_shift": {"towards": "{question}", "questions": ["2?"], "away": "{question}!"}
    },
    "rewrite": {"rewrite": {"by": "teacher", "below": -1.0}},
    "rewrite_sentences": {"rewrite": {"by": "teacher", "below": -1.0, "after": "."}},
    "chain": {"chain": ["arm:planner", "arm:solver"]},
    "chain_begun": {"chain": ["planner", "own"], "place": "answer", "tokens": 40},
    "chain_told": {"chain": ["planner", "own"], "ask": " Plan it.", "tell": " By {plan}, solve it."},
    "chain_agreed": {"chain": ["planner", "own"], "agree": {"by": "expert", "rounds": 3}},
}


def read(written: dict[str, Any]) -> Any:
    (kind,) = [answer for answer in ANSWERS if next(iter(answer.model_fields), None) in written]
    return kind.model_validate(written)


def test_the_field_that_gives_an_answer_away_is_required_and_of_no_other() -> None:
    telling = [next(iter(answer.model_fields), None) for answer in ANSWERS]
    known = [
        "mix",
        "prefill",
        "route",
        "lead",
        "stop_bias",
        "budget",
        "force",
        "vote",
        "again",
        "chain",
        "take_over",
        "rewrite",
        "cache_shift",
    ]
    assert telling == [None, *known]
    first = [next(iter(answer.model_fields.values())) for answer in ANSWERS[1:]]
    assert all(field.is_required() for field in first)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_was_written_can_be_read_again(name: str) -> None:
    answer = read(WRITTEN[name])
    assert read(answer.model_dump()) == answer
    assert hash(read(answer.model_dump())) == hash(answer)


def test_every_answer_has_an_identity_of_its_own() -> None:
    assert Plain().identity == {}
    identities = {stable_hash(read(written).identity) for written in WRITTEN.values()}
    assert len(identities) == len(WRITTEN)
    assert stable_hash(read(WRITTEN["cd"]).identity) == stable_hash(Mix(**WRITTEN["cd"], when=None).identity)


def test_a_route_is_recorded_as_before_there_was_a_second_rule() -> None:
    dumped = read(WRITTEN["route"]).model_dump()
    assert dumped == {"route": {"to": "teacher", "when": {"signal": "entropy", "above": 0.45, "below": None}}}


def test_which_model_of_a_mixture_is_named_first_counts() -> None:
    one = Mix(mix={"expert": 1.0, "peer": 1.0}, alpha=0.2)
    other = Mix(mix={"peer": 1.0, "expert": 1.0}, alpha=0.2)
    assert one != other
    assert stable_hash(one.identity) != stable_hash(other.identity)
    assert (one.first, other.first) == ("expert", "peer")


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("cd", {"expert", "amateur"}),
        ("rast", {"peer", "arm:lightr", "expert"}),
        ("prefill", {OWN}),
        ("route", {OWN, "teacher"}),
        ("route_first", {OWN, "teacher"}),
        ("lead", {OWN, "teacher"}),
        ("vote", {OWN}),
        ("chain", {"arm:planner", "arm:solver"}),
        ("take_over", {OWN, "teacher"}),
        ("cache_shift", {OWN}),
        ("rewrite", {OWN, "teacher"}),
        ("chain_agreed", {"planner", OWN, "expert"}),
    ],
)
def test_an_answer_names_the_models_it_reads(name: str, models: set[str]) -> None:
    assert read(WRITTEN[name]).models == models


def test_a_model_without_weight_is_read_only_where_it_is_compared() -> None:
    weights = {"expert": 1.0, "amateur": 0.0, "peer": 0.0}
    assert Mix(mix=weights).read == ("expert",)
    gated = Mix.model_validate({"mix": weights, "when": {"signal": "kl", "above": 0.4}})
    assert gated.read == ("expert", "amateur")
    # The first says what is plausible, whatever its weight.
    assert Mix(mix={"expert": 0.0, "amateur": -1.0}, alpha=0.2).read == ("expert", "amateur")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cd", "1 expert - 1 amateur, alpha 0.2"),
        ("gated", "1 expert - 1 amateur, where kl > 0.4"),
        ("first_token", "1 expert - 1 amateur, where step < 1"),
        ("rast", "1 peer + 1 arm:lightr - 1 expert"),
        ("prefill", 'after "First"'),
        ("route", "teacher where entropy > 0.45"),
        ("route_first", "teacher where log p of the first token < -0.4"),
        ("route_nearest", "teacher where most of the nearest 5 of 3 questions are"),
        ("route_first_entropy", "teacher where entropy of the first token > 0.4"),
        ("lead", "teacher's first 15 tokens of 50% of the answers"),
        ("stop_bias", "odds of stopping times e^1.5"),
        ("budget", "at least 40 tokens"),
        ("force", '"We" for "It", " we" for " it" at the first 2 places'),
        ("force_all", '"We" for "It" everywhere'),
        ("vote", "majority of 8 samples at temperature 1"),
        ("again", "again, 1/2 of the rows at once"),
        ("again_16", "again, 16 rows at once"),
        ("take_over", "teacher at cues"),
        ("cache_shift", "cache moved once, keys by 0 and values by 1 times 2 questions' mean"),
        ("cache_shift_keys", "cache moved once, keys by 0.5 and values by 1 times what one question's is"),
        ("rewrite", "teacher where its mean log p of a step < -1"),
        ("chain", "arm:solver with a plan of arm:planner"),
        ("chain_begun", "own after a plan of planner, at most 40 tokens"),
        ("chain_agreed", "own with a plan of planner, until expert agrees, at most 3 rounds"),
    ],
)
def test_labels_say_what_an_answer_is(name: str, label: str) -> None:
    assert read(WRITTEN[name]).label == label
    assert Plain().label == "plain"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"mix": {}}, "at least 1 item"),
        ({"mix": {"expert": "much"}}, "valid number"),
        ({"mix": {"expert": 1, "amateur": -1}, "alpha": 0}, "greater than 0"),
        ({"mix": {"expert": 1}, "when": {"signal": "kl", "above": 1}}, "`mix` names one"),
        ({"mix": {"expert": 1}, "when": {"signal": "step"}}, "exactly one of them"),
        ({"mix": {"expert": 1}, "when": {"signal": "step", "above": 1, "below": 2}}, "exactly one of them"),
        ({"mix": {"expert": 1}, "when": {"signal": "mood", "above": 1}}, "Input should be 'kl'"),
        ({"route": {"to": "teacher"}}, "give one of them"),
        (
            {"route": WRITTEN["route"]["route"] | WRITTEN["route_first"]["route"]},
            "at every token, or by `first` or `nearest`, once: give one of them",
        ),
        ({"route": {"to": "teacher", "nearest": {"own": [], "other": ["4?"]}}}, "at least 1 item"),
        ({"route": {"to": "teacher", "first": {"signal": "log_p"}}}, "exactly one of them"),
        ({"route": {"to": "teacher", "first": {"signal": "kl", "above": 1}}}, "'log_p' or 'entropy'"),
        ({"lead": {"by": "teacher", "tokens": 0}}, "greater than or equal to 1"),
        ({"lead": {"by": "teacher", "tokens": 1, "share": 1.5}}, "less than or equal to 1"),
        ({"budget": {}}, "one of them or both"),
        ({"budget": {"at_least": 5, "at_most": 4}}, "at least 5 tokens are more than at most 4"),
        ({"force": {}}, "at least 1 item"),
        ({"force": {"a": "b"}, "first": 0}, "greater than or equal to 1"),
        ({"vote": 0}, "greater than or equal to 1"),
        ({"vote": 3, "temperature": 0}, "greater than 0"),
        ({"again": "half"}, "Input should be '1/2', '1/3' or '1/4'"),
        ({"again": 0}, "greater than or equal to 1"),
        ({"cache_shift": {"towards": "{question}", "questions": []}}, "at least 1 item"),
        ({"cache_shift": {"towards": "So.", "questions": ["2?"]}}, "`towards` says how a question is asked"),
        (
            {"cache_shift": {"towards": "{question}", "questions": ["2?"], "away": "{question}{question}"}},
            "hold {question} once",
        ),
        ({"take_over": {}}, "Field required"),
        ({"take_over": {"by": "teacher", "after": ""}}, "at least 1 character"),
        ({"take_over": {"by": "teacher", "cues": {"verify": [""]}}}, "at least 1 character"),
        ({"take_over": {"by": "teacher", "draft": 0}}, "greater than or equal to 1"),
        ({"rewrite": {"by": "teacher"}}, "Field required"),
        ({"chain": ["planner"]}, "Field required"),
        ({"chain": ["planner", "own"], "tell": "a plan"}, "has to hold {plan} once"),
        ({"chain": ["planner", "own"], "place": "margin"}, "Input should be 'prompt' or 'answer'"),
        ({"chain": ["planner", "own"], "agree": {"by": "own", "rounds": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read(written)


@pytest.mark.parametrize("name", ["prefill", "vote", "again"])
@pytest.mark.parametrize("engine", ["hf", "vllm", "server"])
def test_any_engine_writes_what_one_model_writes_by_itself(name: str, engine: str) -> None:
    assert read(WRITTEN[name]).unservable(engine) is None
    assert Plain().unservable(engine) is None


@pytest.mark.parametrize(
    "name",
    [
        "cd",
        "route",
        "route_first",
        "lead",
        "stop_bias",
        "budget",
        "force",
        "chain",
        "take_over",
        "rewrite",
        "cache_shift",
    ],
)
def test_a_server_cannot_be_told_what_to_choose(name: str) -> None:
    answer = read(WRITTEN[name])
    assert answer.unservable("hf") is None
    for engine in ("vllm", "server"):
        assert f"the engine {engine}" in (answer.unservable(engine) or "")


def leading(share: float) -> Lead:
    return Lead.model_validate({"lead": {"by": "teacher", "tokens": 15, "share": share}})


def test_a_share_of_the_prompts_is_led_and_a_larger_share_has_the_same_and_more() -> None:
    prompts = [(1, place) for place in range(2000)]
    led = {
        share: {prompt for prompt in prompts if leading(share).leads(prompt)} for share in (0, 0.3, 0.5, 1)
    }
    assert led[0] == set()
    assert led[1] == set(prompts)
    assert led[0.3] < led[0.5]
    # Four standard deviations.
    assert abs(len(led[0.5]) - 1000) < 4 * (2000 * 0.25) ** 0.5


def test_a_budget_of_steps_ends_with_its_rule() -> None:
    steps = [
        Mix.model_validate({"mix": {"expert": 1}, "when": {"signal": "step", "below": below}}).when.steps
        for below in (0.5, 1, 3, 3.2)
    ]
    assert steps == [1, 1, 3, 4]


def test_samples_of_a_vote_have_seeds_of_their_own() -> None:
    seeds = Vote(vote=8).seeds((5, 6))
    assert len(set(seeds)) == 8
    assert seeds[:3] == Vote(vote=3).seeds((5, 6))
    assert set(seeds).isdisjoint(Vote(vote=8).seeds((5, 7)))
    assert set(seeds).isdisjoint(Vote(vote=8, seed=1).seeds((5, 6)))


@given(st.integers(1, 400), st.sampled_from(["1/2", "1/3", "1/4", 1, 5, 64, 300]))
def test_once_more_is_always_with_fewer_rows_at_once(own: int, share: Any) -> None:
    rows = Again(again=share).rows_at_once(own)
    assert 1 <= rows < own or rows == own == 1
    assert Plain().rows_at_once(own) == own


def test_the_majority_is_the_first_of_the_answers_with_most_votes() -> None:
    assert majority(["4", "5", "5"]) == 1
    assert majority(["4", "5", "5", "4"]) == 0
    assert majority([None, None, "7"]) == 2
    assert majority([None, None]) == 0
    assert majority(["4"]) == 0


@given(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=9), st.randoms())
def test_the_order_of_samples_matters_to_ties_alone(answers: list[str | None], random: Any) -> None:
    votes = {answer: answers.count(answer) for answer in answers if answer is not None}
    found = answers[majority(answers)]
    shuffled = random.sample(answers, len(answers))
    again = shuffled[majority(shuffled)]
    most = max(votes.values(), default=0)
    assert votes.get(found, 0) == votes.get(again, 0) == most
    if list(votes.values()).count(most) == 1:
        assert found == again
