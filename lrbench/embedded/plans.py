"""What the shipped models are made of: the shape, text and learning rates of each."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TextPlan:
    """How much pre-training text, how much of it curated, and the seed it is generated from."""

    documents: int
    curated_share: float
    seed: int


@dataclass(frozen=True)
class PretrainingPlan:
    """One model's shape, text and learning rates.

    Attributes:
        name: what follows `embedded/` in a recipe.
        hidden, layers, intermediate, heads, key_value_heads: its Qwen2 shape. Heads must be 32 or 64 wide,
            which every engine supports.
        text: what it is trained on, each document once.
        muon_rate, adam_rate: peak learning rates.
        seed: decides the initial weights and the order of batches.
    """

    name: str
    hidden: int
    layers: int
    intermediate: int
    heads: int
    key_value_heads: int
    text: TextPlan
    muon_rate: float
    adam_rate: float
    seed: int


TOKENIZER_TEXT = TextPlan(documents=8_000, curated_share=0.4, seed=3)

EXPERT = PretrainingPlan(
    name="expert",
    hidden=128,
    layers=4,
    intermediate=384,
    heads=4,
    key_value_heads=2,
    text=TextPlan(documents=42_000, curated_share=0.34, seed=11),
    muon_rate=5e-3,
    adam_rate=4e-3,
    seed=11,
)
AMATEUR = PretrainingPlan(
    name="amateur",
    hidden=96,
    layers=2,
    intermediate=256,
    heads=3,
    key_value_heads=1,
    text=TextPlan(documents=16_000, curated_share=0.01, seed=12),
    muon_rate=4e-3,
    adam_rate=4e-3,
    seed=12,
)
# Other amateurs, for the question how the gain depends on what the amateur lacks: one as small that read
# the expert's kind of text, one like the expert but for its seed, and one that read mostly careful text.
AMATEUR_MIXED = replace(
    AMATEUR, name="amateur_mixed", text=TextPlan(documents=16_000, curated_share=0.34, seed=13), seed=13
)
PEER = replace(EXPERT, name="peer", text=TextPlan(documents=42_000, curated_share=0.34, seed=14), seed=14)
CAREFUL = replace(
    EXPERT, name="careful", text=TextPlan(documents=42_000, curated_share=0.9, seed=15), seed=15
)
PLANS = (EXPERT, AMATEUR, AMATEUR_MIXED, PEER, CAREFUL)
