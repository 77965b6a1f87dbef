"""Steps as a real pair could have scored them, with ties and tokens that are not shared among them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lrbench.methods.readings import PAIR
from lrbench.methods.steps import Columns, Views, unscored


@st.composite
def views(draw: st.DrawFn) -> Views:
    """A few rollouts of uneven lengths under the pair's reading; values repeat."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    return {PAIR: scored(lengths, draw(st.integers(0, 2**32 - 1)), first_rollout=draw(st.integers(0, 900)))}


def scored(lengths: list[int], seed: int, first_rollout: int = 0) -> Columns:
    """Random scores of rollouts with so many steps each."""
    bare = unscored(lengths, first_rollout)
    random = np.random.default_rng(seed)

    def nats() -> np.ndarray:
        return (random.integers(0, 12, len(bare)) / 4).astype(np.float32)

    shared = random.random(len(bare)) < 0.9
    own_expert, own_amateur = (np.where(shared, -nats(), np.nan).astype(np.float32) for _ in range(2))
    return Columns(
        rollout=bare.rollout,
        step=bare.step,
        kl=nats(),
        kl_reverse=nats(),
        entropy_expert=nats(),
        entropy_amateur=nats(),
        top1_expert=random.integers(0, 3, len(bare), dtype=np.int32),
        top1_amateur=random.integers(0, 3, len(bare), dtype=np.int32),
        own_log_p_expert=own_expert,
        own_log_p_amateur=own_amateur,
    )
