from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from transformers import AutoModelForCausalLM

from lrbench.embedded import build as building
from lrbench.embedded.build import build, is_complete, main
from lrbench.embedded.plans import AMATEUR, EXPERT, TextPlan
from lrbench.errors import RunError, StoreError
from tests.commands import spawned_quickly

TINY_TEXT = TextPlan(documents=64, care=0.4, seed=1)
TINY = tuple(
    replace(plan, hidden=32, heads=1, key_value_heads=1, layers=1, text=TINY_TEXT)
    for plan in (EXPERT, AMATEUR)
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    with spawned_quickly():
        assert build(folder, plans=TINY)
    return folder


def contents(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def fake_make(text):
    """Stands in for minutes of training where a test is about files alone."""

    def make(folder, _plans):
        for part in building.PARTS:
            (folder / part).mkdir()
            (folder / part / "file").write_text(text)
        (folder / building.CHECKSUMS).write_text(json.dumps(building.checksums(folder)))

    return make


@pytest.mark.slow
def test_a_build_leaves_models_problems_and_checksums_and_nothing_else(built):
    assert {file.name for file in built.iterdir()} == {"models", "problems", "checksums.json", ".build.lock"}
    assert is_complete(built)
    for name in ("expert", "amateur"):
        assert AutoModelForCausalLM.from_pretrained(built / "models" / name).config.eos_token_id == 2
        assert {file.name for file in (built / "models" / name).iterdir()} == {
            "README.md", "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json",
            "tokenizer_config.json",
        }  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_a_second_build_gives_the_same_bytes(built, tmp_path):
    build(tmp_path, plans=TINY[:1])
    assert contents(tmp_path / "models/expert") == contents(built / "models/expert")
    assert contents(tmp_path / "problems") == contents(built / "problems")


def test_a_complete_world_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(building, "_make", fake_make("first"))
    assert build(tmp_path)
    monkeypatch.setattr(building, "_make", fake_make("second"))
    assert not build(tmp_path)
    assert build(tmp_path, force=True)
    assert (tmp_path / "models/file").read_text() == "second"


@pytest.mark.parametrize("damage", ["flip", "delete", "add"])
def test_a_damaged_world_is_built_anew(monkeypatch, tmp_path, damage):
    monkeypatch.setattr(building, "_make", fake_make("whole"))
    build(tmp_path)
    file = tmp_path / "problems/file"
    if damage == "flip":
        file.write_text("wholf")
    elif damage == "delete":
        file.unlink()
    else:
        (tmp_path / "problems/other").write_text("stray")
    assert not is_complete(tmp_path)
    assert build(tmp_path)
    assert file.read_text() == "whole"
    assert is_complete(tmp_path)


def test_an_interrupted_build_leaves_the_old_files_and_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(building, "_make", fake_make("old"))
    build(tmp_path)
    before = contents(tmp_path)

    def interrupted(folder, _plans):
        (folder / "models").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "_make", interrupted)
    assert main(["--output", str(tmp_path), "--force"]) == 130
    assert "the files that were there before are unchanged" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_a_build_killed_between_its_renames_is_mended_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(building, "_make", fake_make("old"))
    build(tmp_path)
    (tmp_path / "models").rename(tmp_path / ".models-previous")
    (tmp_path / ".build-left").mkdir()
    assert not build(tmp_path)
    assert (tmp_path / "models/file").read_text() == "old"
    assert not (tmp_path / ".build-left").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_a_training_that_dies_is_named_and_nothing_is_replaced(monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        patched.setattr(building, "_make", fake_make("old"))
        build(tmp_path)
    before = contents(tmp_path)
    # Two key-value heads cannot serve three heads, so the first forward pass fails.
    with pytest.raises(RunError, match="training of amateur ended early"):
        build(tmp_path, force=True, plans=[replace(TINY[1], heads=3, key_value_heads=2)])
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write the embedded world to"):
        build(tmp_path / "world")


def test_a_file_in_the_folders_place_is_named(tmp_path, capsys):
    (tmp_path / "world").write_text("a file")
    assert main(["--output", str(tmp_path / "world")]) == 1
    assert "cannot write the embedded world to" in capsys.readouterr().err
