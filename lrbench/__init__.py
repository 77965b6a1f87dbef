"""Declared experiments on whether a weak model can teach a strong one.

`load_recipe(path, overrides)` reads a recipe, `plan(recipe)` says what it takes, `run(recipe)` does it,
`grade(benchmark=, completion=, gold=)` judges one answer, `compare(first, second)` sets result files of any
harness against each other. `LineReporter()` prints how a run goes. `leaderboard()`, `scores()`, `items()`,
`rollouts()`, `steps()` and `curves()` give what was recorded as Arrow tables.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Read when torch and tqdm are imported, so they have to be set before anything of ours is. Waiting
# threads that spin starve each other on shared cores; libraries would draw bars between ours.
for _name, _value in {
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}.items():
    os.environ.setdefault(_name, _value)

if TYPE_CHECKING:
    from lrbench.api import (
        LineReporter,
        compare,
        curves,
        grade,
        items,
        leaderboard,
        load_recipe,
        plan,
        rollouts,
        run,
        scores,
        steps,
    )

    __version__: str

__all__ = [
    "LineReporter",
    "__version__",
    "compare",
    "curves",
    "grade",
    "items",
    "leaderboard",
    "load_recipe",
    "plan",
    "rollouts",
    "run",
    "scores",
    "steps",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        # Imported when it is asked for, since it takes longer than all else here.
        from importlib.metadata import version

        return version("lrbench")
    if name not in __all__:
        raise AttributeError(f"module 'lrbench' has no attribute {name!r}")
    from lrbench import api

    return getattr(api, name)
