"""How long a study takes on many devices, worked out from what `plan` says of its stages; nothing is run.

    python -m experiments.bench.simulated_workers main_results --device h200 --workers 8 16 32 64

All recipes of the study's paper edition are one set of stages, as if workers took them all at once, each on
a device of its own; whoever has nothing else to do takes shards of a stage. Starting workers, waiting for
locks, a shared disk and what a shard waits for its longest answer take no time here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from lrbench.pipeline.estimating.devices import named_device
from lrbench.pipeline.estimating.scheduling import longest_chain, seconds_together
from lrbench.pipeline.estimating.stages import estimate_plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.study import find_study, load_study


def stages_of(study: str, device: str) -> tuple[dict[str, float], dict[str, tuple[str, ...]], dict[str, int]]:
    """Seconds of every stage of the study's paper edition, what each needs, and its parts, by key."""
    seconds: dict[str, float] = {}
    inputs: dict[str, tuple[str, ...]] = {}
    parts: dict[str, int] = {}
    edition = load_study(find_study(study, Path("experiments")), ("paper",))["paper"]
    with TemporaryDirectory() as folder:
        for source in edition.recipes:
            plan = plan_recipe(source.recipe, Path(folder), fetch=False)
            estimate = estimate_plan(plan, Path(folder), named_device(device, source.recipe.runtime))
            seconds |= {key: stage.seconds or 0.0 for key, stage in estimate.stages.items()}
            inputs |= estimate.inputs
            parts |= estimate.parts
    return seconds, inputs, parts


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--device", default="h200")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 16, 32, 64])
    asked = parser.parse_args()
    seconds, inputs, parts = stages_of(asked.study, asked.device)
    alone = sum(seconds.values())
    print(f"{len(seconds)} stages of {asked.study} on {asked.device}, simulated from the times of `plan`.\n")
    print("| workers | hours | times as fast | share of the time at work |\n| ---: | ---: | ---: | ---: |")
    for workers in asked.workers:
        took = seconds_together(seconds, inputs, workers, parts)
        ratio = alone / took
        print(f"| {workers} | {took / 3600:.1f} | {ratio:.1f} | {100 * ratio / workers:.0f}% |")
    print(f"\nNo number of workers takes less than {longest_chain(seconds, inputs, parts) / 3600:.1f} h.")


if __name__ == "__main__":
    main()
