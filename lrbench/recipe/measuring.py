"""`measure: {samples: 8, temperature: 0.6, top_p: 0.95}`: several sampled answers to every item."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import Field

from lrbench.methods.section import Section

SEED_BYTES = 7
# What protocols have as `decoding` where answers are sampled.
SAMPLED = "sampled"


class Measure(Section):
    """How often every item is answered, and how the answers are sampled: part of how a score is measured.

    `samples` answers are drawn at `temperature` from the likeliest tokens that hold `top_p` of the chance.
    Without `measure` every item is answered once, by the likeliest tokens. `seed` is apart from the recipe's
    own: what a draw is depends on it, the item and the draw alone.
    """

    samples: Annotated[int, Field(ge=1, le=1024)]
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @property
    def protocol(self) -> dict[str, Any]:
        """What a score's protocol says of it, in place of greedy decoding."""
        return {"decoding": SAMPLED, **self.model_dump(mode="json")}

    @property
    def label(self) -> str:
        """For people: `8 samples at temperature 0.6`."""
        return f"{self.samples} samples at temperature {self.temperature:g}"

    def seed_of(self, item: str, draw: int) -> int:
        """The seed of one draw of an item: its own, whatever else is measured or in the batch."""
        digest = hashlib.sha256(f"measure/{self.seed}/{draw}/{item}".encode()).digest()
        return int.from_bytes(digest[:SEED_BYTES], "big")
