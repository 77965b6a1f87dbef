"""Imports run downwards only, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lrbench"
DASHBOARD = sorted((ROOT / "dashboard" / "lrbench_dashboard").rglob("*.py"))
LAYERS = [
    ["errors"],
    ["store"],
    ["shipped"],
    ["embedded"],
    ["data"],
    ["grading"],
    ["methods"],
    ["suites"],
    ["recipe"],
    ["models"],
    ["sampling"],
    ["training"],
    ["evaluation"],
    ["results"],
    ["pipeline"],
    ["output"],
    ["ending"],
    ["api"],
    ["options"],
    ["board_printing"],
    [
        "dashboard_command",
        "file_commands",
        "handing_on_commands",
        "init_command",
        "keeping_commands",
        "mirror_command",
        "mlflow_commands",
        "status_command",
    ],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = sorted(name for name in FILES if name != "lrbench")
HEAVY = (
    "numpy",
    "torch",
    "transformers",
    "mlflow",
    "trackio",
    "streamlit",
    "pandas",
    "pyarrow",
    "scipy",
    "lm_eval",
    "sympy",
)


def imported_layers(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported_modules(path) if name.startswith("lrbench.")}


@cache
def imported_modules(path: Path, for_types: bool = True) -> frozenset[str]:
    """What a file imports anywhere, in functions too, modules of ours in full.

    Not `for_types`: without what is needed to check types alone.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not for_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found)


def test_a_module_imports_only_its_own_layer_and_those_below() -> None:
    upwards = {
        name: {layer for layer in imported_layers(FILES[name]) if LEVEL[layer] > LEVEL[name.split(".")[1]]}
        for name in MODULES
    }
    assert {name: above for name, above in upwards.items() if above} == {}


def test_no_module_imports_itself_by_way_of_others_not_even_late() -> None:
    """Sorted so that each comes after all it imports; what cannot be is in a circle, and named."""
    # The package itself is there before any of its modules, and hands out the public face when asked.
    graph = {name: imported_modules(FILES[name], for_types=False) & set(MODULES) for name in MODULES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
    assert set(order) == set(MODULES)


@pytest.mark.parametrize(
    "module", ["lrbench", "lrbench.cli", "lrbench.recipe.loading", "lrbench.pipeline.planning"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


@pytest.mark.parametrize("module", DASHBOARD, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_dashboard_knows_results_recipes_and_methods_alone(module: Path) -> None:
    assert imported_layers(module) <= {"results", "recipe", "methods", "errors"}
    packages = {name.split(".")[0] for name in imported_modules(module)}
    assert packages - set(sys.stdlib_module_names) <= {
        "lrbench",
        "lrbench_dashboard",
        "streamlit",
        "starlette",
        "numpy",
    }


@pytest.mark.slow
def test_no_model_is_loaded_to_show_results(tmp_path: Path) -> None:
    """In a process of its own: runs every page over a real ledger, then looks at what was imported."""
    code = f"""
import os, sys
from pathlib import Path
from tests.dashboard.conftest import APP, FRAMED
from tests.dashboard.made_up import write_runs
from streamlit.testing.v1 import AppTest
write_runs(Path({str(tmp_path)!r}))
AppTest.from_file(str(APP), default_timeout=60).run()
for page in ("compare", "microscope", "cost", "provenance", "sweep"):
    framed = FRAMED.format(page=str(APP.parent / "pages" / f"{{page}}.py"))
    app = AppTest.from_string(framed, default_timeout=60).run()
    assert not app.exception, (page, app.exception)
print(*[name for name in ("torch", "transformers", "mlflow", "lm_eval") if name in sys.modules])
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"LRBENCH_DASHBOARD_RUNS": str(tmp_path)},
    )
    assert found.stdout.strip() == ""
