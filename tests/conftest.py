"""Small real parts shared by the tests: random tiny models of a real architecture."""

from __future__ import annotations

import os

# Spin barriers make two threads slower than one on shared cores; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

import tests.quick_work  # noqa: F401 - for this process and those forked from it
from lrbench.embedded import assets
from tests.commands import QUICKSTART, SMALL, lrbench, spawned_quickly
from tests.worlds import WORLD1, forget_embedded_problems

# Time limits of single examples would fail on a busy machine, not on a wrong program.
settings.register_profile("lrbench", deadline=None)
settings.load_profile("lrbench")

# What takes longest is begun first, so that no core stands idle at the end of a session of several processes,
# and what is made for all (`quickstart_runs`, a campaign of faults) is not waited for by two of them.
FIRST = (
    "pipeline/test_ray.py",
    "dashboard/test_browser.py",
    "faults/test_artifacts.py",
    "results/test_mlflow_background.py",
    "pipeline/test_workers.py",
    "pipeline/test_processes.py",
    "results/test_mlflow_mirror.py",
    "pipeline/test_queueing.py",
    "dashboard/test_runs.py",
    "dashboard/test_hostile_in_browser.py",
    "results/test_mlflow_rebuilding.py",
    "grading/test_conformance.py",
    "embedded/test_properties.py",
    "shipped/test_wheel.py",
)
OUTPUT_ROWS = 64
OLDER = Path(__file__).parent / "older"
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of FIRST come first, in that order; all others stay as they are."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip without it."""
    folder = Path(__file__).resolve().parent.parent.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference data (../shared) is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def quickstart_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small quickstart with MLflow, really run once for all processes of a test session; only to be read.

    What the run said is in the file beside it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    runs = shared / "quickstart"
    with FileLock(shared / "quickstart.lock"):
        if not (shared / "quickstart.said").exists():
            found = lrbench("run", QUICKSTART, *SMALL, "--runs", runs)
            assert found.returncode == 0, found.stderr
            (shared / "quickstart.said").write_text(found.stdout)
    return runs


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the runs folder of an earlier version as `runs`; only to be read."""
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(OLDER / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def older_runs(unpacked: Path, tmp_path: Path) -> Path:
    """The runs folder of an earlier version, to be worked on."""
    return Path(shutil.copytree(unpacked / "runs", tmp_path / "runs"))


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first embedded world as it lay in the package: its pair, test items and a set to train on."""
    folder = tmp_path_factory.mktemp("world1")
    with tarfile.open(WORLD1 / "problems.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for name in ("expert", "amateur"):
        shutil.copytree(WORLD1 / name, folder / "models" / name)
    return folder


@pytest.fixture
def in_first_world(first_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `embedded/` names are the models and problems of the first world, as when older runs were made."""
    monkeypatch.setattr(assets, "ROOT", first_world)
    forget_embedded_problems()
    yield
    forget_embedded_problems()


@pytest.fixture
def quick_processes() -> Iterator[None]:
    """Processes that would be spawned come from one that has imported what takes long, once."""
    with spawned_quickly():
        yield


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., Any]:
    """Builds a random Qwen2 model with 64 output rows; weights differ by seed."""

    def build(seed: int = 0, layers: int = 2, hidden: int = 32, scale: float = 0.3) -> Any:
        import torch
        from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

        torch.manual_seed(seed)
        config = Qwen2Config(
            vocab_size=OUTPUT_ROWS,
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            initializer_range=scale,
        )
        model = Qwen2ForCausalLM(config).eval()
        model.generation_config = GenerationConfig()
        return model.requires_grad_(False)

    return build


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium, Debian's or that of the CHROMIUM variable, with a fresh profile."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        pytest.skip("no Chromium: install Debian's `chromium` or set CHROMIUM to one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        browser.close()
