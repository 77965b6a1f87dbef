"""How sure an answer says it is: per cent or a share, where a pattern of the user's own finds it last."""

from __future__ import annotations

import pytest

from lrbench.evaluation.stated_confidence import stated_confidence

PATTERN = r"I am (\S+) sure"


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        ("40%", 0.4),
        ("40", 0.4),
        ("62.5%", 0.625),
        ("62.5 %", None),  # the group ends at the space, and the pattern then asks for `sure`
        ("0.85", 0.85),
        (".85", 0.85),
        ("1.0", 1.0),
        ("1", 0.01),
        ("0.5%", 0.005),
        ("0", 0.0),
        ("100%", 1.0),
        ("101%", None),
        ("-5%", None),
        ("1e1", None),
        ("nan", None),
        ("inf", None),
        ("%", None),
        (".", None),
        ("quite", None),
        ("٤٠%", None),
    ],
)
def test_a_number_with_a_point_up_to_one_is_a_share_and_others_are_per_cent(
    said: str, confidence: float | None
) -> None:
    assert stated_confidence(PATTERN, f"The answer is 5. I am {said} sure.") == confidence


def test_the_last_match_counts() -> None:
    assert stated_confidence(PATTERN, "I am 90% sure. No, I am 20% sure.") == 0.2


def test_what_says_nothing_has_none() -> None:
    assert stated_confidence(PATTERN, "The answer is 5.") is None
    assert stated_confidence(r"sure|(\d+)%", "I am sure") is None


def test_a_pattern_that_searches_for_ever_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.suites.patterns.SECONDS_TO_SEARCH", 0.1)
    assert stated_confidence("((?:a|aa)+)$", "a" * 60 + "!") is None
