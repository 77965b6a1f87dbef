"""`lrbench convert`: what transformers' own loader would compute, or one message and nothing on the disk."""

from __future__ import annotations

import errno
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lrbench.errors import DiskFullError, InterruptedRunError, LrbenchError, ModelError, UserError
from lrbench.models.conversion import gguf_file, shards
from lrbench.models.conversion.converting import convert_file
from lrbench.models.loading import load_model, load_tokenizer
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes
from tests.commands import lrbench, started

pytest.importorskip("gguf", reason="pip install 'lrbench[convert]'")

from tests.models.gguf_files import Type, write_gguf

IDS = torch.tensor([[1, 40, 41, 42, 2, 9, 77, 130, 5]])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "small.gguf")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def as_transformers_reads(file: Path, dtype: torch.dtype) -> Any:
    from transformers import GgufConfig

    whole = {"quantization_config": GgufConfig(dequantize=True), "dtype": dtype}
    return AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, **whole)


@torch.no_grad()
def difference(first: Any, second: Any) -> float:
    return float((first(IDS).logits.float() - second(IDS).logits.float()).abs().max())


@pytest.mark.parametrize("architecture", gguf_file.ARCHITECTURES)
@pytest.mark.parametrize("output", [None, "own", "twice"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_logits_are_those_of_transformers_own_loader(
    tmp_path: Path, architecture: str, output: str | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "small.gguf", architecture, output)
    # Several files, and matrices that are dequantised in several pieces.
    monkeypatch.setattr(shards, "SHARD_BYTES", 300_000)
    monkeypatch.setattr(gguf_file, "ROWS", 100)
    convert_file(file, tmp_path / "model", dtype)
    located = locate(ModelReference(model=str(tmp_path / "model"), dtype=dtype), FileHashes())
    found = load_model(located, torch.device("cpu"))
    expected = as_transformers_reads(file, getattr(torch, dtype))
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["tie_word_embeddings"] is (output != "own")
    if output == "twice":
        assert difference(found, expected) > 0
        expected.model.embed_tokens.weight = expected.lm_head.weight
    assert difference(found, expected) == 0.0
    assert found.config.dtype == getattr(torch, dtype)
    tokenizer = load_tokenizer(located)
    read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    assert tokenizer.get_vocab() == read.get_vocab()
    assert tokenizer.encode("a <|im_end|> to\n7") == read.encode("a <|im_end|> to\n7")
    assert tokenizer.chat_template == read.chat_template


def test_the_same_file_makes_the_same_bytes_and_the_card_says_of_which(file: Path, tmp_path: Path) -> None:
    convert_file(file, tmp_path / "first", "bfloat16")
    convert_file(file, tmp_path / "second", "bfloat16")
    made = contents(tmp_path / "first")
    assert made == contents(tmp_path / "second")
    assert made.keys() >= {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"}
    modes = {(tmp_path / "first" / name).stat().st_mode for name in made}
    assert len(modes) == 1, "all files can be read by whoever can read one"
    card = (tmp_path / "first" / "README.md").read_text()
    assert hashlib.sha256(file.read_bytes()).hexdigest() in card
    assert all(f"| {name} | {digest} |" in card for name, digest in made.items() if name != "README.md")
    assert "license: apache-2.0" in card
    assert r"# Small \[one\](http://x) \<b\>" in card
    assert json.loads((tmp_path / "first" / "generation_config.json").read_text())["eos_token_id"] == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".gguf") == ["first", "second"]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5000])


def cut_in_the_header(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:700])


def endless_array(file: Path) -> None:
    """The length of the list of tokens is said to be 2**60."""
    content = bytearray(file.read_bytes())
    place = content.index(b"tokenizer.ggml.tokens") + len(b"tokenizer.ggml.tokens") + 8
    content[place : place + 8] = (2**60).to_bytes(8, "little")
    file.write_bytes(content)


def no_model(file: Path) -> None:
    file.write_bytes(b"PK\x03\x04 something else")


def unknown_quantisation(file: Path) -> None:
    """The type of the first tensor, after its name, number of dimensions and these, is 99."""
    content = bytearray(file.read_bytes())
    place = content.index(b"token_embd.weight") + len(b"token_embd.weight") + 4 + 2 * 8
    content[place : place + 4] = (99).to_bytes(4, "little")
    file.write_bytes(content)


def not_finite(file: Path) -> None:
    write_gguf(file, types=(Type.F32,))
    content = bytearray(file.read_bytes())
    content[-4:] = np.float32("nan").tobytes()
    file.write_bytes(content)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut, "damaged or cut short"),
    "cut in the header": (cut_in_the_header, "damaged or cut short"),
    "endless": (endless_array, "damaged or cut short"),
    "no GGUF": (no_model, r"is no GGUF file: it begins with b'PK\\x03\\x04'"),
    "type": (unknown_quantisation, "quantisation type 99, which the package gguf does not know"),
    "not read": (
        lambda file: write_gguf(
            file,
            extra={"blk.0.attn_q.weight": np.ones((256, 256), dtype=np.int8)},
            leave_out="blk.0.attn_q.weight",
        ),
        "blk.0.attn_q.weight is quantised as I8, which the package gguf cannot dequantise",
    ),
    "not finite": (not_finite, "holds values that are not finite; it is damaged"),
    "architecture": (
        lambda file: write_gguf(file, "gemma"),
        "architecture 'gemma' cannot be converted; those that can are llama, qwen2, qwen3",
    ),
    "missing": (
        lambda file: write_gguf(file, leave_out="blk.1.ffn_up.weight"),
        r"lacks blk\.1\.ffn_up\.weight; it holds no whole model",
    ),
    "left over": (
        lambda file: write_gguf(file, extra={"rope_freqs.weight": np.ones(32, dtype=np.float32)}),
        "holds rope_freqs.weight, which transformers' qwen2 has no place for",
    ),
    "shape": (
        lambda file: write_gguf(
            file, leave_out="output_norm.weight", extra={"output_norm.weight": np.ones(32, dtype=np.float32)}
        ),
        r"output_norm.weight has the shape \(32,\)",
    ),
    "scaled": (
        lambda file: write_gguf(file, qwen2__rope__scaling__type="yarn"),
        "its positions are scaled .*'yarn'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_one_message_and_leaves_nothing(
    file: Path, tmp_path: Path, case: str
) -> None:
    spoil, message = REFUSED[case]
    spoil(file)
    with pytest.raises(ModelError, match=message) as told:
        convert_file(file, tmp_path / "model", "bfloat16")
    assert str(file) in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["small.gguf"]


def test_a_folder_that_holds_something_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="model is not empty, and nothing in it is overwritten"):
        convert_file(file, tmp_path / "model", "bfloat16")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError),
        (RuntimeError("Error while serializing: I/O error: gone (os error 28)"), DiskFullError),
        (KeyboardInterrupt(), InterruptedRunError),
    ],
)
def test_a_full_disk_and_an_interrupt_leave_nothing(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    error: type[LrbenchError],
) -> None:
    def half(_weights: Any, path: Path, **_named: Any) -> None:
        path.write_text("half")
        raise failure

    monkeypatch.setattr("safetensors.torch.save_file", half)
    with pytest.raises(error):
        convert_file(file, tmp_path / "model", "bfloat16")
    assert [path.name for path in tmp_path.iterdir()] == ["small.gguf"]


def test_what_a_killed_conversion_left_is_removed_by_the_next(file: Path, tmp_path: Path) -> None:
    # Killed as a machine that loses its power would do it: nothing of it runs any more.
    script = (
        "import os, safetensors.torch as st, sys; from pathlib import Path\n"
        "from lrbench.models.conversion.converting import convert_file\n"
        "def half(weights, path, metadata=None): path.write_text('half'); os._exit(9)\n"
        "st.save_file = half\n"
        "convert_file(Path(sys.argv[1]), Path(sys.argv[2]), 'bfloat16')\n"
    )
    with started(file, tmp_path / "model", code=script) as command:
        assert command.end().returncode == 9
    assert (tmp_path / ".model-unfinished").is_dir()
    convert_file(file, tmp_path / "model", "bfloat16")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small.gguf"]


def test_without_the_package_the_command_says_how_to_install_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"which is not installed here: pip install 'lrbench\[convert\]'"):
        convert_file(file, tmp_path / "model", "bfloat16")


def test_the_command_says_what_it_has_written(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "small.gguf", output="twice")
    done = lrbench("convert", str(file), "--to", str(tmp_path / "model"), "--dtype", "float16")
    assert done.returncode == 0, done.stderr
    assert " million parameters, 26 tensors of float16; embedding and output are" in done.stdout
    refused = lrbench("convert", str(file), "--to", str(tmp_path / "model"))
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
