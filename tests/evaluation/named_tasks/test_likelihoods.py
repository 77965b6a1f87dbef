"""Log-likelihoods against the slow obvious way, and texts as token ids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.evaluation.named_tasks.likelihoods import likelihoods
from lrbench.evaluation.named_tasks.texts import TaskTexts
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

EXPERT = locate(ModelReference(model="embedded/expert"), FileHashes())
STOPS = (2, 0)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(EXPERT, torch.device("cpu"))


@pytest.fixture(scope="module")
def texts() -> TaskTexts:
    return TaskTexts(load_tokenizer(EXPERT), STOPS)


def one_by_one(model: Any, before: list[int], after: list[int]) -> tuple[float, bool]:
    """Token by token, each with a forward pass of its own."""
    total, greedy = 0.0, True
    for place, token in enumerate(after):
        with torch.no_grad():
            logits = model(torch.tensor([[*before, *after[:place]]])).logits[0, -1].double()
        total += float(torch.log_softmax(logits, -1)[token])
        greedy = greedy and int(logits.argmax()) == token
    return total, greedy


tokens = st.lists(st.integers(3, 200), min_size=1, max_size=6)


@settings(max_examples=20)
@given(st.lists(st.tuples(tokens, tokens), min_size=1, max_size=6), st.integers(1, 4))
def test_they_are_those_of_one_token_after_the_other(model: Any, pairs: list[Any], rows: int) -> None:
    found = likelihoods(model, pairs, rows, None)
    for (before, after), likelihood in zip(pairs, found, strict=True):
        log, greedy = one_by_one(model, before, after)
        assert likelihood.log == pytest.approx(log, abs=1e-4)
        assert likelihood.greedy == greedy


def test_choices_that_differ_in_their_last_token_alone_take_one_row(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrbench.models import forward

    read: list[int] = []
    real = forward.hidden_states
    monkeypatch.setattr(
        forward, "hidden_states", lambda plain, ids: (read.append(len(ids)), real(plain, ids))[1]
    )
    likelihoods(model, [([5, 6], [token]) for token in (7, 8, 9)] + [([5, 6], [7, 8])], 8, None)
    assert sum(read) == 2


def test_what_is_too_long_loses_its_beginning(model: Any) -> None:
    (long,) = likelihoods(model, [([9, 9, 9, 5, 6], [7, 8])], 1, 3)
    (short,) = likelihoods(model, [([5, 6], [7, 8])], 1, None)
    assert long.log == pytest.approx(short.log, abs=1e-5)


def test_white_space_at_the_end_of_a_context_belongs_to_what_follows(texts: TaskTexts) -> None:
    assert texts.pair("It is ", "7") == texts.pair("It is", " 7")
    before, after = texts.pair("It is", " 7")
    assert before + after == texts.ids("It is 7")
    assert before == texts.ids("It is")


def test_without_a_context_the_first_token_stands_before(texts: TaskTexts) -> None:
    before, after = texts.pair("", "It is 7")
    assert before == [texts.first]
    assert after == texts.ids("It is 7")


def test_what_is_written_ends_before_the_first_ending_and_has_no_control_tokens(texts: TaskTexts) -> None:
    written = [*texts.ids("It is 7. Next it is 8."), STOPS[0]]
    assert texts.text(written, []) == "It is 7. Next it is 8."
    assert texts.text(written, ["it is", "Next", ""]) == "It is 7. "
