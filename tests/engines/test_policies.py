"""What policies make of given logits, held to definitions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.answers import OWN, Mix
from lrbench.methods.targets import contrast
from lrbench.models.forward import UNUSED_LOGIT
from lrbench.sampling.engines.base import GREEDY, Decoding
from lrbench.sampling.engines.policies import Biased, Mixing, Setting
from lrbench.sampling.step_scores import step_columns

STOPS = tuple(range(1, 9))
NO_TOKENS = (0, 40, 63)
SUPPORT = ("support_ids", "support_log_p_expert", "support_log_p_amateur")


@dataclass(frozen=True)
class Steps:
    """What a target needs of scores."""

    offsets: Any
    support_ids: Any
    support_log_p_expert: Any
    support_log_p_amateur: Any

    def __len__(self) -> int:
        return len(self.offsets) - 1


@given(
    steps=st.integers(1, 5),
    seed=st.integers(0, 2**20),
    spread=st.floats(0.1, 8),
    alpha=st.sampled_from([0.05, 0.2, 0.7, 1.0]),
)
def test_what_is_mixed_of_the_same_logits_is_the_contrast_target(
    steps: int, seed: int, spread: float, alpha: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    expert_CV, amateur_CV = (spread * torch.randn(steps, 64, generator=random) for _ in range(2))
    unused = [
        logits.index_fill(1, torch.tensor(NO_TOKENS), UNUSED_LOGIT) for logits in (expert_CV, amateur_CV)
    ]
    columns = step_columns(*unused, torch.zeros(steps, dtype=torch.long), 0.05)
    offsets = np.concatenate([[0], np.cumsum(columns["support_lengths"])])
    targets = contrast(
        Steps(offsets, *(columns[name] for name in SUPPORT)), np.ones(steps, dtype=bool), alpha
    )
    setting = Setting(64, NO_TOKENS, STOPS, GREEDY, torch.device("cpu"))
    mixing = Mixing(Mix(mix={"expert": 1.0, "amateur": -1.0}, alpha=alpha), setting)
    found_CV = mixing.mixture([mixing.log_p(expert_CV), mixing.log_p(amateur_CV)]).softmax(-1).numpy()
    for step, found_V in enumerate(found_CV):
        part = slice(targets.offsets[step], targets.offsets[step + 1])
        assert np.flatnonzero(found_V).tolist() == targets.ids[part].tolist()
        np.testing.assert_allclose(found_V[targets.ids[part]], targets.weights[part], atol=1e-6)


@given(
    bias=st.floats(-4, 4),
    seed=st.integers(0, 2**20),
    temperature=st.sampled_from([0.0, 1.0]),
)
def test_the_odds_of_stopping_are_multiplied_exactly(bias: float, seed: int, temperature: float) -> None:
    setting = Setting(64, NO_TOKENS, STOPS, Decoding(temperature), torch.device("cpu"))
    logits_BV = torch.randn(3, 64, generator=torch.Generator().manual_seed(seed))
    logits_BV[:, list(NO_TOKENS)] = -torch.inf
    biased_BV = Biased(bias, OWN, setting).ruled(logits_BV, [])
    ends, biased_ends = (each.double().softmax(-1)[:, list(STOPS)] for each in (logits_BV, biased_BV))
    before, after = (each.sum(-1) / (1 - each.sum(-1)) for each in (ends, biased_ends))
    torch.testing.assert_close(after, before * math.exp(bias), rtol=1e-5, atol=0)
    # Among the ends, and among all else, nothing changes.
    torch.testing.assert_close(
        biased_ends / biased_ends.sum(-1, keepdim=True), ends / ends.sum(-1, keepdim=True), rtol=1e-5, atol=0
    )
