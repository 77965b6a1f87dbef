"""The loss as the public scripts of the paper take it: one row per kept step, in small padded batches.

Hazard by hazard (`lrbench.methods.fidelity`), and apart from `lrbench.training.loss`, which has none of this.
With none of the hazards on, it is the same mean over kept steps of KL(target || model).

Shapes: B rows of a batch, T tokens, D hidden, V tokens that count, M target tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.methods.fidelity import LONGEST_ROW, ROWS_PER_BATCH, Fidelity
from lrbench.models.checkpoint import size_without_added
from lrbench.models.forward import log_probabilities, pad_right
from lrbench.models.loading import Model, Tokenizer
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.retokenising import respelt
from lrbench.sampling.samples import Samples
from lrbench.training.dropout import TokenDropout


@dataclass(frozen=True)
class RowForm:
    """How kept steps are rows: what `fidelity` says, with what it needs of the tokenizer.

    `padding` fills short rows. `labels` is how many ids targets and logits have where they are cut. `respelt`
    holds the rows, by the index of their kept step, whose tokens are others than those of the rollout.
    """

    fidelity: Fidelity
    padding: int = 0
    labels: int | None = None
    respelt: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def row(self, samples: Samples, step: int) -> tuple[int, ...]:
        """The token ids that are read to predict a kept step, given by its index."""
        ids = self.respelt.get(step)
        if ids is None:
            rollout = samples.rollouts[samples.rollout[step]]
            ids = rollout.token_ids[: len(rollout.prompt_ids) + int(samples.step[step])]
        return ids[:LONGEST_ROW] if self.fidelity.rows_truncated else ids

    def at_padding(self, samples: Samples, batch: Sequence[int]) -> int:
        """How many rows of an update are read at a column that is padding."""
        found = 0
        for rows in batches_of_rows(batch):
            lengths = [len(self.row(samples, step)) for step in rows]
            places = places_read(self, lengths)
            found += sum(place >= length for place, length in zip(places, lengths, strict=True))
        return found

    def statistics(self, samples: Samples) -> dict[str, int]:
        """How many rows have other tokens than their rollouts, for each reason that there may be."""
        found = {}
        if self.fidelity.rows_retokenised:
            found["respelt_rows"] = len(self.respelt)
        if self.fidelity.rows_truncated:
            whole = replace(self, fidelity=Fidelity())
            lengths = (len(whole.row(samples, step)) for step in range(len(samples)))
            found["truncated_rows"] = sum(length > LONGEST_ROW for length in lengths)
        return found


def row_form(fidelity: Fidelity, samples: Samples, tokenizer: Tokenizer) -> RowForm:
    """The rows of `samples` for the hazards that training reads."""
    changed: Mapping[int, tuple[int, ...]] = {}
    if fidelity.rows_retokenised:
        steps = (
            (samples.rollouts[rollout], int(step))
            for rollout, step in zip(samples.rollout.tolist(), samples.step.tolist(), strict=True)
        )
        changed = dict(respelt(tokenizer, steps))
    padding = next((id_ for id_ in (tokenizer.pad_token_id, tokenizer.eos_token_id) if id_ is not None), 0)
    labels = size_without_added(tokenizer) if fidelity.labels_cut else None
    return RowForm(fidelity, padding, labels, changed)


def row_losses(
    form: RowForm,
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    batch: Sequence[int],
    *,
    pieces: Pieces | None = None,
    pack: bool = False,
    dropout: TokenDropout | None = None,
    share: slice = slice(None),
) -> Iterator[Tensor]:
    """Parts of the loss of the kept steps `batch`, in nats: one for each batch of rows, to be summed.

    Rows are padded on the right to the longest of their batch, behind an attention mask, as the scripts do.
    `share` picks the batches of one process of several. What is in memory at once is part of what the loss is
    here, so `pieces` and `pack` change nothing.
    """
    del pieces, pack
    for rows in batches_of_rows(batch)[share]:
        rows_B = np.asarray(rows, dtype=np.int64)
        summed = _divergence(form, model, vocabulary, samples, rows_B, dropout)
        yield summed / (len(rows) if form.fidelity.accumulation_summed else len(batch))


def batches_of_rows(batch: Sequence[int]) -> list[Sequence[int]]:
    """The kept steps of an update as the scripts put them on the device, a few at a time."""
    return [batch[start : start + ROWS_PER_BATCH] for start in range(0, len(batch), ROWS_PER_BATCH)]


def places_read(form: RowForm, lengths: Sequence[int]) -> list[int]:
    """The column that each row of one batch is read at, of rows with so many tokens."""
    return [(max(lengths) if form.fidelity.last_column else length) - 1 for length in lengths]


def _divergence(
    form: RowForm,
    model: Model,
    vocabulary: SharedVocabulary,
    samples: Samples,
    rows_B: NDArray[np.int64],
    dropout: TokenDropout | None,
) -> Tensor:
    """Sum of KL(target || model) over the rows of one batch."""
    device = model.device
    rows = [form.row(samples, int(step)) for step in rows_B]
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    places_B = np.array(places_read(form, lengths), dtype=np.int64)
    mask_BT = torch.as_tensor(np.arange(longest) < np.array(lengths)[:, None], device=device)
    ids_BT = pad_right(rows, device).masked_fill(~mask_BT, form.padding)
    rollouts_B = samples.rollout[rows_B].astype(np.int64)
    if dropout is not None:
        rollouts_BT = np.repeat(rollouts_B[:, None], longest, axis=1)
        columns_BT = np.broadcast_to(np.arange(longest), rollouts_BT.shape)
        dropout.rows_BT = dropout.keys(rollouts_BT, columns_BT, device)
        dropout.chunk_C = dropout.keys(rollouts_B, places_B, device)
    hidden_BTD = model.base_model(
        input_ids=ids_BT, attention_mask=mask_BT.long(), use_cache=False
    ).last_hidden_state
    hidden_BD = hidden_BTD[torch.arange(len(rows), device=device), torch.as_tensor(places_B, device=device)]
    log_p_BV = _log_probabilities(form, model, vocabulary, hidden_BD)
    targets = samples.targets
    lengths_B = np.diff(targets.offsets)[rows_B]
    spans = [np.arange(targets.offsets[step], targets.offsets[step + 1]) for step in rows_B]
    tokens_M = np.concatenate(spans)
    owner_M = np.repeat(np.arange(len(rows)), lengths_B)
    if form.labels is not None:
        inside_M = targets.ids[tokens_M] < form.labels
        tokens_M, owner_M = tokens_M[inside_M], owner_M[inside_M]
    weights_M = torch.as_tensor(targets.weights[tokens_M], device=device)
    ids_M = torch.as_tensor(targets.ids[tokens_M].astype(np.int64), device=device)
    # A weight can underflow to 0, where w log w is 0 by continuity.
    log_weights_M = weights_M.clamp_min(torch.finfo(torch.float32).tiny).log()
    log_p_M = log_p_BV[torch.as_tensor(owner_M, device=device), ids_M]
    return (weights_M * (log_weights_M - log_p_M)).sum()


def _log_probabilities(
    form: RowForm, model: Model, vocabulary: SharedVocabulary, hidden_BD: Tensor
) -> Tensor:
    """(B, V) in float32: over the model's tokens, or over the ids below the size that labels are cut to."""
    if form.labels is None:
        return log_probabilities(model, hidden_BD, vocabulary)
    logits_BR = model.get_output_embeddings()(hidden_BD)
    return torch.log_softmax(logits_BR[:, : form.labels].float(), dim=-1)
