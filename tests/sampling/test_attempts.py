"""Which attempt each token of an answer is of, and what is learnt where a failed one is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrbench.methods.attempts import SAYS_WRONG, Attempt
from lrbench.methods.presets import BY_NAME
from lrbench.methods.readings import PAIR
from lrbench.methods.selectors import All, Rule
from lrbench.methods.steps import unscored
from lrbench.recipe.schema import Lora
from lrbench.sampling.attempts import Parted, attempts_in, first_tokens, write_attempts
from lrbench.sampling.continuing import read_verdicts
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.training.adapters import attach_adapter
from lrbench.training.loss import batch_losses
from tests.training.conftest import VOCABULARY

SELECTOR = Attempt(signal="attempt")


def decoded(ids: Any) -> str:
    """An id for every byte; what is no whole character is one that stands for that."""
    return bytes(ids).decode(errors="replace")


@pytest.mark.parametrize(
    ("text", "attempts"),
    [
        ("It is 5.", [(0, "It is 5.")]),
        ("It is 5.\nThat is wrong. It is 6.", [(0, "It is 5."), (8, " It is 6.")]),
        ("5 That is wrong.That is wrong. 6", [(0, "5"), (1, ""), (16, " 6")]),
        ("That is wrong. 6", [(0, ""), (0, " 6")]),
    ],
)
def test_an_attempt_begins_where_it_is_said_that_another_was_wrong(
    text: str, attempts: list[tuple[int, str]]
) -> None:
    assert [(each.begins, each.text) for each in attempts_in(text, SAYS_WRONG)] == attempts


@pytest.mark.parametrize("first", ["It is 5.", "Ünd so: 5 €", ""])
def test_the_first_token_of_an_attempt_is_the_one_that_its_text_begins_with(first: str) -> None:
    text = f"{first}\nThat is wrong. It is 6."
    ids = list(text.encode())
    assert first_tokens(attempts_in(text, SAYS_WRONG), ids, decoded) == [0, len(first.encode())]


def seen(parted: list[Parted], folder: Path) -> Any:
    """What a selector sees of attempts, by way of their file."""
    path = folder / "part.parquet"
    write_attempts(path, parted)
    view = read_verdicts([path]).view([one.steps for one in parted])
    return {PAIR: unscored([one.steps for one in parted]), SELECTOR.parting.view: view}


def test_tokens_of_failed_attempts_are_not_kept_and_others_are(tmp_path: Path) -> None:
    views = seen([Parted(0, 5, [0, 3], [True, False]), Parted(1, 3, [0], [False])], tmp_path)
    assert SELECTOR.keep(views).tolist() == [False] * 3 + [True] * 5
    assert Attempt(signal="attempt", failed=True).keep(views).tolist() == [True] * 3 + [False] * 5
    matched = Rule(signal="random", match="pam").matching(lambda _: SELECTOR).seeded(0)
    assert matched.continuings == SELECTOR.continuings
    kept = matched.keep(views)
    assert [int(kept[:5].sum()), int(kept[5:].sum())] == [2, 3]


def samples_of(rollouts: list[Rollout], selector: Any, kept: Any = None) -> Samples:
    pam = BY_NAME["pam"].ingredients
    assert pam is not None
    return build_samples(rollouts, {}, pam.model_copy(update={"selector": selector}), None, kept)


def loss_and_gradients(model: Any, samples: Samples) -> list[torch.Tensor]:
    adapted = attach_adapter(model, Lora(r=4, dropout=0.0), seed=0)
    loss = sum(
        batch_losses(adapted.get_base_model(), VOCABULARY, samples, range(len(samples))), torch.zeros(())
    )
    loss.backward()
    found = [loss.detach(), *(weight.grad for weight in adapted.parameters() if weight.grad is not None)]
    adapted.unload()
    return found


ANSWERS = [Rollout("p", 0, (5, 6, 7), (8, 9, 10, 11, 12, 13)), Rollout("q", 0, (7, 6), (3, 4, 5))]


def test_without_the_wrong_attempt_loss_and_gradient_are_those_of_the_right_part_alone(
    tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    """To the bit, as if the wrong attempt stood with the prompt."""
    views = seen([Parted(0, 6, [0, 4], [True, False]), Parted(1, 3, [0], [False])], tmp_path)
    masked = samples_of(ANSWERS, SELECTOR, SELECTOR.keep(views))
    first = replace(ANSWERS[0], prompt_ids=(5, 6, 7, 8, 9, 10, 11), completion_ids=(12, 13))
    alone = samples_of([first, ANSWERS[1]], All())
    found, expected = (loss_and_gradients(tiny_model(seed=1), samples) for samples in (masked, alone))
    assert len(found) == len(expected) > 1
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    whole = loss_and_gradients(tiny_model(seed=1), samples_of(ANSWERS, All()))
    assert not torch.equal(whole[0], found[0])


def test_where_no_attempt_has_failed_it_is_learning_from_all_own_tokens(tmp_path: Path) -> None:
    views = seen([Parted(0, 6, [0, 4], [False, False]), Parted(1, 3, [0], [False])], tmp_path)
    kept, every = samples_of(ANSWERS, SELECTOR, SELECTOR.keep(views)), samples_of(ANSWERS, All())
    for name in ("rollout", "step"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(every, name))
    for name in ("offsets", "ids", "weights"):
        np.testing.assert_array_equal(getattr(kept.targets, name), getattr(every.targets, name))


def test_why_a_token_is_kept_is_said(tmp_path: Path) -> None:
    views = seen([Parted(0, 2, [0, 1], [True, False])], tmp_path)
    first, last = (
        {name: replace(view, **{k: v[place : place + 1] for k, v in vars(view).items() if v is not None})}
        for place in range(2)
        for name, view in [(SELECTOR.parting.view, views[SELECTOR.parting.view])]
    )
    assert SELECTOR.reason(first, False) == "Not kept: a token of attempt 1, which has failed."
    assert SELECTOR.reason(last, True) == "Kept: a token of attempt 2, which has not failed."
