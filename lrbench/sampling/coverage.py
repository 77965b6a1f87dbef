"""Whether the tokens that an aligned pair shares hold enough of what its models think."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lrbench.errors import RunError
from lrbench.sampling.reading import Reading, own_reading
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.scores import COVERED_ROUNDING, Scores
from lrbench.sampling.scoring import LoadedPair, mean_probabilities

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

TOKENS_SHOWN = 5


@dataclass
class CoveredMass:
    """The covered mass of the steps scored so far: its sum, and over how many steps."""

    total: float = 0.0
    steps: int = 0

    def add(self, scores: Scores) -> None:
        """Count further steps in."""
        assert scores.covered is not None
        self.total += float(scores.covered.sum(dtype=np.float64))
        self.steps += len(scores)

    @property
    def mean(self) -> float:
        """On average over the steps; 1 without any."""
        return self.total / self.steps if self.steps else 1.0


def check_coverage(
    covered: CoveredMass,
    least_mass: float,
    pair: LoadedPair,
    rollouts: Sequence[Rollout],
    readings: Sequence[Reading],
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    """Raise `RunError` where the shared tokens hold less than `least_mass` on average over all steps so far.

    `readings` are what the amateur read for the `rollouts` scored last, from which the message takes what
    is not shared; `tokenizers` are the expert's and the amateur's.
    """
    assert pair.alignment is not None
    if covered.mean >= least_mass - COVERED_ROUNDING:
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
        f"the tokens that expert and amateur share hold {covered.mean:.3f} of the probability on average "
        f"over {covered.steps:,} steps, and pair.least_mass is {least_mass:g}. Shared are "
        f"{' and '.join(counts)} tokens; of the others the most probable are\n{shown}\n"
        "Choose an amateur whose tokenizer is nearer to the expert's, or lower pair.least_mass."
    )
