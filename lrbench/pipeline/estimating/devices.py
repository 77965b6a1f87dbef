"""What devices can do at most, and which one a run would use here; asks no framework for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path

import yaml
from pydantic import BaseModel

from lrbench.errors import UserError
from lrbench.pipeline.estimating.processors import Reached, kept, knows_bfloat16, processor
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.schema import Runtime

GPUS = Path("/proc/driver/nvidia/gpus")
# The share of what was measured of bare products and reads that work reaches.
OF_MEASURED = 0.8


@dataclass(frozen=True)
class Device:
    """A device: operations a second by dtype, bytes a second, and bytes of memory where fixed.

    `name` is how plans and the history of runs call it; a CPU is another device with another number of
    `cores`. `operations_reached` and `bandwidth_reached` are the shares of these figures that work is taken
    to reach: of published peaks it is little.
    """

    name: str
    title: str
    operations: dict[str, float]
    bandwidth: float
    memory: int | None
    source: str
    operations_reached: float = 0.3
    bandwidth_reached: float = 0.5

    @property
    def is_cpu(self) -> bool:
        """Whether the work is done by cores of the machine itself."""
        return self.memory is None


def device_names() -> tuple[str, ...]:
    """How plans may call a device."""
    return tuple(_table())


def named_device(name: str, runtime: Runtime) -> Device:
    """The device called `name` in the table. Raises `UserError` where there is none."""
    if name.lower() not in _table():
        known = ", ".join(device_names())
        raise UserError(
            f"--device: no device is known as {name!r}{did_you_mean(name, _table())}; known: {known}"
        )
    return _device(name.lower(), cores_of(runtime))


def device_here(runtime: Runtime, runs: Path) -> Device | None:
    """The device that a run with `runtime` would use here; None for a GPU that is not in the table.

    Of a CPU it is what an earlier run has measured, as kept under `runs`, or else what is usual.
    """
    gpus = () if runtime.device == "cpu" else visible_gpus()
    if not gpus:
        cores = cores_of(runtime)
        usual = _device("cpu-bfloat16" if knows_bfloat16() else "cpu", cores)
        reached = kept(runs, cores)
        return usual if reached is None else _measured(usual, reached)
    return next((_device(name, 1) for name, known in _table().items() if gpus[0] in known.names), None)


class _Entry(BaseModel):
    """One device of the table, in its units."""

    names: tuple[str, ...]
    memory: float | None
    bandwidth: float
    teraflops: dict[str, float]
    source: str


@cache
def _table() -> dict[str, _Entry]:
    found = yaml.safe_load(Path(__file__).with_name("devices.yaml").read_text())
    return {name: _Entry(**entry) for name, entry in found.items()}


def _device(name: str, cores: int) -> Device:
    known = _table()[name]
    count = cores if known.memory is None else 1
    return Device(
        name=f"{name}-{count}" if known.memory is None else name,
        title=f"{count} CPU core{'s' * (count > 1)}" if known.memory is None else known.names[0],
        operations={dtype: peak * 1e12 * count for dtype, peak in known.teraflops.items()},
        bandwidth=known.bandwidth * 1e9 * count,
        memory=None if known.memory is None else int(known.memory * 1e9),
        source=known.source,
    )


def _measured(usual: Device, reached: Reached) -> Device:
    """A CPU with what was measured; it has a history of its own, since corrections are of these figures."""
    return replace(
        usual,
        name=f"{usual.name}-{processor()}",
        operations={dtype: peak * reached.cores for dtype, peak in reached.operations.items()},
        bandwidth=reached.bandwidth * reached.cores,
        source="the speed of its arithmetic, which was measured here",
        operations_reached=OF_MEASURED,
        bandwidth_reached=OF_MEASURED,
    )


def cores_of(runtime: Runtime) -> int:
    """How many cores a process of a run on a CPU works with."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if (threads := threads_of(runtime)) is not None:
        return threads
    return int(asked) if asked.isdecimal() and int(asked) else len(os.sched_getaffinity(0))


def threads_of(runtime: Runtime) -> int | None:
    """How many threads torch gets in a process on a CPU; None where that is left to torch.

    Workers share the cores, unless the recipe or OMP_NUM_THREADS says how many threads each has.
    """
    if runtime.threads is not None or runtime.workers == 1 or os.environ.get("OMP_NUM_THREADS"):
        return runtime.threads
    return max(1, len(os.sched_getaffinity(0)) // runtime.workers)


def use_threads(runtime: Runtime) -> None:
    """Have torch work with as many threads as `threads_of` says."""
    import torch

    if (threads := threads_of(runtime)) is not None:
        torch.set_num_threads(threads)


def torch_knows_cuda() -> bool:
    """Whether the installed torch is a build that can use a GPU at all."""
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False


def visible_gpus() -> tuple[str, ...]:
    """The names of the NVIDIA GPUs that torch could use here, from what their driver tells.

    Where CUDA_VISIBLE_DEVICES names some of them, there are as many as it names.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch_knows_cuda() or not GPUS.is_dir():
        return ()
    lines = (
        line.partition(":")
        for information in sorted(GPUS.glob("*/information"))
        for line in information.read_text(errors="replace").splitlines()
    )
    names = tuple(model.strip() for label, _, model in lines if label.strip() == "Model")
    return names if chosen is None else names[: len(list(takewhile(_names_a_gpu, chosen.split(","))))]


def _names_a_gpu(entry: str) -> bool:
    """Whether an entry of CUDA_VISIBLE_DEVICES shows a GPU; the first that does not hides all after it."""
    return bool(entry.strip()) and not entry.strip().startswith("-")
