from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.embedded import wording
from lrbench.embedded.corpus import split_of
from lrbench.embedded.problem_sets import twin_set
from lrbench.embedded.twins import STORIES, twins

EXCHANGED = {*wording.NAMES, *wording.THINGS}


def words(text: str) -> list[str]:
    return text.replace(".", " .").replace("?", " ?").split()


@given(family=st.sampled_from(list(STORIES)), seed=st.integers(0, 10_000))
def test_a_renamed_twin_asks_the_same_of_others(family: str, seed: int) -> None:
    found = next(twins(Random(seed), family, bool))
    before, after = words(found.original.text), words(found.renamed.text)
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert (old != new) == (old in EXCHANGED)
    assert not EXCHANGED.intersection(before).intersection(after)
    assert found.renamed.steps == found.original.steps


@given(family=st.sampled_from(list(STORIES)), seed=st.integers(0, 10_000))
def test_a_turned_twin_differs_in_one_step_and_in_its_answer(family: str, seed: int) -> None:
    found = next(twins(Random(seed), family, bool))
    old, new = found.original.steps, found.turned.steps
    turned = [a.operator + b.operator for a, b in zip(old, new, strict=True) if a.operator != b.operator]
    assert turned in (["+-"], ["-+"])
    assert [step.right for step in old] == [step.right for step in new]
    assert found.turned.answer != found.original.answer
    # One sentence is another: all others are told with the same words.
    before, after = found.original.text.split(". "), found.turned.text.split(". ")
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("family", STORIES)
def test_no_text_that_models_learn_from_holds_a_twin(family: str) -> None:
    items = list(twin_set(family, 3))
    assert [item["kind"] for item in items] == ["original", "renamed", "turned"] * 3
    assert len({item["group"] for item in items}) == 3
    assert {split_of(item["meta"]["question"]) for item in items} == {"test"}
    assert len({item["id"] for item in items}) == len(items)
    for place in range(0, len(items), 3):
        assert len({item["meta"]["register"] for item in items[place : place + 3]}) == 1
        original, renamed, turned = (item["answer"] for item in items[place : place + 3])
        assert original == renamed != turned
