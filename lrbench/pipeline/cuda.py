"""The CUDA devices that a recipe asks for against those that are here."""

from __future__ import annotations

from lrbench.errors import FieldError
from lrbench.pipeline.estimating.devices import torch_knows_cuda, visible_gpus
from lrbench.recipe.schema import Runtime


def missing_devices(runtime: Runtime) -> FieldError | None:
    """What `runtime` asks for that is not visible here; None where nothing is missing.

    Imports torch only where CUDA is asked for by name and torch could know of any.
    """
    if runtime.device == "cuda":
        return beyond(runtime, usable_devices())
    gpus = len(visible_gpus()) if runtime.device == "auto" else 0
    return beyond(runtime, gpus) if gpus else None


def beyond(runtime: Runtime, devices: int) -> FieldError | None:
    """What `runtime` asks for beyond so many CUDA devices."""
    if devices == 0:
        return FieldError(
            ("runtime", "device"),
            "cuda",
            "found cuda, but no CUDA device is visible here; set it to auto or cpu",
        )
    if runtime.processes > devices:
        return _too_many("processes", runtime.processes, devices, "process needs one", devices)
    if runtime.tensor_parallel > devices:
        need = "part of the model needs one"
        return _too_many("tensor_parallel", runtime.tensor_parallel, devices, need, devices)
    if runtime.devices * runtime.workers > devices:
        field = "processes" if runtime.processes == runtime.devices else "tensor_parallel"
        each = "one" if runtime.devices == 1 else f"{runtime.devices}, as runtime.{field} says"
        most = devices // runtime.devices
        return _too_many("workers", runtime.workers, devices, f"worker needs {each}", most)
    return None


def _too_many(field: str, found: int, devices: int, need: str, most: int) -> FieldError:
    visible = "1 CUDA device is" if devices == 1 else f"{devices} CUDA devices are"
    return FieldError(
        ("runtime", field),
        found,
        f"found {found}, but {visible} visible here, and each {need}; set it to "
        f"{most}{' or fewer' if most > 1 else ''}",
    )


def usable_devices() -> int:
    """How many CUDA devices torch can use here; imports torch where it could know of any."""
    if not torch_knows_cuda():
        return 0
    import torch

    # Devices are counted by the driver, also by one that is too old for this torch.
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
