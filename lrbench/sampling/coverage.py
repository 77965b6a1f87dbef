"""Whether the tokens that an aligned pair shares hold enough of what its models think."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lrbench.errors import RunError
from lrbench.sampling.reading import Reading, own_reading
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import Scores
from lrbench.sampling.scoring import LoadedPair, mean_probabilities
from lrbench.sampling.selectors import COVERED_ROUNDING

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

TOKENS_SHOWN = 5


def check_coverage(
    scores: Scores,
    least_mass: float,
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    readings: Sequence[Reading],
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    """Raise `RunError` where the shared tokens hold less than `least_mass` on average over the steps scored.

    `readings` are what the amateur read for the `rollouts`; `tokenizers` are the expert's and the amateur's.
    """
    assert pair.alignment is not None
    assert scores.covered is not None
    covered = float(scores.covered.mean(dtype=np.float64)) if len(scores) else 1.0
    if covered >= least_mass - COVERED_ROUNDING:
        return
    alignment = pair.alignment
    sides = (
        ("expert", pair.expert, alignment.expert, alignment.expert_ids, [own_reading(r) for r in rollouts]),
        ("amateur", pair.amateur, alignment.amateur, alignment.amateur_ids, readings),
    )
    counts, unshared = [], []
    for (role, model, vocabulary, ids, read), tokenizer in zip(sides, tokenizers, strict=True):
        mean_V = mean_probabilities(model, read, vocabulary)
        mean_V[ids] = 0
        counts.append(f"{alignment.size:,} of the {role}'s {vocabulary.size - len(vocabulary.unused):,}")
        unshared += [
            (float(mean_V[token]), f"{role} {tokenizer.convert_ids_to_tokens(int(token))!r}")
            for token in np.argsort(-mean_V)[:TOKENS_SHOWN]
        ]
    largest = sorted(unshared, reverse=True)[:TOKENS_SHOWN]
    shown = "\n".join(f"  {name} {mass:.3f}" for mass, name in largest if mass > 0)
    raise RunError(
        f"the tokens that expert and amateur share hold {covered:.3f} of the probability on average over "
        f"{len(scores):,} steps, and pair.least_mass is {least_mass:g}. Shared are {' and '.join(counts)} "
        f"tokens; of the others the most probable are\n{shown}\n"
        "Choose an amateur whose tokenizer is nearer to the expert's, or lower pair.least_mass."
    )
