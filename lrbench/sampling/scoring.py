"""Scoring: one teacher-forced forward of each model per rollout, in chunks of positions.

Shapes: B rollouts, T tokens, D hidden, N steps of the batch, C steps of a chunk, V shared vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.errors import RunError
from lrbench.models.alignment import Alignment
from lrbench.models.forward import (
    TOKENS_PER_FORWARD,
    chunk_size,
    hidden_states,
    length_batches,
    log_probabilities,
    output_logits,
    pad_right,
)
from lrbench.models.loading import Model
from lrbench.models.memory import out_of_memory, size_of
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.alignment import aligned_columns
from lrbench.sampling.reading import Reading, own_reading
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores, concatenate, in_rollout_order
from lrbench.sampling.step_scores import step_columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedPair:
    """Expert and amateur in memory, with the vocabulary proven to be shared.

    With an `alignment` the vocabulary is the expert's own, and what is shared is the alignment's tokens. A
    pair that `takes_turns` is too large for its device: the expert is there, the amateur on the CPU, and
    while rollouts are scored they change places.
    """

    expert: Model
    amateur: Model
    vocabulary: SharedVocabulary
    alignment: Alignment | None = None
    takes_turns: bool = False


@torch.no_grad()
def score_rollouts(
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    *,
    alpha_min: float,
    first_index: int = 0,
    readings: Sequence[Reading] | None = None,
    pieces: Pieces | None = None,
) -> Scores:
    """Scores of every step of `rollouts`, which are numbered from `first_index` on.

    D_t = KL(p_E || p_A) over the shared vocabulary in float32 (paper, equation 1); a token of a rollout
    that is not shared has log-probabilities that are not a number. Only the logits of one chunk of
    positions, by default at most 64 MiB for each model, are in memory at a time; `pieces` are halved when
    memory runs out. `readings` are what the amateur of an aligned pair reads; any other reads what the
    expert reads. Raises `RunError` where a divergence is not a number, or one rollout does not fit into
    memory or a model's context.
    """
    own = [own_reading(rollout) for rollout in rollouts]
    theirs = own if readings is None else readings
    check_context("expert", pair.expert, rollouts, own)
    check_context("amateur", pair.amateur, rollouts, theirs)
    sizes = [pair.vocabulary.size, 0 if pair.alignment is None else pair.alignment.amateur.size]
    pieces = pieces or Pieces.usual(pair.expert.device.type, max(sizes))
    while True:
        try:
            return _scored(pair, rollouts, (own, theirs), alpha_min, first_index, pieces)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            longest = max(len(reading.token_ids) for reading in (*own, *theirs))
            if pieces.are_smallest(longest):
                raise RunError(_too_large(pair, longest)) from error
        pieces = pieces.halved()
        logger.warning("out of memory while scoring: going on with %d tokens at once", pieces.tokens)
        if pair.expert.device.type == "cuda":
            torch.cuda.empty_cache()


def check_context(role: str, model: Model, rollouts: Sequence[Rollout], readings: Sequence[Reading]) -> None:
    """Raise `RunError` where one of the readings, one of each rollout, is longer than the model's context."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for rollout, reading in zip(rollouts, readings, strict=True):
        if context is not None and len(reading.token_ids) > context:
            raise RunError(
                f"the {role} has positions for {context} tokens, and the rollout of {rollout.problem_id} has "
                f"{len(reading.token_ids)}: lower sampling.max_new_tokens, leave the problem out, or choose "
                f"another {role}"
            )


def _too_large(pair: LoadedPair, longest: int) -> str:
    return (
        f"out of memory: one rollout of {longest} tokens alone is too much to score, with "
        f"{size_of(pair.expert)} as the expert, {size_of(pair.amateur)} as the amateur and a vocabulary of "
        f"{pair.vocabulary.size:,} tokens. Lower sampling.max_new_tokens, use smaller models or a smaller "
        "dtype, or free memory."
    )


def _scored(
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    readings: tuple[Sequence[Reading], Sequence[Reading]],
    alpha_min: float,
    first_index: int,
    pieces: Pieces,
) -> Scores:
    parts = []
    own, theirs = readings
    # One more than is read: the last token of a rollout is predicted and no more.
    lengths = [1 + max(len(a.token_ids), len(b.token_ids)) for a, b in zip(own, theirs, strict=True)]
    most = min(pieces.positions, sum(rollout.steps for rollout in rollouts))
    expert_CR, amateur_CR = (_room(model, most, pair.expert.device) for model in (pair.expert, pair.amateur))
    batches = length_batches(lengths, len(rollouts), pieces.tokens)
    places_V = _places(pair)
    read = [([own[index] for index in indices], [theirs[index] for index in indices]) for indices in batches]
    with closing(_by_turns(pair, read) if pair.takes_turns else _together(pair, read)) as predicting:
        for indices, (expert_ND, amateur_ND) in zip(batches, predicting, strict=True):
            batch = [rollouts[index] for index in indices]
            own_N = _own_places(batch, places_V).to(expert_ND.device)
            chunks = [
                _columns(pair, expert_CD, amateur_CD, own_C, (expert_CR, amateur_CR), alpha_min)
                for expert_CD, amateur_CD, own_C in zip(
                    *(torch.split(each, pieces.positions) for each in (expert_ND, amateur_ND, own_N)),
                    strict=True,
                )
            ]
            parts.append(assemble(batch, [first_index + index for index in indices], chunks))
    return in_rollout_order(concatenate(parts))


Batches = Sequence[tuple[Sequence[Reading], Sequence[Reading]]]
HiddenStates = Generator[tuple[Tensor, Tensor]]


def _together(pair: LoadedPair, batches: Batches) -> HiddenStates:
    """(N, D) of the expert and of the amateur for each batch, both models where they are."""
    for ours, theirs in batches:
        yield predicting_states(pair.expert, ours), predicting_states(pair.amateur, theirs)


def _by_turns(pair: LoadedPair, batches: Batches) -> HiddenStates:
    """As `_together`, with one model at a time on the expert's device, and at last the output layers alone.

    Hidden states wait on the CPU. Afterwards the models are where they were.
    """
    device = pair.expert.device
    try:
        expert = [predicting_states(pair.expert, ours).cpu() for ours, _ in batches]
        pair.expert.cpu()
        pair.amateur.to(device)
        amateur = [predicting_states(pair.amateur, theirs).cpu() for _, theirs in batches]
        pair.amateur.cpu()
        for model in (pair.expert, pair.amateur):
            model.get_output_embeddings().to(device)
        for expert_ND, amateur_ND in zip(expert, amateur, strict=True):
            yield expert_ND.to(device), amateur_ND.to(device)
    finally:
        pair.amateur.cpu()
        pair.expert.to(device)


@torch.no_grad()
def mean_probabilities(
    model: Model, readings: Sequence[Reading], vocabulary: SharedVocabulary
) -> NDArray[np.float64]:
    """(V,) each token's probability, on average over all steps of the `readings`."""
    sum_V = torch.zeros(vocabulary.size, dtype=torch.float64, device=model.device)
    tokens = TOKENS_PER_FORWARD[model.device.type]
    for indices in length_batches([len(reading.token_ids) for reading in readings], len(readings), tokens):
        hidden_ND = predicting_states(model, [readings[index] for index in indices])
        for hidden_CD in torch.split(hidden_ND, chunk_size(vocabulary)):
            sum_V += log_probabilities(model, hidden_CD, vocabulary).exp_().sum(0)
    mean_V: NDArray[np.float64] = sum_V.cpu().numpy() / sum(len(reading.positions) for reading in readings)
    return mean_V


def step_hidden_states(model: Model, rollouts: Sequence[Rollout]) -> Tensor:
    """(N, D) the hidden states that predict the steps of `rollouts`, in rollout order, from one forward."""
    return predicting_states(model, [own_reading(rollout) for rollout in rollouts])


def predicting_states(model: Model, readings: Sequence[Reading]) -> Tensor:
    """(N, D) the hidden states at the positions of `readings`, in their order."""
    ids_BT = pad_right([reading.token_ids for reading in readings], model.device)
    places = [(row, column) for row, reading in enumerate(readings) for column in reading.positions]
    rows_N, columns_N = torch.tensor(places, device=model.device).reshape(-1, 2).unbind(-1)
    return hidden_states(model, ids_BT)[rows_N, columns_N]


def _places(pair: LoadedPair) -> NDArray[np.int64]:
    """(V + 1,) for each token of the expert its place among those that are compared, -1 where it has none.

    The last is for every id beyond.
    """
    places_V = np.full(pair.vocabulary.size + 1, -1)
    if pair.alignment is None:
        places_V[:-1] = np.arange(pair.vocabulary.size)
        places_V[list(pair.vocabulary.unused)] = -1
    else:
        places_V[pair.alignment.expert_ids] = np.arange(pair.alignment.size)
    return places_V


def _own_places(rollouts: Sequence[Rollout], places_V: NDArray[np.int64]) -> Tensor:
    """(N,) the place of each step's own token."""
    own = [token for rollout in rollouts for token in rollout.completion_ids]
    return torch.from_numpy(places_V[np.minimum(np.array(own, dtype=np.int64), len(places_V) - 1)])


def _columns(
    pair: LoadedPair,
    expert_CD: Tensor,
    amateur_CD: Tensor,
    own_C: Tensor,
    rooms: tuple[Tensor, Tensor],
    alpha_min: float,
) -> dict[str, NDArray[Any]]:
    """Columns of `Scores` for the C steps of a chunk; the logits are written to the `rooms`."""
    theirs = pair.vocabulary if pair.alignment is None else pair.alignment.amateur
    expert_CV = output_logits(pair.expert, expert_CD, pair.vocabulary, rooms[0])
    amateur_CV = output_logits(pair.amateur, amateur_CD, theirs, rooms[1])
    if pair.alignment is None:
        return step_columns(expert_CV, amateur_CV, own_C, alpha_min)
    return aligned_columns(expert_CV, amateur_CV, own_C, pair.alignment, alpha_min)


def _room(model: Model, positions: int, device: torch.device) -> Tensor:
    """(C, R) room for the logits of C positions, R rows of the output layer; written anew by every chunk."""
    rows = model.get_output_embeddings().weight.shape[0]
    return torch.empty(positions, rows, dtype=model.dtype, device=device)


def assemble(
    rollouts: Sequence[Rollout],
    indices: Sequence[int],
    chunks: list[dict[str, NDArray[Any]]],
) -> Scores:
    """The columns of all steps of `rollouts`, in chunks, as scores of the rollouts with these `indices`.

    Raises `RunError` where a divergence is not a number.
    """
    steps = [rollout.steps for rollout in rollouts]
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    broken = np.flatnonzero(~np.isfinite(columns["kl"]))
    if len(broken):
        problem = np.repeat([rollout.problem_id for rollout in rollouts], steps)[broken[0]]
        raise RunError(
            f"the divergence of {len(broken)} steps is not a number, the first in the rollout of {problem}: "
            "a model computes NaN or infinity there. Use dtype float32 or bfloat16 for both models."
        )
    lengths = columns.pop("support_lengths")
    if not columns["dropped"].any():
        del columns["dropped"]
    return Scores(
        rollout=np.repeat(np.array(indices, dtype=np.int32), steps),
        step=np.concatenate([np.arange(count, dtype=np.int32) for count in steps]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        **columns,
    )
