"""How likely a loaded model finds completions that are written already: one forward for each of them.

Shapes: B rows, T tokens, D hidden, C positions of one chunk, V the width of the output layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lrbench.models.forward import hidden_states, length_batches, pad_right, unwrapped
from lrbench.models.loading import Model
from lrbench.models.pieces import TOKENS_PER_FORWARD, chunk_positions

# Read at once where a recipe leaves it open.
DEFAULT_ROWS = 64


@torch.no_grad()
def next_log_probabilities(
    model: Model, prompts: Sequence[Sequence[int]], rows: int
) -> Iterator[tuple[int, Tensor]]:
    """The log-probabilities (V,), float32, of what comes after each prompt, by the prompt's place.

    At most `rows` rows of similar length go forward together.
    """
    plain = unwrapped(model)
    layer = plain.get_output_embeddings()
    most = TOKENS_PER_FORWARD["cuda" if plain.device.type == "cuda" else "cpu"]
    for batch in length_batches([len(prompt) for prompt in prompts], rows, most):
        hidden_BTD = hidden_states(plain, pad_right([prompts[index] for index in batch], plain.device))
        for hidden_TD, index in zip(hidden_BTD, batch, strict=True):
            yield index, torch.log_softmax(layer(hidden_TD[len(prompts[index]) - 1]).float(), dim=-1)


@torch.no_grad()
def token_log_probabilities(
    model: Model, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], rows: int
) -> list[list[float]]:
    """The log-probability, nats, of every token of each completion after its prompt and those before it.

    At most `rows` rows of similar length go forward together. The output layer sees positions of completions
    alone, in chunks, so that no distributions of a long answer are in memory at once.
    """
    plain = unwrapped(model)
    layer = plain.get_output_embeddings()
    chunk = chunk_positions(layer.weight.shape[0])
    found: list[list[float]] = [[] for _ in prompts]
    places = [place for place, completion in enumerate(completions) if completion]
    inputs = [[*prompts[place], *completions[place][:-1]] for place in places]
    most = TOKENS_PER_FORWARD["cuda" if plain.device.type == "cuda" else "cpu"]
    for batch in length_batches([len(row) for row in inputs], rows, most):
        hidden_BTD = hidden_states(plain, pad_right([inputs[index] for index in batch], plain.device))
        for hidden_TD, index in zip(hidden_BTD, batch, strict=True):
            completion = completions[places[index]]
            first = len(inputs[index]) - len(completion)
            for start in range(0, len(completion), chunk):
                own_C = torch.tensor(completion[start : start + chunk], device=plain.device)
                hidden_CD = hidden_TD[first + start : first + start + len(own_C)]
                log_CV = torch.log_softmax(layer(hidden_CD).float(), dim=-1)
                found[places[index]] += log_CV.gather(1, own_C[:, None]).squeeze(1).tolist()
    return found
