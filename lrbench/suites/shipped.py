"""The suites that ship with lrbench: folders beside this file, like any other suite's."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
FILE = "suite.yaml"
# In the order in which messages name them.
SHIPPED: tuple[str, ...] = (
    "embedded7",
    "math7",
    "mmlu_stem_5shot",
    "embedded_twins",
    "embedded_talk",
    "embedded_registers",
    "embedded_glance",
    "embedded_easy",
)
