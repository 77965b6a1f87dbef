"""What the shipped models are made of: the shape, text and learning rates of each."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TextPlan:
    """How much pre-training text, how it is written, and the seed it is generated from.

    Attributes:
        documents: how many.
        care: the probability of care at each step of a solution, and the share of drills beside small talk.
        seed: of the text.
        checks: the probability that a step is followed by a check of it.
        confidence: whether an answer ends by saying how sure its writer is.
    """

    documents: int
    care: float
    seed: int
    checks: float = 0.0
    confidence: bool = False


@dataclass(frozen=True)
class TokenizerPlan:
    """How many tokens, and the text that they are learnt from."""

    tokens: int
    text: TextPlan


TOKENIZER = TokenizerPlan(tokens=640, text=TextPlan(documents=8_000, care=0.4, seed=3))


@dataclass(frozen=True)
class PretrainingPlan:
    """One model's shape, text and learning rates.

    Attributes:
        name: what follows `embedded/` in a recipe.
        hidden, layers, intermediate, heads, key_value_heads: its Qwen2 shape. Heads must be 32 or 64 wide,
            which every engine supports.
        text: what it is trained on, each document once.
        tokenizer: what it reads text with.
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
    tokenizer: TokenizerPlan = TOKENIZER

    @property
    def work(self) -> int:
        """How long training takes beside others, in no unit."""
        return self.text.documents * self.layers * self.hidden


EXPERT = PretrainingPlan(
    name="expert",
    hidden=128,
    layers=4,
    intermediate=384,
    heads=4,
    key_value_heads=2,
    text=TextPlan(documents=36_000, care=0.34, seed=11),
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
    text=TextPlan(documents=12_000, care=0.01, seed=12),
    muon_rate=4e-3,
    adam_rate=4e-3,
    seed=12,
)
# Other amateurs, for the question how the gain depends on what the amateur lacks: one as small that read
# the expert's own text, one like the expert but for its seed, and one that works with care nearly always.
AMATEUR_MIXED = replace(AMATEUR, name="amateur_mixed", text=EXPERT.text, seed=13)
PEER = replace(EXPERT, name="peer", text=TextPlan(documents=36_000, care=0.34, seed=14), seed=14)
CAREFUL = replace(EXPERT, name="careful", text=TextPlan(documents=36_000, care=0.9, seed=15), seed=15)
# A teacher between expert and careful, smaller than either, and one that checks what it has done.
MENTOR = replace(EXPERT, name="mentor", layers=3, text=TextPlan(documents=24_000, care=0.6, seed=16), seed=16)
VERBOSE = replace(
    EXPERT, name="verbose", text=TextPlan(documents=24_000, care=0.9, seed=17, checks=1.0), seed=17
)
# One that says how sure it is of an answer, from how it came to it.
CANDID = replace(
    EXPERT,
    name="candid",
    layers=3,
    text=TextPlan(documents=24_000, care=0.34, seed=19, confidence=True),
    seed=19,
)
# The amateur again, with fewer tokens, and others.
FOREIGN = replace(
    AMATEUR,
    name="foreign",
    tokenizer=TokenizerPlan(tokens=480, text=TextPlan(documents=8_000, care=0.4, seed=18)),
)
PLANS = (EXPERT, AMATEUR, AMATEUR_MIXED, PEER, CAREFUL, MENTOR, VERBOSE, CANDID, FOREIGN)
