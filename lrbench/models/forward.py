"""One teacher-forced forward: hidden states first, log-probabilities only where they are needed.

Shapes: B rollouts, T tokens, D hidden, N chosen positions, V shared vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lrbench.errors import ModelError, first_line
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory
from lrbench.models.pieces import TOKENS_PER_FORWARD as TOKENS_PER_FORWARD
from lrbench.models.pieces import chunk_positions
from lrbench.models.vocabulary import SharedVocabulary

# Far below any logit, yet finite: 0 * (x - y) stays 0 where infinities would give NaN.
UNUSED_LOGIT = -1e30


def chunk_size(vocabulary: SharedVocabulary) -> int:
    """Positions whose distributions are held at once: at most 64 MiB of float32 for one tensor of them."""
    return chunk_positions(vocabulary.size)


def length_batches(lengths: Sequence[int], rows: int, tokens: int) -> list[list[int]]:
    """Indices of sequences in batches of similar length, so that little is padding.

    A batch holds at most `rows` sequences and, padded, at most `tokens` tokens (one sequence at least).
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        full = not batches or len(batches[-1]) == rows or (len(batches[-1]) + 1) * lengths[index] > tokens
        if full:
            batches.append([])
        batches[-1].append(index)
    return batches


def pad_right(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Token ids (B, T), padded on the right with id 0."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)


def unwrapped(model: Model) -> Model:
    """The model within PEFT's wrapper, which has no hidden states; adapted all the same."""
    inner: Model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner


def hidden_states(model: Model, ids_BT: Tensor) -> Tensor:
    """Last hidden states (B, T, D), before the output layer, of rows padded on the right.

    With causal attention nothing to the right is seen, so real positions need no mask.
    """
    hidden_BTD: Tensor = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
    return hidden_BTD


def output_logits(
    model: Model, hidden_ND: Tensor, vocabulary: SharedVocabulary, out_NR: Tensor | None = None
) -> Tensor:
    """Logits (N, V) over the shared vocabulary in the model's dtype; what stands for no token has the lowest.

    `out_NR`, of at least N rows as wide as the output layer, is written to where that is possible: to find
    a new block of this size takes the system nearly as long as computing the logits in it.
    """
    layer = model.get_output_embeddings()
    if out_NR is not None and type(layer) is torch.nn.Linear and layer.bias is None:
        logits_NR = torch.mm(hidden_ND, layer.weight.T, out=out_NR[: len(hidden_ND)])
    else:
        logits_NR = layer(hidden_ND)
    return shared_logits(logits_NR, vocabulary)


def shared_logits(logits_NR: Tensor, vocabulary: SharedVocabulary) -> Tensor:
    """The (N, V) of an output layer's (N, R), in the same memory; what stands for no token has the lowest."""
    logits_NV = logits_NR[:, : vocabulary.size]
    if vocabulary.unused:
        unused_U = torch.tensor(vocabulary.unused, device=logits_NV.device)
        lowest = max(UNUSED_LOGIT, torch.finfo(logits_NV.dtype).min)
        logits_NV = logits_NV.index_fill_(1, unused_U, lowest)
    return logits_NV


def log_probabilities(model: Model, hidden_ND: Tensor, vocabulary: SharedVocabulary) -> Tensor:
    """Log-probabilities (N, V) over the shared vocabulary, in float32 whatever the model's dtype."""
    return torch.log_softmax(output_logits(model, hidden_ND, vocabulary).float(), dim=-1)


@torch.no_grad()
def check_output_layer(model: Model, name: str) -> None:
    """Prove that the output layer alone turns hidden states into logits.

    Some architectures scale or cap logits afterwards; scoring them here would be wrong, so such a
    model is refused with `ModelError`, and so is one that cannot read text at all.
    """
    ids_BT = torch.arange(8, device=model.device).unsqueeze(0)
    try:
        whole_BTV = model(input_ids=ids_BT).logits
        parts_BTV = model.get_output_embeddings()(hidden_states(model, ids_BT))
    except Exception as error:  # sizes that do not fit together are found by whichever layer meets them
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        raise ModelError(
            f"{name}: the model as config.json describes it cannot compute: {first_line(error)}"
        ) from error
    tolerance = 1e-4 if whole_BTV.dtype == torch.float32 else 1e-2
    if not torch.allclose(whole_BTV.float(), parts_BTV.float(), rtol=tolerance, atol=tolerance):
        raise ModelError(
            f"{name}: this architecture changes logits after its output layer, which lrbench does not support"
        )
