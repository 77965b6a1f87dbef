"""A model's folder is proven from its files: one rule says what is read, and all of it is identified."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError
from lrbench.models.loading import check_tokens, load_model, load_tokenizer
from lrbench.models.source import LocatedModel, locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(model_folder("amateur"), tmp_path / "model")


def located(folder: Path) -> LocatedModel:
    return locate(ModelReference(model=str(folder)), FileHashes())


def edit(folder: Path, name: str, **fields: Any) -> None:
    path = folder / name
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | fields))


def shard(folder: Path) -> list[Path]:
    """Cut the checkpoint into two files with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    files = [folder / f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    placed = {name: files[number % 2] for number, name in enumerate(names)}
    for file in files:
        save_file({name: tensors[name] for name in names if placed[name] == file}, file, {"format": "pt"})
    weight_map = {name: file.name for name, file in placed.items()}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    return files


def weights_with(header: object, folder: Path, body: bytes = b"", length: int | None = None) -> None:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    start = struct.pack("<Q", len(content) if length is None else length)
    (folder / "model.safetensors").write_bytes(start + content + body)


def replaced_by(name: str, make: Callable[[Path], object]) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return change


def test_an_ordinary_folder_is_known_by_the_hashes_of_its_files_as_ever(folder: Path) -> None:
    shard(folder)
    (folder / "generation_config.json").write_text("{}")
    (folder / "model.fp16.bin").write_text("not read")
    read = [
        "chat_template.jinja",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in read}
    told = json.dumps(hashes, sort_keys=True, separators=(",", ":")).encode()
    assert located(folder).identity == f"files:{hashlib.sha256(told).hexdigest()}"


def test_the_embedded_models_have_the_identities_they_had() -> None:
    found = locate(ModelReference(model="embedded/expert"), FileHashes()).identity
    assert found == "files:f58cf0667ec33d6b57b1ea7786036d31c86cb07751bf5203eed89675cd01d628"


def test_templates_by_name_are_part_of_what_a_model_is(folder: Path) -> None:
    before = located(folder)
    templates = folder / "additional_chat_templates"
    templates.mkdir()
    (templates / "default.jinja").write_text("{{ messages[0].content }}")
    after = located(folder)
    assert after.identity != before.identity
    (templates / "default.jinja").write_text("{{ messages[0].content }}!")
    assert located(folder).identity != after.identity


def _move_weights(folder: Path) -> None:
    """As a config may have it: the weights in a folder below, named by the config."""
    (folder / "weights").mkdir()
    (folder / "model.safetensors").rename(folder / "weights" / "other.safetensors")
    shutil.copy(folder / "weights" / "other.safetensors", folder / "decoy.safetensors")
    edit(folder, "config.json", transformers_weights="weights/other.safetensors")


def _lie_in_the_index(folder: Path) -> None:
    shard(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    index["model.norm.weight"] = next(file for file in index.values() if file != index["model.norm.weight"])
    edit(folder, "model.safetensors.index.json", weight_map=index)


def _forget_in_the_index(folder: Path) -> None:
    shard(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    del index["model.norm.weight"]
    edit(folder, "model.safetensors.index.json", weight_map=index)


def _index_beside(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder.parent / "kept")
    shard(folder)
    shutil.copy(folder.parent / "kept", folder / "model.safetensors")


def _add_a_token(folder: Path, special: bool = False) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = tokenizer["added_tokens"][0] | {"id": 640, "content": "<extra>", "special": special}
    tokenizer["added_tokens"].append(added)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def _nest(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    text = {"model_type": "qwen2", "vocab_size": config.pop("vocab_size")}
    (folder / "config.json").write_text(json.dumps(config | {"text_config": text}))
    _add_a_token(folder)


REFUSED: dict[str, tuple[Change, str]] = {
    "weights in a sub-folder": (_move_weights, r"config\.json: transformers_weights is 'weights/other"),
    "weights named in a part of the config": (
        lambda folder: edit(folder, "config.json", text_config={"transformers_weights": "w.safetensors"}),
        "transformers_weights is 'w.safetensors': where weights are read from is not for it to say",
    ),
    "weights named by another word": (
        lambda folder: edit(
            folder, "config.json", attribute_map={"transformers_weights": "w"}, w="weights/other.safetensors"
        ),
        "attribute_map is .*it would give fields other names",
    ),
    "another config": (
        lambda folder: edit(folder, "config.json", configuration_files=["config.4.0.0.json"]),
        "configuration_files is .*another config would be read instead",
    ),
    "weights beside an index": (
        _index_beside,
        r"holds model\.safetensors beside model\.safetensors\.index\.json, which names model-00001-of",
    ),
    "shards without an index": (
        lambda folder: (shard(folder), (folder / "model.safetensors.index.json").unlink()),
        r"holds model-00001-of-00002\.safetensors and no model\.safetensors\.index\.json that names it",
    ),
    "a shard left beside whole weights": (
        lambda folder: shutil.copy(folder / "model.safetensors", folder / "model-00002-of-00002.safetensors"),
        r"holds model-00002-of-00002\.safetensors, a part of a model that is not read",
    ),
    "weights of another name": (
        lambda folder: (folder / "model.safetensors").rename(folder / "model.fp16.safetensors"),
        r"holds model\.fp16\.safetensors and no model\.safetensors\.index\.json that names it",
    ),
    "an index that lies": (
        _lie_in_the_index,
        r"the weight model\.norm\.weight is in .*not hold it",
    ),
    "an index that forgets": (
        _forget_in_the_index,
        r"the weight model\.norm\.weight, which .* has not",
    ),
    "an index of folders": (
        lambda folder: (shard(folder), edit(folder, "model.safetensors.index.json", weight_map={"a": "x/y"})),
        "names x/y, which is outside",
    ),
    "an index of other formats": (
        lambda folder: (shard(folder), edit(folder, "model.safetensors.index.json", weight_map={"a": "y"})),
        r"names y, which is no \.safetensors file",
    ),
    "an index of numbers": (
        lambda folder: (shard(folder), edit(folder, "model.safetensors.index.json", weight_map={"a": 1})),
        "cannot be read as an index of weights",
    ),
    "an index of brackets": (
        lambda folder: (
            shard(folder),
            (folder / "model.safetensors.index.json").write_text("[" * 100_000),
        ),
        "cannot be read as JSON: it is nested too deeply",
    ),
    "weights cut short": (
        lambda folder: os.truncate(folder / "model.safetensors", 40_000),
        r"model\.safetensors is no whole safetensors file: its tensors take",
    ),
    "a header cut short": (
        lambda folder: os.truncate(folder / "model.safetensors", 40),
        "its header of .* bytes does not fit into its 40 bytes",
    ),
    "no header": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"ab"),
        "does not fit into its 2 bytes",
    ),
    "an absurd header": (
        lambda folder: weights_with({}, folder, length=2**63),
        "its header of 9223372036854775808 bytes does not fit",
    ),
    "a header of brackets": (
        lambda folder: weights_with(b"[" * 100_000, folder),
        "no whole safetensors file: it is nested too deeply",
    ),
    "a header of lists": (lambda folder: weights_with([1], folder), "it is no object"),
    "a header without shapes": (
        lambda folder: weights_with({"a": {"dtype": "F32"}}, folder),
        "does not say type, shape and place",
    ),
    "a shape below zero": (
        lambda folder: weights_with({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, folder),
        "shapes or places that are no sizes",
    ),
    "a shape beyond its bytes": (
        lambda folder: weights_with(
            {"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, folder, b"0000"
        ),
        "a shape that is not that of its bytes",
    ),
    "tensors that overlap": (
        lambda folder: weights_with(
            {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}, folder, b"0000"
        ),
        "its tensors overlap, or leave gaps",
    ),
    "no tensors": (lambda folder: weights_with({}, folder), "its weights are empty"),
    "weights that are a pipe": (
        replaced_by("model.safetensors", os.mkfifo),
        r"model\.safetensors is no ordinary file; put the model's own file there",
    ),
    "weights that are a folder": (
        replaced_by("model.safetensors", os.mkdir),
        r"model\.safetensors is a folder",
    ),
    "weights that are a device": (
        replaced_by("model.safetensors", lambda path: path.symlink_to("/dev/zero")),
        r"model\.safetensors is no ordinary file",
    ),
    "links in a circle": (
        replaced_by("model.safetensors", lambda path: path.symlink_to(path)),
        r"model\.safetensors cannot be read \(Too many levels of symbolic links\)",
    ),
    "a link to nothing": (
        replaced_by("model.safetensors", lambda path: path.symlink_to("nowhere")),
        r"model\.safetensors cannot be read \(No such file",
    ),
    "a config that is a pipe": (replaced_by("config.json", os.mkfifo), r"config\.json is no ordinary file"),
    "a tokenizer that is a pipe": (
        replaced_by("tokenizer.json", os.mkfifo),
        r"tokenizer\.json is no ordinary file",
    ),
    "a tokenizer that is a device": (
        replaced_by("tokenizer_config.json", lambda path: path.symlink_to("/dev/zero")),
        r"tokenizer_config\.json is no ordinary file",
    ),
    "generation settings that are a pipe": (
        replaced_by("generation_config.json", os.mkfifo),
        r"generation_config\.json is no ordinary file",
    ),
    "a template that is a pipe": (
        lambda folder: (
            (folder / "additional_chat_templates").mkdir(),
            os.mkfifo(folder / "additional_chat_templates" / "default.jinja"),
        ),
        r"default\.jinja is no ordinary file",
    ),
    "a torn tokenizer": (
        lambda folder: os.truncate(folder / "tokenizer.json", 900),
        r"tokenizer\.json cannot be read as JSON",
    ),
    "a token beyond the embedding": (
        _add_a_token,
        r"ids up to 640 \('<extra>'\), and its embedding has 640 rows",
    ),
    "a token beyond the embedding of a part": (_nest, "ids up to 640"),
    "a token added by the settings": (
        lambda folder: edit(
            folder, "tokenizer_config.json", added_tokens_decoder={"700": {"content": "<late>"}}
        ),
        r"ids up to 700 \('<late>'\)",
    ),
    "a token of the older list": (
        lambda folder: edit(folder, "added_tokens.json", **{"<old>": 641}),
        r"ids up to 641 \('<old>'\)",
    ),
    "an embedding cut short": (
        lambda folder: edit(folder, "config.json", vocab_size=96),
        r"ids up to \d+ .* and its embedding has 96 rows",
    ),
    "a tokenizer elsewhere": (
        lambda folder: edit(folder, "tokenizer_config.json", fast_tokenizer_files=["x/tokenizer.4.0.json"]),
        "fast_tokenizer_files names .*not among the files that identify",
    ),
    "a vocabulary elsewhere": (
        lambda folder: (
            (folder / "tokenizer.json").rename(folder / "vocab.json"),
            edit(folder, "tokenizer_config.json", vocab_file="/etc/hostname"),
        ),
        "vocab_file names '/etc/hostname'",
    ),
    "an index without metadata": (
        lambda folder: (shard(folder), edit(folder, "model.safetensors.index.json", metadata=None)),
        "has no metadata",
    ),
    "an adapter": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        "an adapter that would be applied silently",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_leaves_open_what_is_read_is_refused(
    folder: Path, change: Change, message: str
) -> None:
    change(folder)
    with pytest.raises(ModelError, match=message) as refused:
        located(folder)
    assert str(refused.value).startswith(f"{folder}: ")
    assert "\n" not in str(refused.value)


def test_a_folder_that_links_to_itself_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(tmp_path / "model")
    with pytest.raises(ModelError, match=r"no folder can be there|no model folder there"):
        located(tmp_path / "model")


def test_what_is_not_read_does_not_matter(folder: Path) -> None:
    shard(folder)
    (folder / "tokenizer").mkdir()
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "consolidated.safetensors")
    assert load_model(located(folder), torch.device("cpu")) is not None


def test_rows_of_padding_are_no_fault(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    table = tensors["model.embed_tokens.weight"]
    tensors["model.embed_tokens.weight"] = torch.cat([table, table[:24]])
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    edit(folder, "config.json", vocab_size=len(table) + 24)
    model = located(folder)
    check_tokens(model, load_tokenizer(model))


def test_a_special_token_that_is_never_read_needs_no_row(folder: Path) -> None:
    _add_a_token(folder, special=True)
    model = located(folder)
    check_tokens(model, load_tokenizer(model))


def test_a_token_that_loading_adds_is_found_before_any_work(folder: Path) -> None:
    edit(folder, "tokenizer_config.json", pad_token="<never heard of>")
    with pytest.raises(ModelError, match=r"ids up to 640 \('<never heard of>'\)"):
        check_tokens(located(folder), load_tokenizer(located(folder)))


def test_a_tokenizer_of_files_that_are_not_identified_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = located(folder)
    (folder / "emoji.json").write_text("{}")
    kind = type(load_tokenizer(model))
    monkeypatch.setattr(kind, "vocab_files_names", kind.vocab_files_names | {"emoji_file": "emoji.json"})
    with pytest.raises(ModelError, match=r"its tokenizer reads emoji\.json, which is not among the files"):
        load_tokenizer(model)


def test_a_snapshot_of_the_hub_keeps_to_the_same_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrbench.models import source

    monkeypatch.setattr(source, "_fetch", lambda *_given, **_options: folder)
    reference = ModelReference(model="someone/something")
    assert source.expect(reference, FileHashes()).identity == "hub:someone/something@model"
    _index_beside(folder)
    with pytest.raises(ModelError, match=r"^someone/something: the folder holds model\.safetensors beside"):
        source.expect(reference, FileHashes())
    (folder / "model.safetensors").unlink()
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert not source.expect(reference, FileHashes()).here
