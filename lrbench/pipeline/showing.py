"""A plan as a table for the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.text import Text

from lrbench.pipeline.cuda import missing_devices
from lrbench.pipeline.estimating.showing import cost_lines, expected_cost
from lrbench.pipeline.estimating.stages import PlanEstimate
from lrbench.pipeline.hazards import remarks_on_fidelity
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.prompting import ends_of_turns, remarks_on_agreement, remarks_on_prompts
from lrbench.pipeline.redoing import redone
from lrbench.pipeline.selecting import together
from lrbench.pipeline.stage_table import StageTable
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.expanding import point_text
from lrbench.results.console import Screen
from lrbench.results.text import duration
from lrbench.store.store import Store

MOST_VALUES = 8


def show_plan(plan: Plan, runs: Path, device: str | None = None, each: bool = False) -> None:
    """Print what the recipe stands for, and its stages: finished, begun or to run, tokens and cost.

    Time and memory are those expected on the device called `device`, or on the one that a run would use
    here. Stages of one kind that differ only in where among seeds and points they stand share a line, and so
    do the benchmarks of a suite, unless `each` is to have its own. Raises `UserError` when no such device is
    known.
    """
    console = Screen()
    whole = together(plan)
    estimate = expected_cost(whole, runs, device)
    first = plan.phases[0]
    if len(first.variants) > 1:
        console.print(Text(_variants_text(first)))
        console.print()
    store = Store(runs / "store")
    begun = {(draft.stage, draft.key): draft.committed_files for draft in store.drafts()}
    waiting = [stage for stage in whole.stages if not store.exists(stage.name, stage.key)]
    unfinished = {stage.key for stage in waiting}
    table = StageTable(unfinished, begun, estimate, console.width, each)
    shown: set[str] = set()
    for title, phase in zip(_phase_titles(plan), plan.phases, strict=True):
        stages = [stage for stage in phase.stages if stage.key not in shown]
        shown |= {stage.key for stage in stages}
        if title:
            console.print(Text(title + _time_of(stages, unfinished, estimate), style="bold"))
            console.print()
        console.print(table.of(phase, stages))
        if title:
            console.print()
    tokens = sum(stage.most_tokens for stage in waiting)
    console.print(
        f"{'' if plan.selecting else chr(10)}{len(whole.stages)} stages: {len(whole.stages) - len(waiting)} "
        f"finished, {len(waiting)} to run (at most {tokens:,} new tokens).",
        highlight=False,
    )
    for line in cost_lines(estimate):
        console.print(Text(line))
    remarks = [
        *ends_of_turns(whole.stages),
        *remarks_on_prompts(whole.stages),
        *remarks_on_agreement(whole.stages),
        *remarks_on_fidelity(whole.arms),
        *plan.remarks,
        *dict.fromkeys(said for stage in whole.stages for said in stage.remarks),
    ]
    for line in remarks:
        console.print(Text(line))
    for again in redone(whole.stages, store):
        console.print(Text(f"To be {again}."))
    missing = None if device is None or not waiting else missing_devices(plan.recipe.runtime)
    if missing is not None:
        console.print(Text(f"This machine could not run it: {missing}."))
    if plan.absent:
        console.print(Text(f"Not here yet, a run fetches first: {', '.join(plan.absent)}."))
        console.print("Keys of what depends on them change once they are here.", style="dim")


def _phase_titles(plan: Plan) -> list[str]:
    """What each phase does; nothing of a run that has one."""
    if plan.selecting is None or plan.selection is None:
        return [""]
    swept = {arm.arm.name for arm in plan.selecting.arms if arm.point}
    names = ", ".join(dict.fromkeys(arm.arm.name for arm in plan.arms if arm.arm.name in swept))
    if plan.is_open:
        chosen = f"the point chosen then of {names}"
    else:
        chosen = ", ".join(f"{each.arm} {point_text(each.point)}" for each in plan.selection.chosen)
    return [
        f"Phase 1 of 2: every point of {names}{_models(plan.selecting, swept)}, on {plan.selection.label}",
        f"Phase 2 of 2: {chosen}{_models(plan, swept)}, on the suite",
    ]


def _models(plan: Plan, swept: Collection[str]) -> str:
    """How many models of arms that stand at points a phase has, and of others."""
    own = sum(arm.arm.name in swept for arm in plan.arms)
    others = len(plan.arms) - own
    beside = f", and {_counted(others, 'other')}" if others else ""
    return f" ({_counted(own, 'model')}){beside}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _time_of(stages: Sequence[Stage], unfinished: Collection[str], estimate: PlanEstimate | None) -> str:
    """What the stages that are not finished take, one after the other; empty where that is unknown."""
    waiting = [stage.key for stage in stages if stage.key in unfinished]
    if not waiting:
        return ": finished"
    seconds = [None if estimate is None else estimate.stages[key].seconds for key in waiting]
    known = [each for each in seconds if each is not None]
    return f": {duration(sum(known))} of work" if len(known) == len(seconds) else ""


def _variants_text(plan: Plan) -> str:
    """`6 variants: 3 seeds x 2 points (beta 0.2, 0.8)`, shortened where there are many values."""
    seeds = len(plan.recipe.seeds or [0])
    points = len(plan.variants) // seeds
    counts = [f"{seeds} seeds"] * (seeds > 1) + [f"{points} points"] * (points > 1)
    values: dict[str, dict[str, None]] = {}
    for variant in plan.variants:
        for field, value in variant.point.items():
            values.setdefault(field, {})[point_text({field: value}).partition("=")[2]] = None
    swept = [f"{field} {_shortened(list(known))}" for field, known in values.items() if len(known) > 1]
    text = f"{len(plan.variants)} variants: {' x '.join(counts)}"
    return f"{text} ({'; '.join(swept)})" if swept else text


def _shortened(values: list[str]) -> str:
    return ", ".join(values if len(values) <= MOST_VALUES else [*values[: MOST_VALUES - 1], "..."])
