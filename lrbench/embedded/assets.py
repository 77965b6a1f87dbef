"""What ships inside the package: the models and the problem sets of the embedded world.

Nothing here imports torch, so the command line may ask freely.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lrbench.embedded.families import BUILDERS
from lrbench.embedded.minimal import MINIMAL
from lrbench.embedded.plans import PLANS
from lrbench.embedded.twins import STORIES
from lrbench.errors import DataError, ModelError

if TYPE_CHECKING:
    from lrbench.embedded.problem_sets import Problem

ROOT = Path(__file__).parent
# In the leaderboard's order.
FAMILIES: tuple[str, ...] = tuple(BUILDERS)
# Beside the families, for measuring alone.
TEST_SETS: tuple[str, ...] = (
    *FAMILIES,
    *(f"{family}_twins" for family in STORIES),
    "small_talk",
    "registers",
    *MINIMAL,
)
MODELS = tuple(plan.name for plan in PLANS)
# Hashes of the test items as earlier versions had them, so that what was measured on those is known by them.
EARLIER_ITEMS: dict[str, tuple[str, ...]] = {
    "multi_step": ("1a9c01a6ebc7d2109853905e878fe01fafe767d62a18400c4a1942e395c9a422",),
    "formal": ("4086e0c3f54f776fd38df83d46308584ab22d8ec77371676d5d69f23f7570876",),
    "distractor": ("05c8415be87458b7fc95e0baef4afa37311986ae2dbc4bf5657b89c9ac0d126d",),
    "one_step": ("b0a90247ec1669b551c784af44977102bd953d87d91f04f6097b98f72ed68fc6",),
    "formula": ("d812a10826024ac78dcb361dd1a56aa9fceded358d7c702d5c02c3b309cc7158",),
    "hard": ("5f8501db1e87efa8c3749d5d1da5dd5fba1c6cd705ba949f031c2f4d111d5521",),
    "choice": ("6c94094836a1867054069c89e0476e7fd58fbaead5c3c3139028b2772bfbe6b7",),
}
# The same of the models' weights, as `models.source.folder_identity` names them.
EARLIER_WEIGHTS: dict[str, tuple[str, ...]] = {
    "expert": ("files:6fa1f71c6a10dd2d1bd1f5afdf9cfd4782f1870ff7dd33b067ed3cd6ac5c7296",),
    "amateur": ("files:f1b55d30863ce8b6b55c50d1f73760b4b4513973c6ad0b38bcc56791c228d4e3",),
    "amateur_mixed": ("files:7102e70c5c362ca5f58894ac70a3dc7d7ee30d1f367ec4d3edb757928a794b77",),
    "peer": ("files:b9a2b03a8ebecbe9251dd8c0a66078df155624d76d4085e50191d7ecc367d2a3",),
    "careful": ("files:ff54c213052a5abb26eeabd156c08632e31bd81bfda45477bfafbd1758665e37",),
}
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
    """The problems of one family, in their fixed order; of split `test` also any of `TEST_SETS`.

    Raises:
        DataError: there is no such family or split, or its file is missing.
    """
    known = TEST_SETS if split == "test" else FAMILIES
    if family not in known:
        raise DataError(_unknown("problem set", family, known))
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
