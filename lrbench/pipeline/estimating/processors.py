"""What a core of this machine really reaches: measured once, by the first run, and kept beside its estimates.

Data sheets say little about a CPU: of two that are sold alike, one multiplies 16-bit numbers twice as fast as
32-bit ones, and the other a fifth as fast, having no instructions for them.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lrbench.store.files import read_regular, write_atomically

FILE = "processors.json"
FACTS = Path("/proc/cpuinfo")
# Instructions that multiply bfloat16 numbers, as Linux calls them (x86-64, then Arm).
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
DTYPES = ("float32", "bfloat16", "float16")
# A linear layer such as models of some billion parameters have, read by as many rows as are written together,
# and one that no cache holds.
ROWS, INPUTS, OUTPUTS, LARGE = 64, 1536, 4096, 16384
# Each is done at least twice, and until so much time has passed; the fastest counts.
SECONDS = 0.2


@dataclass(frozen=True)
class Reached:
    """Operations a second by dtype, and bytes a second, that one of `cores` working together reaches."""

    operations: dict[str, float]
    bandwidth: float
    cores: int


def knows_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16, from what the kernel tells."""
    return not BFLOAT16.isdisjoint(_facts()[1])


def processor() -> str:
    """The identity of what is measured: the processor, its instructions, and the torch that uses them."""
    name, flags = _facts()
    content = [platform.machine(), name, sorted(flags), version("torch")]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def kept(runs: Path, cores: int) -> Reached | None:
    """What was measured on this processor with so many cores at work; None where nothing was."""
    return _read(runs).get(f"{processor()} {cores}")


def measure(runs: Path, cores: int) -> Reached:
    """Measure what torch reaches with its present number of threads, which are `cores`, and keep it.

    Takes about a second, the first time in a process. Raises `StoreError` where it cannot be written.
    """
    found = _reached(processor(), cores)
    all_kept = _read(runs) | {f"{processor()} {cores}": found}
    content = {key: asdict(reached) for key, reached in sorted(all_kept.items())}
    write_atomically(runs / FILE, (json.dumps(content, indent=1) + "\n").encode())
    return found


@cache
def _reached(_processor: str, cores: int) -> Reached:
    """Measured anew for every processor; a process that works on several folders asks once."""
    import torch

    def reading(rows: int, outputs: int, dtype: torch.dtype) -> float:
        tokens, weights = torch.ones(rows, INPUTS, dtype=dtype), torch.ones(outputs, INPUTS, dtype=dtype)
        return _fastest(lambda: torch.nn.functional.linear(tokens, weights)) / cores

    with torch.inference_mode():
        multiplied = 2 * ROWS * INPUTS * OUTPUTS / cores
        operations = {name: multiplied / reading(ROWS, OUTPUTS, getattr(torch, name)) for name in DTYPES}
        bandwidth = 4 * INPUTS * LARGE / reading(1, LARGE, torch.float32)
    return Reached(operations, bandwidth / cores, cores)


def _fastest(work: Callable[[], object]) -> float:
    """Processor seconds of all threads: others may use the machine too, and what they take is not counted."""
    best, begun, times = float("inf"), time.perf_counter(), 0
    while times < 2 or time.perf_counter() - begun < SECONDS:
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
        times += 1
    return best


_KEPT = TypeAdapter(dict[str, Reached])


def _read(runs: Path) -> dict[str, Reached]:
    try:
        return _KEPT.validate_json(read_regular(runs / FILE))
    except (OSError, ValidationError):
        return {}


def _facts() -> tuple[str, frozenset[str]]:
    """The processor's name and its instructions; empty where the kernel does not tell."""
    try:
        with FACTS.open(errors="replace") as listed:
            # All processors are listed, each with the same lines; the first one's are enough.
            lines = list(takewhile(str.strip, listed))
    except OSError:
        return "", frozenset()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags") or facts.get("Features") or ""
    return facts.get("model name", ""), frozenset(flags.split())
