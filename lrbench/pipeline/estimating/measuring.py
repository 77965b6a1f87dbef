"""Predicted against actual: what a run took, appended to the history once it has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lrbench.errors import StoreError
from lrbench.pipeline.estimating.costs import BASE_BYTES
from lrbench.pipeline.estimating.devices import Device, cores_of, device_here, use_threads
from lrbench.pipeline.estimating.history import MODEL, History, RunEstimate, Work, record
from lrbench.pipeline.estimating.processors import kept, measure
from lrbench.pipeline.estimating.resident import most_resident
from lrbench.pipeline.estimating.shapes import Shape, shape_of
from lrbench.pipeline.estimating.stages import START, Estimator, PlanEstimate, estimate_plan
from lrbench.pipeline.plan import Plan
from lrbench.recipe.schema import Runtime
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store


class Measuring:
    """Begins with a phase of a run and remembers what was expected of it.

    `whole` has all that is still ahead then: the stages of this phase, and of those after it.
    Nothing is recorded of a run on a device or with a model that nothing is known of.
    """

    def __init__(self, plan: Plan, runs: Path, whole: Plan | None = None) -> None:
        self._plan = plan
        self._runs = runs
        self._started, self._worked = time.monotonic(), time.process_time()
        self._device = device_here(plan.recipe.runtime, runs)
        self._expert = shape_of(plan.arms[0].expert)
        self._expected = None if self._device is None else estimate_plan(plan, runs, self._device)
        is_waiting = self._expected is not None and self._expected.device.is_cpu and self._expected.waiting
        if is_waiting and _measured_now(plan.recipe.runtime, runs):
            self._device = device_here(plan.recipe.runtime, runs)
            assert self._device is not None
            self._expected = estimate_plan(plan, runs, self._device)
        self._whole = self._expected
        if self._device is not None and whole is not None:
            self._whole = estimate_plan(whole, runs, self._device)
        self._bytes = 0 if self._device is None else _most_bytes(self._device, begin=True)

    @property
    def seconds(self) -> dict[str, float] | None:
        """What each stage that waits is expected to take, by its key; None where nothing is known."""
        if self._whole is None or self._whole.seconds is None:
            return None
        return {key: stage.seconds or 0.0 for key, stage in self._whole.stages.items() if not stage.finished}

    @property
    def is_checked(self) -> bool:
        """Whether earlier runs here say how right that is."""
        return self._expected is not None and bool(self._expected.checked)

    @property
    def inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of what each stage needs."""
        return {} if self._whole is None else self._whole.inputs

    def record(self, artifacts: Mapping[str, Artifact], say: Callable[[str], None]) -> None:
        """Append what the run took; one that cannot be written is told of through `say`."""
        if self._device is None or self._expert is None or self._expected is None:
            return
        expected = self._expected
        made = [key for key, stage in expected.stages.items() if not stage.finished and key in artifacts]
        if not made or expected.seconds is None or expected.bytes is None:
            return
        on_cpu = {artifacts[key].environment.get("device", "cpu") == "cpu" for key in made}
        if on_cpu != {self._device.is_cpu}:
            # torch could not use the GPU that the driver names, so the prediction was about another device.
            return
        try:
            record(self._runs, self._line(self._device, self._expert, expected, made, artifacts))
        except OSError as error:
            say(f"warning: what this run took cannot be recorded beside its prediction ({error.strerror})")

    def _line(
        self,
        device: Device,
        expert: Shape,
        expected: PlanEstimate,
        made: list[str],
        artifacts: Mapping[str, Artifact],
    ) -> RunEstimate:
        seconds = time.monotonic() - self._started
        worked = time.process_time() - self._worked
        modelled = Estimator(self._plan, Store(self._runs / "store"), device, History()).estimate()
        work: dict[str, Work] = {}
        for key in made:
            stage = modelled.stages[key]
            before = work.get(stage.kind, Work(0.0, 0.0))
            work[stage.kind] = Work(
                before.seconds + artifacts[key].seconds,
                before.modelled_seconds + (stage.modelled_seconds or 0.0),
                before.rows + stage.rows,
                before.tokens + (stage.tokens or 0),
            )
        rest = seconds - sum(artifacts[key].seconds for key in made)
        start = expected.start.modelled_seconds
        if start and rest > 0:
            work[START] = Work(rest, start)
        held = _most_bytes(device)
        return RunEstimate(
            recipe=self._plan.recipe.name,
            recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            device=device.name,
            expert=self._plan.arms[0].expert.name,
            parameters=expert.parameters,
            predicted_seconds=expected.seconds or 0.0,
            seconds=seconds,
            busy=min(1.0, worked / seconds) if device.is_cpu else 1.0,
            predicted_bytes=expected.bytes or 0.0,
            bytes=held if held > self._bytes else None,
            modelled_bytes=max(expected.stages[key].modelled_bytes or 0.0 for key in made),
            work=work,
            model=MODEL,
        )


def _measured_now(runtime: Runtime, runs: Path) -> bool:
    """Measure the processor that a run with `runtime` works on, unless that was done; whether it was now."""
    cores = cores_of(runtime)
    if kept(runs, cores) is not None:
        return False
    use_threads(runtime)
    try:
        measure(runs, cores)
    except StoreError:
        # The run itself says soon enough that nothing can be written.
        return False
    return True


def _most_bytes(device: Device, begin: bool = False) -> int:
    """The most memory held so far: resident in this process, or on its GPU since the `begin` of a run."""
    if device.is_cpu:
        return most_resident()
    if "torch" not in sys.modules:
        return 0
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 0
    if begin:
        torch.cuda.reset_peak_memory_stats()
        return 0
    return BASE_BYTES["cuda"] + torch.cuda.max_memory_reserved()
