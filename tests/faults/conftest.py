"""A small campaign, run once in a process of its own: a fixed handful of every kind of fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from filelock import FileLock

from tests.commands import ROOT

# How many cases of each kind; more take minutes, and `make faults` takes them all.
HANDFUL = {
    "recipes": 20,
    "artifacts": 2,
    "places": 2,
    "names": 2,
    "models": 2,
    "data": 4,
    "bundles": 4,
    "kills": 3,
    "trainings": 1,
}
CAMPAIGN = """
import runpy
import tests.quick_work
runpy.run_module("experiments.faults", run_name="__main__")
"""


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the campaign counted and found, by kind."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    found = shared / "faults.json"
    with FileLock(shared / "faults.lock"):
        if not found.exists():
            handful = [f"{kind}={tries}" for kind, tries in HANDFUL.items()]
            command = [sys.executable, "-c", CAMPAIGN, *handful, "--to", str(found)]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
            # A campaign that found something says so by its exit code; one that failed has counted nothing.
            assert found.exists(), ended.stdout + ended.stderr
    return dict(json.loads(found.read_text()))
