"""Tokens, time and memory of a plan in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lrbench.models.fitting import free_on_machine
from lrbench.pipeline.estimating.devices import device_here, device_names, named_device
from lrbench.pipeline.estimating.stages import START, PlanEstimate, StageEstimate, estimate_plan
from lrbench.pipeline.plan import Plan
from lrbench.results.text import duration

UNKNOWN = "unknown"
ROUGH = "unchecked: no earlier run here says how right that is, so it may be several times off"
# Others are at work where so many times as many processes want a core as there are cores.
BUSY = 1.5


def expected_cost(plan: Plan, runs: Path, device: str | None) -> PlanEstimate | None:
    """The estimate on the device called `device`, or on the one that a run would use here.

    None where that one is a GPU nothing is known of. Raises `UserError` for a name that is not known.
    """
    runtime = plan.recipe.runtime
    found = device_here(runtime, runs) if device is None else named_device(device, runtime)
    return None if found is None else estimate_plan(plan, runs, found)


def cost_cells(alike: Sequence[StageEstimate], is_narrow: bool = False) -> tuple[str, str, str]:
    """Tokens, time and memory of stages that share a line; `<=` marks tokens that are known at most.

    Where it `is_narrow`, there are millions of tokens.
    """
    exact = all(stage.exact for stage in alike)
    bounded = all(stage.tokens is not None for stage in alike)
    total = sum(stage.tokens or 0 for stage in alike)
    number = f"{total / 1e6:,.1f} M" if is_narrow and total >= 1e6 else f"{total:,}"
    tokens = f"{'' if exact else '<= '}{number}" if bounded and total else ""
    waiting = [stage for stage in alike if not stage.finished]
    if not waiting:
        return tokens, "", ""
    seconds = [stage.seconds for stage in waiting]
    sizes = [stage.bytes for stage in waiting]
    return (
        tokens,
        UNKNOWN if None in seconds else duration(sum(value or 0.0 for value in seconds)),
        UNKNOWN if None in sizes else size(max(value or 0.0 for value in sizes)),
    )


def cost_lines(estimate: PlanEstimate | None) -> Iterator[str]:
    """What the whole plan will take, where, and what that is known from."""
    if estimate is None:
        yield (
            f"Time and memory are unknown: this machine's GPU is not among {', '.join(device_names())}; name "
            "the nearest with --device."
        )
        return
    yield "Tokens: written by models, or learnt from in training; <= marks at most, all others are exact."
    if not estimate.waiting:
        return
    device = estimate.device
    if estimate.unknown:
        yield f"Time and memory are unknown until the config is here of {', '.join(estimate.unknown)}."
        return
    assert estimate.seconds is not None
    assert estimate.bytes is not None
    start = duration(estimate.start.seconds or 0.0)
    together = "" if estimate.workers == 1 else f"with {estimate.workers} workers, each "
    yield (
        f"Expected {together}on {device.title}: {duration(estimate.seconds)}, of which {start} "
        f"to start; at most {size(estimate.bytes)} of memory at once"
        + (" in each" if together else "")
        + (f" of {size(device.memory)}." if device.memory else ".")
    )
    if together:
        chain = duration(estimate.longest_chain)
        yield f"More workers would not make it shorter than {chain}: some stages wait for others."
    free = free_on_machine() if device.is_cpu else None
    if free is not None and estimate.bytes * estimate.workers > free:
        halved = f" In bfloat16 half is held of {', '.join(estimate.float32)}." if estimate.float32 else ""
        yield f"Only {size(free)} are free on this machine: the run may be killed for memory.{halved}"
    if device.memory and estimate.bytes > device.memory:
        yield "That is more than it has: work is cut into smaller pieces as far as that helps, and slower."
    if not estimate.checked:
        yield f"This follows from {device.source}, {ROUGH}."
    else:
        others = sorted({stage.kind for stage in estimate.waiting} - estimate.corrected - {START})
        rest = f"; unchecked for {', '.join(others)}" if others else ""
        plural = "s" * (estimate.runs > 1)
        yield f"This is corrected by {estimate.runs} earlier run{plural} here on this device{rest}."
    wanting = at_work_now() if device.is_cpu else 0.0
    if wanting > BUSY:
        yield (
            "All this is on a machine that does nothing else. Now about "
            f"{wanting:.0f} processes want each of its cores; as long as they do, it takes as many times as "
            "long."
        )


def at_work_now() -> float:
    """How many processes want each core of this machine, in the mean of the last minute; 0 where unknown."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def size(count: float) -> str:
    """Bytes in GiB."""
    return f"{count / 2**30:.1f} GiB"
