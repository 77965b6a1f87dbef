"""As many rows are written at once as half of a machine's free memory holds, or most of a GPU's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.models import fitting, memory
from lrbench.models.fitting import MOST_ROWS, Widths, free_on_machine, rows_at_once

GIB = 2**30
QWEN_7B = Widths(layers=28, hidden=3584, intermediate=18944, key_values=512, vocabulary=152_064, number=2)


def test_rows_of_a_known_model_fill_what_is_free() -> None:
    cache = 28 * 2 * 512 * 2 * 4096
    assert QWEN_7B.cache(4096) == cache == 224 * 2**20
    row = 2 * cache + 3 * 152_064 * 4
    reading = 16384 * (6 * 3584 + 3 * 18944) * 2
    for gib in (20, 40, 60):
        assert rows_at_once(QWEN_7B, tokens=4096, free=gib * GIB, device="cuda") == int(
            (0.8 * gib * GIB - reading) // row
        )
    assert rows_at_once(QWEN_7B, tokens=4096, free=60 * GIB, device="cuda") == 103
    reading = 4096 * (6 * 3584 + 3 * 18944) * 2
    assert rows_at_once(QWEN_7B, tokens=4096, free=8 * GIB, device="cpu") == int(
        (0.5 * 8 * GIB - reading) // row
    )


def test_one_row_is_tried_however_little_is_free_and_never_more_than_the_most() -> None:
    assert rows_at_once(QWEN_7B, tokens=4096, free=0, device="cpu") == 1
    assert rows_at_once(QWEN_7B, tokens=10, free=10_000 * GIB, device="cuda") == MOST_ROWS == 256


@given(
    tokens=st.integers(1, 10_000),
    free=st.floats(0, 1e12),
    more=st.floats(1, 10),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_more_memory_never_holds_fewer_rows_and_longer_rows_never_more(
    tokens: int, free: float, more: float, device: str
) -> None:
    rows = rows_at_once(QWEN_7B, tokens=tokens, free=free, device=device)
    assert rows <= rows_at_once(QWEN_7B, tokens=tokens, free=free * more, device=device)
    assert rows >= rows_at_once(QWEN_7B, tokens=int(tokens * more), free=free, device=device)


def machine(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(fitting.psutil, "virtual_memory", lambda: SimpleNamespace(available=available))


def container(folder: Path, limit: str, used: int, files: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nactive_file 7\n")


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 8000)
    monkeypatch.setattr(fitting, "CONTROL_GROUP", tmp_path)
    assert free_on_machine() == 8000
    container(tmp_path, "max", used=900, files=300)
    assert free_on_machine() == 8000
    container(tmp_path, "1000", used=900, files=300)
    assert free_on_machine() == 400
    container(tmp_path, "1000", used=1200, files=0)
    assert free_on_machine() == 0
    container(tmp_path, "9000", used=500, files=0)
    assert free_on_machine() == 8000


def test_a_gpu_has_what_is_free_and_what_torch_keeps_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed(value: Any) -> Any:
        return lambda *_: value

    monkeypatch.setattr(torch.cuda, "mem_get_info", fixed((700, 1000)))
    monkeypatch.setattr(torch.cuda, "memory_reserved", fixed(200))
    monkeypatch.setattr(torch.cuda, "memory_allocated", fixed(150))
    assert memory.free_bytes(torch.device("cuda")) == 750
    machine(monkeypatch, 123)
    monkeypatch.setattr(fitting, "CONTROL_GROUP", Path("/nowhere"))
    assert memory.free_bytes(torch.device("cpu")) == 123
