"""`kill -9` at random moments, and two processes at once: the same artifacts, nothing done twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.identity import resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.store.store import Store
from tests.commands import processes
from tests.pipeline.running import run_noting_commits

# More take minutes; LRBENCH_KILLS=20 asks for them.
KILLS = int(os.environ.get("LRBENCH_KILLS", "6"))


def start(recipe: Path, runs: Path, log: Path) -> multiprocessing.context.ForkServerProcess:
    """A run that is under way; all that it imports is there already, so that kills fall into work."""
    process = processes.Process(target=run_noting_commits, args=(recipe, runs, log))
    process.start()
    return process


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
        data={"train": "embedded/multi_step", "problems": 70},
        sampling={"max_new_tokens": 12, "solutions": {"samples_per_problem": 2, "max_new_tokens": 24}},
        training={"updates": 12, "rollouts_per_update": 8, "learning_rate": 1e-3},
        evaluation={"suite": "embedded7", "benchmarks": ["one_step", "hard"], "limit": 70},
    )
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(resolved_yaml(recipe))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The runs folder of an uninterrupted run, and the seconds it took."""
    runs = tmp_path_factory.mktemp("undisturbed")
    warm = processes.Process(target=bool)
    warm.start()
    warm.join()
    started = time.monotonic()
    process = start(recipe_file, runs, runs / "log")
    process.join(300)
    assert process.exitcode == 0
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
        # Early enough on average that all kills fall into different places of the work.
        process.join(chance.random() * seconds * 2 / KILLS)
        if not process.is_alive():
            break
        process.kill()
        process.join()
        killed += 1
    finished = start(recipe_file, tmp_path / "runs", log)
    finished.join(300)
    assert finished.exitcode == 0
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
    both = [start(recipe_file, tmp_path / "runs", tmp_path / "log") for _ in range(2)]
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0]
    worked = [int(count) for count in (tmp_path / "log.worked").read_text().split()]
    assert len(worked) == 2
    assert sum(worked) == len(plan_recipe(load_recipe(recipe_file), tmp_path / "runs").stages)
    commits = Counter((tmp_path / "log").read_text().splitlines())
    assert commits == Counter((undisturbed[0] / "log").read_text().splitlines())
    assert contents(recipe_file, tmp_path / "runs") == contents(recipe_file, undisturbed[0])
