"""Measurements of speed and memory: ours and the plain way in turn, ratios from the same run."""

import lrbench  # noqa: F401 - sets what torch and tqdm read when they are imported
