"""The loss of the public scripts: equal to the slow form of their description, and apart from our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrbench.methods.fidelity import HAZARDS, Fidelity
from lrbench.recipe.schema import Lora, Training
from lrbench.sampling.samples import Samples
from lrbench.training import reference_loss
from lrbench.training.adapters import attach_adapter
from lrbench.training.batches import update_batches
from lrbench.training.dropout import TokenDropout
from lrbench.training.loss import batch_losses
from lrbench.training.reference_loss import RowForm, batches_of_rows, row_form, row_losses
from tests.oracles import scripted as oracle
from tests.training.conftest import VOCABULARY

PADDING = 3
DECISIVE = ("last_column", "labels_cut", "accumulation_summed", "rows_truncated")
# Shorter than the longest rows of the samples, which have 15 tokens.
LONGEST = 9


def adapted(tiny_model: Callable[..., Any], dropout: float = 0.0) -> Any:
    """A model with an adapter that already changes it, so that gradients of A are not zero."""
    model = attach_adapter(tiny_model(seed=1), Lora(r=4, dropout=dropout), seed=0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


def summed(parts: Any) -> torch.Tensor:
    return sum(parts, torch.zeros(()))


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.requires_grad])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hazards=st.sets(st.sampled_from(DECISIVE)),
    size=st.integers(1, 24),
    seed=st.integers(0, 2**16),
    labels=st.integers(5, 70),
)
def test_loss_and_gradients_equal_the_description_whatever_hazards_are_on(
    tiny_model: Callable[..., Any],
    samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    hazards: set[str],
    size: int,
    seed: int,
    labels: int,
) -> None:
    monkeypatch.setattr(reference_loss, "LONGEST_ROW", LONGEST)
    model = adapted(tiny_model)
    picked = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:size].tolist()
    cut = labels if "labels_cut" in hazards else None
    form = RowForm(Fidelity.of(hazards), PADDING, cut)
    expected = oracle.loss(
        model.get_base_model(),
        VOCABULARY,
        samples,
        picked,
        padding=PADDING,
        labels=cut,
        longest=LONGEST if "rows_truncated" in hazards else None,
        last_column="last_column" in hazards,
        summed="accumulation_summed" in hazards,
    )
    found = summed(row_losses(form, model.get_base_model(), VOCABULARY, samples, picked))
    assert found.item() == pytest.approx(expected.item(), abs=2e-5)
    if expected.requires_grad:
        torch.testing.assert_close(gradient(model, found), gradient(model, expected), rtol=1e-3, atol=2e-5)


def test_rows_without_a_hazard_are_our_own_loss_dropout_included(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = adapted(tiny_model, dropout=0.3).train()
    dropout = TokenDropout(model, 7)
    batch = list(range(0, len(samples), 2))
    own = summed(batch_losses(model.get_base_model(), VOCABULARY, samples, batch, dropout=dropout))
    form = RowForm(Fidelity(), PADDING)
    rows = summed(row_losses(form, model.get_base_model(), VOCABULARY, samples, batch, dropout=dropout))
    assert rows.item() == pytest.approx(own.item(), abs=1e-5)


def test_padding_is_read_where_a_row_is_shorter_than_the_longest_of_its_batch(samples: Samples) -> None:
    form = RowForm(Fidelity.of(["last_column"]), PADDING)
    batch = list(range(20))
    lengths = [len(form.row(samples, step)) for step in batch]
    shorter = sum(
        length < max(lengths[start : start + 8])
        for start in range(0, 20, 8)
        for length in lengths[start : start + 8]
    )
    assert 0 < shorter == form.at_padding(samples, batch)
    assert RowForm(Fidelity(), PADDING).at_padding(samples, batch) == 0


def test_the_processes_of_a_team_share_the_batches_of_an_update(
    tiny_model: Callable[..., Any], samples: Samples
) -> None:
    model = adapted(tiny_model).get_base_model()
    form = RowForm(Fidelity.of(["last_column"]), PADDING)
    batch = list(range(min(20, len(samples))))
    whole = summed(row_losses(form, model, VOCABULARY, samples, batch))
    shares = [
        summed(row_losses(form, model, VOCABULARY, samples, batch, share=slice(rank, None, 2)))
        for rank in range(2)
    ]
    assert sum(share.item() for share in shares) == pytest.approx(whole.item(), abs=1e-5)


@given(size=st.integers(1, 50), seed=st.integers(0, 9))
def test_shuffled_rows_come_once_in_an_epoch_which_ends_with_what_is_left(size: int, seed: int) -> None:
    some: Any = range(131)
    updates = -(-131 // size)
    training = Training(updates=2 * updates, steps_per_update=size)
    batches = list(update_batches(some, training, seed, rows_shuffled=True))
    for epoch in (batches[:updates], batches[updates:]):
        assert Counter(step for batch in epoch for step in batch) == Counter(range(131))
        assert [len(batch) for batch in epoch[:-1]] == [size] * (updates - 1)
    assert all(len(rows) <= 8 for batch in batches for rows in batches_of_rows(batch))


class Respelling:
    """A tokenizer that reads what it has written with every pair of 9s as one 10."""

    pad_token_id, eos_token_id, vocab_size = None, 2, 40

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(id_) for id_ in ids)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [ord(letter) for letter in text.replace("\t\t", "\n")]


def test_rows_are_decoded_and_tokenised_again_and_only_those_that_change_are_held(samples: Samples) -> None:
    rollout = samples.rollouts[0]
    doubled = replace(rollout, prompt_ids=(9, 9, 4), completion_ids=(9,) * rollout.steps)
    changed = replace(samples, rollouts=[doubled, *list(samples.rollouts)[1:]])
    tokenizer: Any = Respelling()
    form = row_form(Fidelity.of(["rows_retokenised"]), changed, tokenizer)
    assert form.padding == 2
    first = [step for step in range(len(changed)) if changed.rollout[step] == 0]
    assert set(form.respelt) >= set(first) != set()
    for step in first:
        count = int(changed.step[step])
        assert form.row(changed, step) == (10, 4, *[10] * (count // 2), *[9] * (count % 2))
    assert form.statistics(changed)["respelt_rows"] == len(form.respelt)


def test_only_the_order_of_rows_leaves_the_loss_what_it_is() -> None:
    ours = Fidelity.of(HAZARDS).at("train").hazards
    assert [name for name in ours if not Fidelity.of([name]).makes_rows] == ["rows_shuffled"]
    assert Fidelity.of(ours).makes_rows
    assert not Fidelity.of(set(HAZARDS) - set(ours)).makes_rows
