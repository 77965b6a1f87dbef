"""A small valid recipe in an empty working directory, and the message that a change to it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.recipe.loading import load_recipe

SMALL = """\
name: small
seed: 0
pair:
  expert: {model: embedded/expert}
  amateur: {model: embedded/amateur}
data:
  train: embedded/multi_step
  problems: 8
divergence:
  alpha: 0.2
  beta: 0.4
training:
  updates: 5
  rollouts_per_update: 2
  learning_rate: 1.0e-3
arms: [base, sft, lightr]
evaluation:
  suite: embedded7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, so that messages show short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small() -> str:
    return SMALL


@pytest.fixture
def changed(small: str) -> Callable[..., str]:
    """The small recipe with some of its text replaced."""

    def change(*replacements: tuple[str, str]) -> str:
        text = small
        for before, after in replacements:
            assert text.count(before) == 1, f"{before!r} is not in the small recipe once"
            text = text.replace(before, after)
        return text

    return change


@pytest.fixture
def refusal(folder: Path) -> Callable[..., list[str]]:
    """The problems, one line each, that loading `text` as `r.yaml` is refused with."""

    def refuse(text: str | bytes, *overrides: str) -> list[str]:
        content = text.encode() if isinstance(text, str) else text
        (folder / "r.yaml").write_bytes(content)
        with pytest.raises(RecipeError) as caught:
            load_recipe("r.yaml", overrides)
        *problems, last = str(caught.value).split("\n")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        assert last == f"{count}; nothing was run."
        return problems

    return refuse
