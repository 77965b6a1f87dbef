"""Proofs that an engine runs the model it is asked for: log-probabilities of fixed text are compared.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Protocol

import torch

from lrbench.errors import ModelError, RunError
from lrbench.models.loading import Model, Tokenizer
from lrbench.models.prompt import CANARY_PROBLEMS, render_prompt

# The mean difference of a token's log-probability that arithmetic alone may cause, by dtype.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.05}


class Scoring(Protocol):
    """An engine that tells the log-probabilities of given tokens, as `vllm` and `server` can."""

    name: str

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """The log-probability of every id but the first, given those before it."""


def probe_ids(tokenizer: Tokenizer) -> list[int]:
    """Token ids of the canary prompts, one after the other."""
    return [token for problem in CANARY_PROBLEMS for token in render_prompt(tokenizer, problem, None)]


def prove_adapter_counts(base: Scoring, adapted: Scoring, probe: Sequence[int], adapter: str) -> None:
    """Raise `RunError` when the adapter changes nothing: measuring it would measure the base.

    Only for adapters that change the model; a fresh one rightly changes nothing.
    """
    if base.log_probabilities(probe) == adapted.log_probabilities(probe):
        raise RunError(
            f"{adapter}: the engine {adapted.name} runs the model as if it had no adapter. "
            "What it writes would be counted as the adapter's, so the run stops here."
        )


@torch.no_grad()
def prove_same_model(engine: Scoring, model: Model, probe: Sequence[int], where: str, dtype: str) -> None:
    """Raise `ModelError` when the engine computes something else than `model` does here."""
    ids_T = torch.tensor(probe, device=model.device)
    logits_TV = model(input_ids=ids_T.unsqueeze(0)).logits[0, :-1].float()
    here = logits_TV.log_softmax(-1).gather(1, ids_T[1:, None]).squeeze(1).tolist()
    there = engine.log_probabilities(probe)
    difference = fmean(abs(one - other) for one, other in zip(here, there, strict=True))
    if not difference <= TOLERANCE[dtype]:
        raise ModelError(
            f"{where} does not run the recipe's expert: log-probabilities of {len(probe)} tokens differ by "
            f"{difference:.3g} nats on average, {TOLERANCE[dtype]:g} is the most that {dtype} explains. "
            "Serve the same weights in the same dtype."
        )
