"""The machine that a run is on: its device, and what it is called in the environment of an artifact."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from lrbench.pipeline.estimating.devices import use_threads
from lrbench.recipe.schema import Runtime


class Machine:
    """The device that `runtime` asks for; torch is imported on first use."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @cached_property
    def device(self) -> Any:
        """Where models live; also makes torch deterministic and sets its threads.

        Raises `FieldError` when the machine has no such device, or too few of them.
        """
        import torch

        from lrbench.models.loading import choose_device
        from lrbench.pipeline.cuda import beyond, usable_devices

        torch.use_deterministic_algorithms(True, warn_only=True)
        use_threads(self.runtime)
        device = choose_device(self.runtime.device)
        missing = beyond(self.runtime, usable_devices()) if device.type == "cuda" else None
        if missing is not None:
            raise missing
        return device

    @property
    def hardware(self) -> dict[str, str]:
        """What the work runs on."""
        import torch

        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {"device": name, "threads": str(torch.get_num_threads())}
