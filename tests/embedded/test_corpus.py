from __future__ import annotations

import re
from collections import Counter
from random import Random

import pytest

from lrbench.embedded.corpus import DRILL_SHARE, SHARES, documents, drill, questions, split_of
from lrbench.embedded.families import BUILDERS
from lrbench.embedded.plans import TextPlan
from lrbench.embedded.problem_sets import problem_set
from lrbench.embedded.solutions import REGISTERS

CURATED = TextPlan(documents=3000, curated_share=1.0, seed=1)
WEB = TextPlan(documents=3000, curated_share=0.0, seed=1)


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
    for document in documents(TextPlan(documents=20_000, curated_share=0.4, seed=5)):
        assert seen.get(stem(document.prompt)) is None


def test_a_stream_holds_one_split_alone():
    for split in ("test", "train", "development", "pretraining"):
        stream = questions(Random(0), "multi_step", split)
        assert {split_of(next(stream)) for _ in range(50)} == {split}


def test_about_one_question_in_ten_is_kept_for_test():
    rng = Random(0)
    shares = Counter(split_of(BUILDERS["hard"](rng)) for _ in range(5000))
    assert shares["test"] / 5000 == pytest.approx(0.1, abs=0.015)
    assert shares["pretraining"] / 5000 == pytest.approx(0.7, abs=0.03)


def test_curated_text_is_drills_and_careful_solutions():
    kinds = Counter(
        "drill" if d.prompt.startswith("Drill: ") else "careful" if d.answer.startswith("First ") else "other"
        for d in documents(CURATED)
    )
    assert kinds["other"] == 0
    assert kinds["drill"] / CURATED.documents == pytest.approx(DRILL_SHARE, abs=0.03)


def test_the_web_is_mostly_careless():
    answers = [document.answer for document in documents(WEB)]
    careful = sum(answer.startswith("First ") for answer in answers)
    assert 0 < careful / len(answers) < 0.03


def test_a_drill_says_true_facts_about_what_was_asked():
    document = drill(Random(0))
    asked = document.prompt.removeprefix("Drill: ").split(", ")
    said = document.answer.removesuffix(".").split(". ")
    assert [f"{ask}={eval(ask):g}" for ask in asked] == said


def test_the_same_plan_gives_the_same_text_and_another_seed_another():
    plan = TextPlan(documents=200, curated_share=0.4, seed=1)
    assert documents(plan) == documents(plan)
    assert documents(plan) != documents(TextPlan(documents=200, curated_share=0.4, seed=2))


def test_family_shares_name_every_family_and_add_up_to_one():
    assert set(SHARES) == set(BUILDERS)
    assert sum(SHARES.values()) == pytest.approx(1)


def test_digits_stay_within_two_places_in_careful_text():
    for document in documents(CURATED):
        assert all(len(number) <= 2 for number in re.findall(r"\d+", document.answer))
