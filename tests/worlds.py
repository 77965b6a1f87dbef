"""The first embedded world, on which the outputs of the paper's public scripts were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lrbench.evaluation import items
from lrbench.sampling import problem_sources

WORLD1 = Path(__file__).parent / "data" / "world1"


def world1_problems() -> list[dict[str, Any]]:
    """Its first 32 training problems of `multi_step`, in their order."""
    lines = (WORLD1 / "multi_step_train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def forget_embedded_problems() -> None:
    """Problems of the package are read once a process: let them be read anew, from wherever they are now."""
    for remembered in (items._embedded_rows, items._chosen_once, problem_sources._embedded):
        remembered.cache_clear()
