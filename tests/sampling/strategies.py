"""Random scores as a real pair could have given them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lrbench.sampling.scores import Scores

VOCABULARY = 12


@st.composite
def distributions(draw: st.DrawFn) -> list[tuple[np.ndarray, np.ndarray]]:
    """Log-probabilities (expert, amateur), each (V,) float32, for a few steps."""
    steps = draw(st.integers(1, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    spread = draw(st.floats(0.1, 8))
    random = np.random.default_rng(seed)
    logits = random.normal(scale=spread, size=(steps, 2, VOCABULARY)).astype(np.float32)
    log_p = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return [(step[0], step[1]) for step in log_p.astype(np.float32)]


def scores_of(steps: list[tuple[np.ndarray, np.ndarray]], alpha_min: float) -> Scores:
    """Store distributions the way scoring does."""
    supports = [np.flatnonzero(expert >= expert.max() + np.float32(np.log(alpha_min))) for expert, _ in steps]
    kl = [float((np.exp(expert) * (expert - amateur)).sum()) for expert, amateur in steps]
    nothing = np.zeros(len(steps), dtype=np.float32)
    return Scores(
        rollout=np.zeros(len(steps), dtype=np.int32),
        step=np.arange(len(steps), dtype=np.int32),
        kl=np.array(kl, dtype=np.float32),
        entropy_expert=nothing,
        entropy_amateur=nothing,
        top1_expert=np.array([expert.argmax() for expert, _ in steps], dtype=np.int32),
        top1_amateur=np.array([amateur.argmax() for _, amateur in steps], dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(s) for s in supports])]).astype(np.int64),
        support_ids=np.concatenate(supports).astype(np.int32),
        support_log_p_expert=np.concatenate(
            [expert[s] for (expert, _), s in zip(steps, supports, strict=True)]
        ),
        support_log_p_amateur=np.concatenate(
            [amateur[s] for (_, amateur), s in zip(steps, supports, strict=True)]
        ),
    )
