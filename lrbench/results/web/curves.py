"""Training curves: which there are, and what their axes say."""

from __future__ import annotations

# Name in the ledger -> what stands at the axis, and whether it spans decades. What a loss is counted in goes
# by the objective, and arms of several stand in one picture.
CURVES = {
    "loss": ("loss", False),
    "held_out_perplexity": ("perplexity of held-out solutions", False),
    "reward": ("mean reward of the answers written", False),
    "equal_groups": ("share of groups with equal rewards", False),
    "margin": ("mean margin of pairs", False),
    "preferred": ("share of pairs with a margin above 0", False),
    "completion_tokens": ("mean tokens of an answer written", False),
    "gradient_norm": ("gradient norm", True),
    "learning_rate": ("learning rate", False),
}
