"""docs/notebook.ipynb runs from its first cell to its last, and shows what it says; no Jupyter is needed."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

import lrbench
from tests.documentation.pages import DOCS

NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def executed(code: str, names: dict[str, Any]) -> object:
    """Run a cell; the value of its last line, which a notebook shows."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "a cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "a cell", "eval"), names) if last else None


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_it_says(
    quickstart_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(quickstart_runs))
    matplotlib.use("Agg")
    names: dict[str, Any] = {}
    shown = [executed(code, names) for code in CODE]
    arms = ["base", "sft", "lightr", "random", "cd"]
    assert shown[1] == arms
    assert shown[2] == 45
    # The shared quickstart has the notebook's sizes, so that nothing is left to do.
    assert "<p>0 stages were made, 45 were finished before; 5 arms" in names["report"]._repr_html_()
    assert sorted(names["average"].arm) == sorted(arms)
    assert {"base", "cd"} <= set(names["right"].columns)
    assert not names["items"].empty
    assert {"lightr", "sft"} <= set(names["loss"].columns)
    assert len(names["figure"].axes) == 2


def test_it_is_stored_without_what_it_printed() -> None:
    assert all(cell.get("outputs", []) == [] for cell in NOTEBOOK["cells"])
    assert {"run", "plan", "load_recipe", "leaderboard", "items", "curves"} <= {
        node.attr
        for code in CODE
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and hasattr(lrbench, node.attr)
    }
