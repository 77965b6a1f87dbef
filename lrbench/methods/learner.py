"""The model in training by its names, where a reading is of rollouts that it writes itself."""

from __future__ import annotations

from lrbench.methods.answers import OWN

# As it is when it writes what is read, and as it was when it wrote before.
LEARNER, EARLIER = OWN, "earlier"
MOVING = (LEARNER, EARLIER)
