"""What ships inside the package: five models and the problem sets of seven families.

Nothing here imports torch, so the command line may ask freely.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lrbench.embedded.families import BUILDERS
from lrbench.embedded.plans import PLANS
from lrbench.errors import DataError, ModelError

if TYPE_CHECKING:
    from lrbench.embedded.problem_sets import Problem

ROOT = Path(__file__).parent
# In the leaderboard's order.
FAMILIES: tuple[str, ...] = tuple(BUILDERS)
MODELS = tuple(plan.name for plan in PLANS)
REBUILD = "`make embedded` rebuilds it"


def available_models() -> tuple[str, ...]:
    """Names `model_folder` takes."""
    return MODELS


def available_problem_sets() -> tuple[str, ...]:
    """Names of the families `problems` takes, in the leaderboard's order."""
    return FAMILIES


def model_folder(name: str) -> Path:
    """The folder of an embedded model, as `from_pretrained` takes it.

    Raises:
        ModelError: there is no embedded model of that name, or its files are missing.
    """
    if name not in MODELS:
        raise ModelError(_unknown("model", name, MODELS))
    folder = ROOT / "models" / name
    if not (folder / "model.safetensors").is_file():
        raise ModelError(f"embedded model {name} has no weights in {folder}; {REBUILD}")
    return folder


def problems(family: str, split: Literal["train", "test"]) -> list[Problem]:
    """The problems of one family, in their fixed order.

    Raises:
        DataError: there is no such family or split, or its file is missing.
    """
    if family not in FAMILIES:
        raise DataError(_unknown("problem set", family, FAMILIES))
    if split not in ("train", "test"):
        raise DataError(_unknown("split", split, ("train", "test")))
    file = problems_file(family, split)
    if not file.is_file():
        raise DataError(f"embedded problem set {family} ({split}) is missing: {file}; {REBUILD}")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def problems_file(family: str, split: str) -> Path:
    """Where the problems of one family and split lie, as JSON lines."""
    return ROOT / "problems" / f"{family}_{split}.jsonl"


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"no embedded {kind} named {name!r}: there are {', '.join(known)}{hint}"
