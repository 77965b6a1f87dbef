"""Records hold together, and survive JSON."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from lrbench.results.records import ArmRecord, ScoreRecord, items_hash

LATER = "2030-01-01T00:00:00+00:00"


def test_a_score_counts_its_items_under_both_verdicts(score_record):
    score = score_record(paper="11010", exact="10010")
    assert (score.n, score.correct, score.correct_exact) == (5, 3, 2)


def test_a_score_with_verdicts_on_different_items_is_refused(score_record):
    with pytest.raises(ValidationError, match="5 paper verdicts but 4 exact ones"):
        score_record(paper="11010", exact="1001")


def test_a_score_whose_suite_protocol_says_otherwise_is_refused(score_record):
    with pytest.raises(ValidationError, match="suite_protocol does not hold the protocol hash of chain"):
        score_record(protocol_hash="another")


def test_outcomes_other_than_right_and_wrong_are_refused(score_record):
    with pytest.raises(ValidationError, match="paper"):
        score_record(paper="11x", exact="110")


def test_when_it_was_recorded_is_no_part_of_what_a_record_is(arm_record, score_record):
    assert arm_record(recorded_at=LATER).identity == arm_record().identity
    assert score_record(recorded_at=LATER).identity == score_record().identity


@pytest.mark.parametrize(
    "change",
    [{"arm": "sft"}, {"benchmark": "vary"}, {"limit": 7}, {"suite": "seven"}, {"evaluation_key": "e"}],
)
def test_another_arm_benchmark_protocol_suite_or_evaluation_is_another_score(score_record, change):
    assert score_record(**change).identity != score_record().identity


@pytest.mark.parametrize("moment", ["yesterday", "2030-01-01T00:00:00", "2030-01-01"])
def test_a_moment_without_a_time_zone_is_refused(arm_record, moment):
    with pytest.raises(ValidationError, match="recorded_at"):
        arm_record(recorded_at=moment)


def test_records_come_back_from_json_unchanged(arm_record, score_record):
    arm = arm_record(
        curves={"loss": [(1, 0.5), (2, math.inf)]},
        statistics={"mean_kl": -math.inf, "text": "été\u2028\u202e"},
    )
    assert ArmRecord.model_validate_json(arm.model_dump_json()) == arm
    score = score_record()
    assert ScoreRecord.model_validate_json(score.model_dump_json()) == score
    assert list(ScoreRecord.model_validate_json(score.model_dump_json()).suite_protocol) == list(
        score.suite_protocol
    )


def test_items_are_identified_in_order():
    assert items_hash(["a", "b"]) != items_hash(["b", "a"])
    assert items_hash(["a", "b"]) != items_hash(["ab"])


def test_what_answers_took_is_no_part_of_what_a_score_is(score_record):
    told = score_record(tokens=40, written=320, passes={"own": 320})
    assert told.identity == score_record().identity
    assert ScoreRecord.model_validate_json(told.model_dump_json()) == told


def test_a_score_of_an_earlier_version_does_not_know_what_its_answers_took(score_record):
    fields = score_record().model_dump(exclude={"tokens", "written", "passes"})
    assert ScoreRecord.model_validate(fields).tokens is None


@pytest.mark.parametrize("told", [{"tokens": 4}, {"written": 4}, {"passes": {"own": 4}}])
def test_what_answers_took_is_recorded_as_a_whole(score_record, told):
    with pytest.raises(ValidationError, match="what answers took is recorded in part"):
        score_record(**told)


def test_fewer_than_no_forward_passes_are_refused(score_record):
    with pytest.raises(ValidationError, match=r"passes\.own"):
        score_record(tokens=4, written=4, passes={"own": -1})
