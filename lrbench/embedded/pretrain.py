"""Pre-training of one model of the pair: Muon for the hidden matrices, AdamW for the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from lrbench.embedded.muon import Muon
from lrbench.embedded.plans import PretrainingPlan

PROMPT_WEIGHT = 0.1
BATCH_SIZE = 32
WARM_UP = 50
FLOOR = 0.02
CLIP = 1.0
# Batches are cut from pools of this many documents sorted by length, so that little is padding.
POOL = 32 * BATCH_SIZE


# A document as token ids: the templated prompt, then the answer with its end of turn.
Encoded = tuple[Sequence[int], Sequence[int]]


def new_model(plan: PretrainingPlan, tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """A model of the plan's shape for this tokenizer, with weights drawn from the plan's seed."""
    torch.manual_seed(plan.seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        intermediate_size=plan.intermediate,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.key_value_heads,
        max_position_embeddings=tokenizer.model_max_length,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        initializer_range=0.04,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def pretrain(
    model: Qwen2ForCausalLM,
    plan: PretrainingPlan,
    documents: Sequence[Encoded],
    report: Callable[[str], None],
) -> list[float]:
    """Train `model` in place, once over `documents`, and return the loss of every update.

    Deterministic on one thread of one machine. `report` gets a line every hundred updates.
    """
    torch.use_deterministic_algorithms(True)
    batches = list(_batches(Random(plan.seed), documents, model.config.pad_token_id))
    optimizers = _optimizers(model, plan)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: _rate(update, len(batches)))
        for optimizer in optimizers
    ]
    model.train()
    losses = []
    began = time.monotonic()
    for update, (ids_BT, weights_BT) in enumerate(batches, start=1):
        loss = _loss(model, ids_BT, weights_BT)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if update % 100 == 0 or update == len(batches):
            recent = sum(losses[-100:]) / len(losses[-100:])
            seconds = time.monotonic() - began
            report(f"{plan.name}: update {update} of {len(batches)}, loss {recent:.3f}, {seconds:.0f} s")
    model.eval()
    return losses


def _batches(rng: Random, documents: Sequence[Encoded], pad: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every document once, as ids and loss weights of shape [batch, longest of the batch]."""
    order = list(range(len(documents)))
    rng.shuffle(order)
    groups = []
    for start in range(0, len(order), POOL):
        pool = sorted(
            order[start : start + POOL], key=lambda i: (len(documents[i][0]) + len(documents[i][1]), i)
        )
        cut = [pool[i : i + BATCH_SIZE] for i in range(0, len(pool), BATCH_SIZE)]
        rng.shuffle(cut)
        groups.extend(cut)
    for group in groups:
        yield _padded([documents[i] for i in group], pad)


def _padded(documents: list[Encoded], pad: int) -> tuple[Tensor, Tensor]:
    # Padding stands on the right, where causal attention hides it from every real token.
    longest = max(len(prompt) + len(answer) for prompt, answer in documents)
    ids_BT = torch.full((len(documents), longest), pad)
    weights_BT = torch.zeros((len(documents), longest))
    for row, (prompt, answer) in enumerate(documents):
        end = len(prompt) + len(answer)
        ids_BT[row, :end] = torch.tensor([*prompt, *answer])
        weights_BT[row, : len(prompt)] = PROMPT_WEIGHT
        weights_BT[row, len(prompt) : end] = 1.0
    return ids_BT, weights_BT


def _loss(model: Qwen2ForCausalLM, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    logits_BTV = model(input_ids=ids_BT[:, :-1], use_cache=False).logits
    each = functional.cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none")
    weights = weights_BT[:, 1:].flatten()
    return (each * weights).sum() / weights.sum()


def _optimizers(model: Qwen2ForCausalLM, plan: PretrainingPlan) -> list[torch.optim.Optimizer]:
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        Muon(hidden, lr=plan.muon_rate, weight_decay=0.1),
        torch.optim.AdamW(rest, lr=plan.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate(update: int, updates: int) -> float:
    """Linear warm-up, then a cosine down to `FLOOR`, as a factor of the peak rate."""
    if update < WARM_UP:
        return (update + 1) / WARM_UP
    done = (update - WARM_UP) / max(1, updates - WARM_UP)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
