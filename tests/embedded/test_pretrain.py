from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from lrbench.embedded.corpus import documents
from lrbench.embedded.plans import AMATEUR, TextPlan
from lrbench.embedded.pretrain import BATCH_SIZE, PROMPT_WEIGHT, new_model, pretrain
from lrbench.embedded.tokenizer import document_ids, train_tokenizer

PLAN = replace(
    AMATEUR,
    hidden=32,
    heads=1,
    intermediate=64,
    text=TextPlan(documents=5 * BATCH_SIZE, care=0.5, seed=1),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    torch.use_deterministic_algorithms(before[1])


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(
        (text for document in documents(PLAN.text) for text in (document.prompt, document.answer)), 640
    )


@pytest.fixture(scope="module")
def encoded(tokenizer):
    return document_ids(tokenizer, [(document.prompt, document.answer) for document in documents(PLAN.text)])


def trained(tokenizer, encoded, plan=PLAN):
    model = new_model(plan, tokenizer)
    losses = pretrain(model, plan, encoded, lambda _: None)
    return model, losses


def test_two_trainings_from_one_seed_give_the_same_bytes(tokenizer, encoded):
    (first, losses), (second, again) = trained(tokenizer, encoded), trained(tokenizer, encoded)
    assert losses == again
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_another_seed_gives_another_model(tokenizer, encoded):
    assert trained(tokenizer, encoded)[1] != trained(tokenizer, encoded, replace(PLAN, seed=99))[1]


def test_five_updates_reduce_the_loss(tokenizer, encoded):
    losses = trained(tokenizer, encoded)[1]
    assert len(losses) == 5
    assert losses[-1] < losses[0]


def test_the_loss_of_a_batch_is_the_weighted_mean_over_its_real_tokens(tokenizer, encoded):
    few = encoded[:BATCH_SIZE]
    model = new_model(PLAN, tokenizer)
    total = weight = 0.0
    with torch.no_grad():
        for prompt, answer in few:
            logits_TV = model(torch.tensor([prompt + answer])).logits[0, :-1]
            each_T = functional.cross_entropy(
                logits_TV, torch.tensor((prompt + answer)[1:]), reduction="none"
            )
            weights_T = torch.tensor([PROMPT_WEIGHT] * (len(prompt) - 1) + [1.0] * len(answer))
            total += float((each_T * weights_T).sum())
            weight += float(weights_T.sum())
    assert pretrain(model, PLAN, few, lambda _: None)[0] == pytest.approx(total / weight, rel=1e-5)


def test_progress_is_told(tokenizer, encoded):
    lines = []
    pretrain(new_model(PLAN, tokenizer), PLAN, encoded, lines.append)
    assert lines[-1].startswith("amateur: update 5 of 5, loss ")
