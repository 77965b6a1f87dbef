"""Declared experiments on whether a weak model can teach a strong one.

`load_recipe(path, overrides)` reads a recipe, `plan(recipe)` says what it takes, `run(recipe)` does it,
`grade(benchmark=, completion=, gold=)` judges one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lrbench.api import grade, load_recipe, plan, run

__all__ = ["grade", "load_recipe", "plan", "run"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'lrbench' has no attribute {name!r}")
    from lrbench import api

    return getattr(api, name)
