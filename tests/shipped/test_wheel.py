"""The wheel, installed outside the checkout, is all of it: recipes, studies, embedded world, dashboard.

It is built from what the Containerfile copies, so that an image would have all of it too. The libraries are
those of the environment that the tests run in; pip would take a user's from the ranges in pyproject.toml.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

import lrbench
from tests.commands import ROOT
from tests.dashboard.conftest import served

pytestmark = pytest.mark.slow

# Seconds instead of a minute: every kind of stage, each on next to nothing.
SMALL = [
    "arms=[base,sft,lightr]",
    "data.problems=16",
    "training.updates=2",
    "training.rollouts_per_update=4",
    "evaluation.benchmarks=[multi_step]",
    "evaluation.limit=4",
    "runtime.threads=1",
    "runtime.workers=1",
]

PROGRAM = """
import os
from pathlib import Path

from streamlit.testing.v1 import AppTest

import lrbench, lrbench_dashboard
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.loading import load_with_warnings
from lrbench.recipe.study import known_studies, load_study
from lrbench.shipped.places import recipe_names

print(Path(lrbench.__file__).parent)
app = Path(lrbench_dashboard.__file__).with_name("app.py")
print(app.parent)
planned = [name for name in recipe_names() if name != "smollm2"]
for name in planned:
    recipe, warnings = load_with_warnings(name)
    assert not warnings, warnings
    assert plan_recipe(recipe, Path("runs"), fetch=False).stages
print(len(planned), "planned")
for study in known_studies(Path("nowhere")).values():
    load_study(study)
os.environ["LRBENCH_DASHBOARD_RUNS"] = "runs"
page = AppTest.from_file(str(app), default_timeout=60).run()
assert not page.exception, page.exception
assert any("lightr" in element.body for element in page.main if hasattr(element, "body"))
"""


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and a folder outside the checkout to use it in."""

    python: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return kept | {"LRBENCH_MLFLOW": "off", "COLUMNS": "100"}

    def run(self, *words: object) -> str:
        """What a command of this environment says."""
        command = [str(self.python.with_name(str(words[0]))), *map(str, words[1:])]
        found = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=300
        )
        assert found.returncode == 0, found.stderr
        return found.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    copied = re.findall(r"^COPY ([^-].*) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, source]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    environment = place / "environment"
    venv.create(environment, symlinks=True)
    (wheel,) = place.glob("*.whl")
    python = environment / "bin" / "python"
    # What is imported is compiled then.
    install = ["--python", python, "install", "--no-compile", "--no-deps", "--no-index", wheel]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    # Behind its own packages, and without the editable installation that a file there would switch on.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    folder = place / "elsewhere"
    folder.mkdir()
    made = Installed(python, folder / "work")
    Installed(python, folder).run("lrbench", "init", "work")
    made.run("lrbench", "run", "recipes/quickstart.yaml", *SMALL)
    return made


def test_its_commands_work_in_a_folder_that_it_has_laid_out(installed: Installed) -> None:
    assert installed.run("lrbench", "--version") == f"lrbench {lrbench.__version__}\n"
    assert installed.run("lrbench", "check", "recipes/quickstart.yaml", "controls").endswith("valid\n")
    assert "ablations: Ablations\n" in installed.run("lrbench", "study")
    board = installed.run("lrbench", "results", "--format", "csv")
    assert all(f",{arm}," in board for arm in ("base", "sft", "lightr"))


def test_it_has_every_file_of_the_packages(installed: Installed) -> None:
    (site,) = (installed.python.parents[1] / "lib").glob("python*/site-packages")
    packages = (ROOT / "lrbench", ROOT / "dashboard" / "lrbench_dashboard")
    missing = [
        path.relative_to(ROOT)
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and not path.name.startswith(".") and "__pycache__" not in path.parts
        if not (site / path.relative_to(package.parent)).is_file()
    ]
    assert missing == []


def test_every_recipe_and_study_is_there_and_so_are_the_pages(installed: Installed) -> None:
    *places, planned = installed.run("python", "-c", PROGRAM).splitlines()
    for place, name in zip(places, ("lrbench", "lrbench_dashboard"), strict=True):
        assert Path(place).name == name
        assert installed.python.parents[1] in Path(place).parents
    files = [path for path in (ROOT / "recipes").rglob("*.yaml") if path.parent.name != "shared"]
    assert planned == f"{len(files) - 1} planned"


def test_the_dashboard_is_served(installed: Installed) -> None:
    command = [str(installed.python.with_name("lrbench"))]
    log = installed.folder / "log"
    with (
        served(installed.folder / "runs", log, command, installed.folder, installed.variables) as address,
        urllib.request.urlopen(address, timeout=20) as page,
    ):
        assert b"<title>" in page.read()
