"""Measurements of speed and memory: ours and the plain way in turn, ratios from the same run."""
