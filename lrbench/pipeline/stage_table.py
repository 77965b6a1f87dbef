"""The stages of a plan as a table: a line for those that differ in where they stand alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from lrbench.pipeline.estimating.showing import cost_cells
from lrbench.pipeline.estimating.stages import PlanEstimate
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.stages.base import Stage

# Narrower than this, long names of stages would leave no room for what a stage makes, and the memory of each
# is left out: what a run needs at most is said below.
WIDE_SCREEN = 100
LONG_NAME = 10


@dataclass(frozen=True)
class StageTable:
    """What is to be known of all stages of a run: the keys of those `unfinished`, with how many files each
    that was `begun` has by name and key, and what they cost.

    `each` has a line for every benchmark, with its key; else those of a suite share one.
    """

    unfinished: Collection[str]
    begun: Mapping[tuple[str, str], int]
    estimate: PlanEstimate | None
    width: int
    each: bool = False

    def of(self, plan: Plan, stages: Sequence[Stage]) -> Table:
        """The table of these stages of a plan."""
        titles = {arm.title: arm.arm.name for arm in plan.arms}
        lines = self._lines(stages, titles)
        is_narrow = self.width < WIDE_SCREEN
        is_tight = is_narrow and any(len(name) > LONG_NAME for name, _ in lines)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=is_tight)
        table.add_column("stage", no_wrap=True)
        table.add_column("what", overflow="fold")
        table.add_column("state", no_wrap=True)
        table.add_column("tokens", justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        if not is_narrow:
            table.add_column("memory", justify="right", no_wrap=True)
        table.add_column("key", no_wrap=True, style="dim")
        for (name, _), alike in lines.items():
            tokens, time, memory = self._costs(alike, is_narrow)
            # What stands in for what is chosen has another key.
            key = alike[0].key[:8] if len(alike) == 1 and not plan.is_open else ""
            table.add_row(
                _broken(name) if is_tight else name,
                Text(self._what(alike, titles)),
                self._state(alike),
                tokens,
                time,
                *([] if is_narrow else [memory]),
                key,
            )
        return table

    def _lines(
        self, stages: Sequence[Stage], titles: Mapping[str, str]
    ) -> dict[tuple[str, str], list[Stage]]:
        """The stages of each line, under the stage's name and what is the same in all of them."""
        lines: dict[tuple[str, str], list[Stage]] = defaultdict(list)
        for stage in stages:
            same = stage.label_under(titles) if self.each else stage.line_under(titles)
            lines[stage.name, same].append(stage)
        return lines

    def _what(self, alike: Sequence[Stage], titles: Mapping[str, str]) -> str:
        label = alike[0].label_of_all(alike, titles)
        times, rest = divmod(len(alike), len({stage.label_under(titles) for stage in alike}))
        return label if times == 1 or rest else f"{label} x {times}"

    def _state(self, alike: Sequence[Stage]) -> Text:
        to_run = [stage for stage in alike if stage.key in self.unfinished]
        if not to_run:
            return Text("finished", style="green")
        files = sum(self.begun.get((stage.name, stage.key), 0) for stage in to_run)
        begun = f"begun ({files} files)" if files else "to run"
        return Text(
            begun if len(to_run) == len(alike) else f"{len(to_run)} of {len(alike)} {begun}", style="yellow"
        )

    def _costs(self, alike: Sequence[Stage], is_narrow: bool) -> tuple[str, str, str]:
        if self.estimate is None:
            return "", "", ""
        return cost_cells([self.estimate.stages[stage.key] for stage in alike], is_narrow)


def _broken(name: str) -> str:
    """A long name over lines, each ending with `_` but the last: `reference_`, `log_p`."""
    lines = [""]
    for part in re.findall("[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1] + part) > LONG_NAME:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
