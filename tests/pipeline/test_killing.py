"""`kill -9` at random moments, and two processes at once: the same artifacts, nothing done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.pipeline.plan import plan_recipe
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store

# Twenty take minutes; LRBENCH_KILLS=20 asks for them.
KILLS = int(os.environ.get("LRBENCH_KILLS", "6"))
# Runs a recipe and notes every commit of a draft, so that what is done twice can be counted.
WORKER = """
import os
import sys
from pathlib import Path
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.rollouts import CheckedSolutions
from lrbench.recipe.loading import load_recipe
from lrbench.store.draft import Draft

recipe, runs, log = map(Path, sys.argv[1:])
# Random models solve nothing; let every third sampled solution count as right.
CheckedSolutions._is_right = lambda _self, index, _ids, _workspace: index % 3 == 0
os.environ["LRBENCH_MLFLOW"] = "off"
commit = Draft.commit

def noted(self, name, write, seconds=0.0):
    path = commit(self, name, write, seconds)
    with log.open("a") as stream:
        stream.write(f"{self._origin.stage} {self._origin.key} {name}\\n")
    return path

Draft.commit = noted
print("ready", flush=True)
report = run_recipe(load_recipe(recipe), runs)
print("worked", report.worked, flush=True)
"""


def start(recipe: Path, runs: Path, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(recipe), str(runs), str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
    )


def contents(recipe: Path, runs: Path) -> dict[str, str]:
    store = Store(runs / "store")
    found = {
        stage.key: store.find(stage.name, stage.key)
        for stage in plan_recipe(load_recipe(recipe), runs).stages
    }
    assert all(found.values())
    return {key: artifact.content_hash for key, artifact in found.items() if artifact is not None}


@pytest.fixture(scope="module")
def recipe_file(make_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = make_recipe(
        arms=["base", "sft", "lightr", "ground_truth"],
        data={"train": "embedded/multi_step", "problems": 140},
        sampling={"max_new_tokens": 12},
        training={"updates": 40, "rollouts_per_update": 8, "learning_rate": 1e-3},
        evaluation={"suite": "embedded7", "limit": 110},
    )
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(resolved_yaml(recipe))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The runs folder of an uninterrupted run, and the seconds it took after starting."""
    runs = tmp_path_factory.mktemp("undisturbed")
    process = start(recipe_file, runs, runs / "log")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return runs, time.monotonic() - started


@pytest.mark.slow
def test_killed_at_random_moments_the_artifacts_are_those_of_an_undisturbed_run(
    recipe_file: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    expected, seconds = undisturbed
    log = tmp_path / "log"
    chance = random.Random(7)
    killed = 0
    while killed < KILLS:
        process = start(recipe_file, tmp_path / "runs", log)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            # Early enough on average that all kills fall into different places of the work.
            process.wait(timeout=1.5 + chance.random() * seconds * 2 / KILLS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        else:
            break
    finished = start(recipe_file, tmp_path / "runs", log)
    _, errors = finished.communicate(timeout=300)
    assert finished.returncode == 0, errors
    assert killed >= KILLS // 2, "the run ended before it was killed often enough to mean anything"
    assert contents(recipe_file, tmp_path / "runs") == contents(recipe_file, expected)
    commits = Counter(log.read_text().splitlines())
    once = Counter((expected / "log").read_text().splitlines())
    # A training save is written again and again by design; of all else a kill may repeat one file.
    repeated = {name: count - once[name] for name, count in commits.items() if "save.safetensors" not in name}
    assert sum(repeated.values()) <= killed, json.dumps(repeated)


@pytest.mark.slow
def test_two_processes_at_once_do_the_work_once(
    recipe_file: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    processes = [start(recipe_file, tmp_path / "runs", tmp_path / "log") for _ in range(2)]
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    worked = [int(output.split("worked ")[1]) for output, _ in outputs]
    assert sum(worked) == len(plan_recipe(load_recipe(recipe_file), tmp_path / "runs").stages)
    commits = Counter((tmp_path / "log").read_text().splitlines())
    assert commits == Counter((undisturbed[0] / "log").read_text().splitlines())
    assert contents(recipe_file, tmp_path / "runs") == contents(recipe_file, undisturbed[0])
