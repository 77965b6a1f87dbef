"""Imports run downwards only, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lrbench"
LAYERS = [
    ["errors"],
    ["store"],
    ["embedded"],
    ["data"],
    ["recipe"],
    ["models"],
    ["sampling"],
    ["training"],
    ["evaluation"],
    ["results"],
    ["pipeline"],
    ["api"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
HEAVY = ("torch", "transformers", "mlflow", "streamlit", "pandas", "pyarrow", "scipy", "lm_eval", "sympy")


def imported_layers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("lrbench.")}
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_its_own_layer_and_those_below(module: Path) -> None:
    own = LEVEL[module.parts[0]]
    above = {layer for layer in imported_layers(PACKAGE / module) if LEVEL[layer] > own}
    assert not above, f"{module} imports upwards: {above}"


@pytest.mark.parametrize(
    "module", ["lrbench", "lrbench.cli", "lrbench.recipe.loading", "lrbench.pipeline.plan"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
