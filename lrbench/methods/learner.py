"""The model in training by its names, where a reading is of rollouts that it writes itself."""

from __future__ import annotations

from lrbench.methods.answer import OWN

# As it is when it writes what is read, and as it was when it wrote before; no model of a recipe can be
# called that.
LEARNER, EARLIER = OWN, f"{OWN}:earlier"
MOVING = (LEARNER, EARLIER)
