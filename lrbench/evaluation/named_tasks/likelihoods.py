"""Log-likelihoods of continuations, one forward pass for every different row of tokens.

Shapes: B rows, T tokens, D hidden, N tokens of continuations, V the width of the output layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Tokens = Sequence[int]


@dataclass(frozen=True)
class Likelihood:
    """Of a continuation after its context: its log-probability, nats, and whether greedy writing gives it."""

    log: float
    greedy: bool


def likelihoods(
    model: Any, pairs: Sequence[tuple[Tokens, Tokens]], rows: int, context: int | None
) -> list[Likelihood]:
    """The likelihood of every continuation after its context, both as token ids, neither empty.

    Continuations that differ in their last token alone are read off one row. A forward pass takes at most
    `rows` rows of similar length, and the output layer sees only where continuations stand. What is longer
    than `context` tokens loses its beginning, as lm-eval's own models have it.
    """
    import torch

    from lrbench.models.forward import hidden_states, length_batches, pad_right, unwrapped
    from lrbench.models.pieces import TOKENS_PER_FORWARD

    plain = unwrapped(model)
    asked: dict[tuple[int, ...], list[int]] = {}
    for place, (before, after) in enumerate(pairs):
        whole = (*before, *after)
        whole = whole if context is None else whole[-(context + 1) :]
        asked.setdefault(whole[:-1], []).append(place)
    inputs = list(asked)
    most = TOKENS_PER_FORWARD[plain.device.type]
    found: dict[int, Likelihood] = {}
    with torch.no_grad():
        for batch in length_batches([len(row) for row in inputs], rows, most):
            hidden_BTD = hidden_states(plain, pad_right([inputs[index] for index in batch], plain.device))
            for row, index in enumerate(batch):
                length = len(inputs[index])
                longest = max(len(pairs[place][1]) for place in asked[inputs[index]])
                hidden_ND = hidden_BTD[row, max(0, length - longest) : length]
                log_NV = torch.log_softmax(plain.get_output_embeddings()(hidden_ND).float(), dim=-1)
                for place in asked[inputs[index]]:
                    after_N = torch.tensor(pairs[place][1], device=log_NV.device)[-len(log_NV) :]
                    own_NV = log_NV[-len(after_N) :]
                    log = own_NV.gather(1, after_N.unsqueeze(1)).sum().item()
                    found[place] = Likelihood(log, bool((own_NV.argmax(dim=-1) == after_N).all().item()))
    return [found[place] for place in range(len(pairs))]
