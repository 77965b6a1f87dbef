"""Graders: what is right, what a vote reads, which golds cannot be read, and what settings change."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lrbench.grading import grade
from lrbench.grading.choices import lettered
from lrbench.grading.protocol import MOST_LETTERS
from lrbench.methods.plugins import lacking, plugins_of
from lrbench.suites.grader import Answered, Grader
from lrbench.suites.graders import GRADERS, AnyGrader, Choice, Integer, Maths, Regex, Text
from lrbench.suites.offers import all_offers
from tests.methods.packages import installed, put

WRITTEN: TypeAdapter[Grader] = TypeAdapter(AnyGrader)
CITIES = lettered("Which is the capital of France?", ["Rome", "Paris", "Oslo"])
LENIENT = Text(ignore_case=True, ignore_punctuation=True, ignore_articles=True)


def right(grader: Grader, completion: str, gold: str, problem: str = "?") -> bool:
    verdict = grader.grade(Answered(completion, gold, problem))
    assert verdict.correct == verdict.exact or isinstance(grader, Maths)
    return verdict.correct


@pytest.mark.parametrize(
    ("grader", "completion", "gold", "expected"),
    [
        (Integer(), r"so \boxed{7}", "7", True),
        (Integer(), r"so \boxed{ +7 }", "7", True),
        (Integer(), "so 7", "7", False),
        (Integer(), r"\boxed{7.0}", "7", False),
        (Text(), "  Paris \n", "Paris", True),
        (Text(), "paris", "Paris", False),
        (LENIENT, "The  paris!", "Paris", True),
        (Text(take="last_line"), "I think.\n\nParis\n\n", "Paris", True),
        (Text(take="first_line"), "\nParis\nI think.", "Paris", True),
        (Text(take="box"), r"so \boxed{x + 1}.", "x + 1", True),
        (Text(take="answer"), "The answer is Paris.", "Paris", True),
        (Regex(use="regex", pattern=r"#### (\S+)"), "#### 1\n#### 2", "2", True),
        (Regex(use="regex", pattern=r"#### (\S+)", match="first"), "#### 1\n#### 2", "1", True),
        (Regex(use="regex", pattern=r"is (\S+)", compare="number"), "it is 1,200.0", "1200", True),
        (Regex(use="regex", pattern=r"is (\S+)"), "it is 1,200.0", "1200", False),
        (Regex(use="regex", pattern=r"is (\S+)", compare="number"), "it is many", "1200", False),
        (Regex(use="regex", pattern=r"(?i)is (\S+)", ignore_case=True), "It IS Red", "red", True),
    ],
)
def test_what_is_right(grader: Grader, completion: str, gold: str, expected: bool) -> None:
    assert right(grader, completion, gold) == expected


@pytest.mark.parametrize(
    "completion", ["B", "(B)", "The answer is B.", r"\boxed{B}", "Paris", r"\boxed{Paris}"]
)
def test_a_choice_is_named_by_its_letter_or_its_words(completion: str) -> None:
    assert right(Choice(), completion, "B", CITIES)
    assert not right(Choice(), completion, "A", CITIES)


@given(st.integers(6, len(MOST_LETTERS)), st.data())
def test_more_choices_than_the_published_ones_have_are_told_apart(count: int, data: st.DataObject) -> None:
    problem = lettered("Which?", [f"option {number}" for number in range(count)])
    gold, said = (data.draw(st.sampled_from(MOST_LETTERS[:count])) for _ in range(2))
    assert right(Choice(), f"The answer is ({said}).", gold, problem) == (gold == said)


@given(st.sampled_from([r"\boxed{3}", r"\boxed{\frac{1}{2}}", "the answer is 4", "", "(B)"]), st.booleans())
def test_maths_gives_the_verdicts_of_the_published_protocol(completion: str, truncated: bool) -> None:
    for like in ("math", "mmlu_stem", "minerva_math"):
        grader = Maths.model_validate({"like": like})
        expected = grade(benchmark=like, completion=completion, gold="B", problem=CITIES, truncated=truncated)
        assert grader.grade(Answered(completion, "B", CITIES, truncated)) == expected
        assert list(grader.grade_many([Answered(completion, "B", CITIES, truncated)])) == [expected]


@pytest.mark.parametrize("grader", [Integer(), Choice(), Text(take="box"), Regex(use="regex", pattern="(x)")])
def test_what_was_cut_short_and_is_wrong_says_so(grader: Grader) -> None:
    assert str(grader.grade(Answered("-", "1", "?", truncated=True)).reason) == "truncated"
    assert str(grader.grade(Answered("-", "1", "?")).reason) == "no answer found"
    assert grader.read("-") is None


@pytest.mark.parametrize(
    ("grader", "gold", "told"),
    [
        (Maths(), " ", "is empty"),
        (Maths(), "1" * 10_001, "has more than 10,000 characters"),
        (Integer(), "7.5", "is no whole number"),
        (Choice(), "yes", "is no letter from A to T"),
        (Choice(), "D", "is none of the 3 choices"),
        (LENIENT, "The!", "is empty, or holds nothing that is compared"),
        (Regex(use="regex", pattern="(x)", compare="number"), "seven", "is no number"),
    ],
)
def test_a_gold_answer_that_cannot_be_read_is_told(grader: Grader, gold: str, told: str) -> None:
    assert grader.unreadable(gold, CITIES) == told


def test_a_pattern_that_searches_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.suites.patterns.SECONDS_TO_SEARCH", 0.1)
    grader = Regex(use="regex", pattern="((?:a|aa)+)$")
    verdict = grader.grade(Answered("a" * 60 + "!", "a", "?"))
    assert (verdict.correct, str(verdict.reason)) == (False, "timed out")
    assert grader.read("a" * 60 + "!") is None


@pytest.mark.parametrize("pattern", ["((", "no group", "(?P<x", "a**"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern of `regex`"):
        Regex(use="regex", pattern=pattern)


@pytest.mark.parametrize(
    "written",
    [
        "maths",
        "integer",
        "choice",
        "text",
        {"use": "maths", "like": "mmlu_stem"},
        {"use": "text", "take": "box"},
        {"use": "regex", "pattern": "(x)", "compare": "number"},
    ],
)
def test_a_grader_is_dumped_so_that_it_is_read_back(written: object) -> None:
    grader = WRITTEN.validate_python(written)
    dumped = grader.identity["grader"]
    assert WRITTEN.validate_python(dumped) == grader
    assert hash(WRITTEN.validate_python(dumped)) == hash(grader)
    assert grader.version >= 1


def test_words_are_told_apart() -> None:
    assert len({grader.word for grader in GRADERS}) == len(GRADERS)


SHOUTING = '''
from typing import ClassVar, Literal

from lrbench.grading.verdict import Verdict
from lrbench.suites.grader import Answered, Grader


class Shouting(Grader):
    """The gold answer in capitals, followed by so many exclamation marks."""

    word: ClassVar[str] = "shouting"
    version: ClassVar[int] = 4

    use: Literal["shouting"] = "shouting"
    marks: int = 1

    def grade(self, answered: Answered) -> Verdict:
        found = self.read(answered.completion)
        return Verdict.single(found, found == answered.gold.upper() + "!" * self.marks)

    def read(self, completion: str) -> str | None:
        return completion.strip() or None
'''


def test_an_installed_package_adds_a_grader(tmp_path: Path) -> None:
    site = put(tmp_path, "lrbench-shouting", "1.2", {"shouts": SHOUTING}, {"shouting": "shouts:Shouting"})
    with installed(site):
        grader = WRITTEN.validate_python({"use": "shouting", "marks": 2})
        assert right(grader, "YES!!", "yes")
        assert not right(grader, "YES!", "yes")
        recorded = plugins_of(grader)
        assert recorded["plugins"]["grader"]["shouting"]["version"] == "1.2"
        assert [(offer.word, offer.problem) for offer in all_offers()] == [("shouting", None)]
    assert lacking(recorded) == [
        "`shouting` is of the package lrbench-shouting 1.2, which is not installed here; install "
        "lrbench-shouting==1.2"
    ]
