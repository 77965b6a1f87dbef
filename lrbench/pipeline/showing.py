"""A plan as a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrbench.pipeline.plan import Plan
from lrbench.store.store import Store


def show_plan(plan: Plan, runs: Path) -> None:
    """Print every stage: finished, begun or to run, with an upper bound of the tokens it takes."""
    store = Store(runs / "store")
    begun = {(draft.stage, draft.key): draft.committed_files for draft in store.drafts()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("what")
    table.add_column("state", no_wrap=True)
    table.add_column("new tokens, at most", justify="right", no_wrap=True)
    table.add_column("key", no_wrap=True, style="dim")
    waiting = tokens = 0
    for stage in plan.stages:
        address = (stage.name, stage.key)
        if store.exists(*address):
            state = Text("finished", style="green")
        else:
            files = begun.get(address, 0)
            state = Text(f"begun ({files} files)" if files else "to run", style="yellow")
            waiting += 1
            tokens += stage.most_tokens
        most = f"{stage.most_tokens:,}" if stage.most_tokens else ""
        table.add_row(stage.name, Text(stage.label), state, most, stage.key[:8])
    console = Console()
    console.print(table)
    console.print(
        f"\n{len(plan.stages)} stages: {len(plan.stages) - waiting} finished, {waiting} to run "
        f"(at most {tokens:,} new tokens).",
        highlight=False,
    )
