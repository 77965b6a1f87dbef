from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from lrbench.embedded.corpus import (
    OTHER_SHARE,
    SHARES,
    WORDS_SHARE,
    Document,
    documents,
    drill,
    questions,
    small_talk,
    split_of,
    word_questions,
)
from lrbench.embedded.families import BUILDERS
from lrbench.embedded.plans import TextPlan
from lrbench.embedded.problem_sets import problem_set
from lrbench.embedded.solutions import REGISTERS

CAREFUL = TextPlan(documents=3000, care=1.0, seed=1)
SLOPPY = TextPlan(documents=3000, care=0.0, seed=1)


def stem(prompt: str) -> str:
    """A prompt without its register and without options."""
    [prefix] = [r.prefix for r in REGISTERS.values() if prompt.startswith(r.prefix)] or [""]
    return prompt.removeprefix(prefix).split(" (A) ")[0]


def test_no_question_of_any_family_is_on_two_sides_of_the_split():
    seen: dict[str, str] = {}
    for family in BUILDERS:
        for split in ("test", "train"):
            for problem in problem_set(family, split, 500):
                assert seen.setdefault(stem(problem["problem"]), split) == split
    for document in documents(TextPlan(documents=20_000, care=0.4, seed=5)):
        assert seen.get(stem(document.prompt)) is None


def test_a_stream_holds_one_split_alone():
    for split in ("test", "train", "development", "pretraining"):
        stream = questions(Random(0), "multi_step", split)
        assert {split_of(next(stream).stem) for _ in range(50)} == {split}


def test_about_one_question_in_ten_is_kept_for_test():
    rng = Random(0)
    shares = Counter(split_of(BUILDERS["hard"](rng).stem) for _ in range(5000))
    assert shares["test"] / 5000 == pytest.approx(0.1, abs=0.015)
    assert shares["pretraining"] / 5000 == pytest.approx(0.7, abs=0.03)


def kind(document: Document) -> str:
    if document.prompt.startswith("Drill: "):
        return "drill"
    if "Which word " in document.prompt:
        return "words"
    if "boxed" not in document.answer:
        return "talk"
    return "careful" if "it is" not in document.answer.lower() else "sloppy"


def test_careful_text_is_drills_and_careful_solutions_and_sloppy_text_is_talk_and_sloppy_ones():
    careful, sloppy = (Counter(map(kind, documents(plan))) for plan in (CAREFUL, SLOPPY))
    assert set(careful) == {"drill", "words", "careful"}
    assert set(sloppy) == {"talk", "words", "sloppy"}
    for other, found in (("drill", careful), ("talk", sloppy)):
        assert found[other] / found.total() == pytest.approx(OTHER_SHARE, abs=0.03)
        assert found["words"] / found.total() == pytest.approx(WORDS_SHARE, abs=0.02)


def test_small_talk_and_questions_about_words_are_held_out_too():
    read = {document.prompt + document.answer for document in documents(SLOPPY)}
    held_out = islice(small_talk(Random(0), "test"), 200)
    assert not any(document.prompt + document.answer in read for document in held_out)
    asked = {document.prompt for document in documents(SLOPPY) if kind(document) == "words"}
    for question in islice(word_questions(Random(0), "test"), 200):
        assert not any(register.prefix + question.text in asked for register in REGISTERS.values())


def test_a_question_about_words_is_answered_by_the_word_it_asks_for():
    for question in islice(word_questions(Random(0), "train"), 300):
        asked, listed = question.text.removesuffix("?").split(": ")
        words = listed.split(", ")
        *_, way, named = asked.split()
        place = {"after": 1, "before": -1}.get(way)
        expected = (
            {"first": words[0], "last": words[-1]}.get(named)
            if place is None
            else (words[words.index(named) + place])
        )
        assert question.answer == expected
        assert question.solution == rf"The answer is \boxed{{{expected}}}."


def test_a_drill_says_true_facts_about_what_was_asked():
    document = drill(Random(0))
    asked = document.prompt.removeprefix("Drill: ").split(", ")
    said = document.answer.removesuffix(".").split(". ")
    assert [f"{ask}={eval(ask):g}" for ask in asked] == said


def test_the_same_plan_gives_the_same_text_and_another_seed_another():
    plan = TextPlan(documents=200, care=0.4, seed=1)
    assert documents(plan) == documents(plan)
    assert documents(plan) != documents(TextPlan(documents=200, care=0.4, seed=2))


def test_family_shares_name_every_family_and_add_up_to_one():
    assert set(SHARES) == set(BUILDERS)
    assert sum(SHARES.values()) == pytest.approx(1)


def test_digits_stay_within_two_places():
    for document in documents(CAREFUL):
        assert all(len(number) <= 2 for number in re.findall(r"\d+", document.answer))
