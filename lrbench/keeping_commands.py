"""The commands on what a runs folder keeps: each parses, calls one function and prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lrbench.options import RUNS, Runs
from lrbench.output import tell
from lrbench.results.text import plain, size_text

if TYPE_CHECKING:
    from rich.table import Table

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only what would be done is said.")]
Result = Annotated[
    str,
    typer.Argument(metavar="RESULT", help="Its id or the start of it, ARM, RECIPE/ARM or RECIPE/ARM/SEED."),
]
MOST_LINES = 20
TESTS = (
    "Scores in percent with 95% intervals. Differences in points on the same items, each tested by\n"
    "itself: p is not corrected for their number. McNemar's mid-p; for the average, sign-flip permutation."
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("list")(list_)
    app.command()(show)
    app.command()(diff)
    app.command("rm")(remove)
    app.command()(gc)


def list_(runs: Runs = RUNS) -> None:
    """List the recipes with results: when recorded, how many arms, and the disk they take."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from lrbench.pipeline.clearing import holdings
    from lrbench.results.console import Screen

    found = holdings(runs)
    if not found:
        tell(f"{runs} holds no results; `lrbench run RECIPE` makes some.")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, justify in {
        "recipe": "left",
        "recorded": "left",
        "arms": "right",
        "disk": "right",
        "alone": "right",
    }.items():
        table.add_column(name, justify=justify, no_wrap=name != "recipe")  # type: ignore[arg-type]
    for holding in found:
        arms = f"{holding.arms - holding.begun} of {holding.arms}" if holding.begun else str(holding.arms)
        moment = holding.recorded_at[:16].replace("T", " ")
        table.add_row(Text(holding.recipe), moment, arms, size_text(holding.size), size_text(holding.alone))
    screen = Screen()
    screen.print(table)
    screen.print("\ndisk: of all that its results were made with; alone: what no other recipe needs.")


def show(result: Result, runs: Runs = RUNS) -> None:
    """Say everything of one result: scores with their verdict, costs, settings, stages and what made it."""
    from rich.text import Text

    from lrbench.pipeline.exporting.naming import find_result, full_name
    from lrbench.results.console import Screen
    from lrbench.results.details import details_of, value_text
    from lrbench.results.ledger import Ledger

    contents = Ledger(runs / "ledger").read()
    arm = find_result(result, contents.arms)
    found, screen = details_of(arm, contents, runs), Screen()
    screen.print(Text(f"{full_name(arm)}  {arm.arm_id}\n", style="bold"))
    for scored in found.scored:
        against = [] if scored.baseline is None else [f"against {scored.baseline}"]
        lines = [line[: 2 + len(against)] for line in scored.lines]
        screen.print(_table([f"{scored.suite}, protocol {scored.protocol}", "accuracy", *against], lines))
        screen.print()
    if not found.scored:
        screen.print(Text("not measured\n"))
    for hashes, differences in found.protocols.items():
        rows = [(each.field, each.first, each.second) for each in differences]
        screen.print(_table(["protocols differ in", *hashes], [tuple(map(plain, row)) for row in rows]))
        screen.print()
    if found.chosen:
        screen.print(Text(f"{plain(found.chosen, 400)}\n"))
    tables = {
        "costs": found.costs,
        "measured": found.measured,
        "declared": found.declared,
        "made": found.made,
    }
    for title, values in tables.items():
        if values:
            screen.print(_table([title, ""], [(name, value_text(value)) for name, value in values.items()]))
            screen.print()
    stages = [
        (stage.label, stage.key[:8], str(stage.state), "" if stage.size is None else size_text(stage.size))
        for stage in found.stages
    ]
    screen.print(_table(["stage", "key", "in the store", "size"], stages))
    if found.command:
        screen.print(Text(f"\nIt is made by: {plain(found.command, 400)}"))


def diff(first: Result, second: Result, runs: Runs = RUNS) -> None:
    """Say what differs between two results: fields, commit and stages, costs, scores with their verdict."""
    from rich.text import Text

    from lrbench.pipeline.exporting.naming import find_result, full_name
    from lrbench.results.console import Screen
    from lrbench.results.differing import difference
    from lrbench.results.ledger import Ledger

    contents = Ledger(runs / "ledger").read()
    one, other = (find_result(name, contents.arms) for name in (first, second))
    found, screen = difference(one, other, contents), Screen()
    names = full_name(one), full_name(other)
    sections = {"declared": found.declared, "made": found.made, "costs": found.costs, "scores": found.scores}
    for title, lines in sections.items():
        if not lines:
            why = found.incomparable if title == "scores" else "no difference"
            screen.print(Text(f"{title}: {why}\n"))
            continue
        wanted = 4 if title == "scores" else 3
        cells = [(line.what, line.first, line.second, line.verdict)[:wanted] for line in lines]
        screen.print(_table([title, *names, "second against first"][:wanted], cells))
        screen.print()
    if found.scores:
        screen.print(TESTS)
    if found.protocols:
        cells = [(line.what, line.first, line.second) for line in found.protocols]
        screen.print(_table(["protocols", *names], cells))
    for name, said in zip(names, found.chosen, strict=True):
        if said:
            screen.print(Text(f"\n{name}: {plain(said, 400)}"))


def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="RECIPE...", help="Recipes with results, by their names.")
    ],
    yes: Yes = False,
    runs: Runs = RUNS,
) -> None:
    """Take the results of recipes from the ledger, the board and MLflow; `gc` then frees their disk."""
    from lrbench.pipeline import clearing

    removal = clearing.removal_of(names, runs)
    what = f"{len(removal.arms)} arms and {len(removal.scores)} scores of {', '.join(dict.fromkeys(names))}"
    if not yes:
        tell(f"Would remove {what}. `--yes` does it.")
        return
    clearing.remove(runs, removal)
    kept = runs / "ledger" / "removed.jsonl"
    tell(f"Removed {what}; their lines are in {kept}. `lrbench gc` frees the disk.")


def gc(yes: Yes = False, runs: Runs = RUNS) -> None:
    """Delete artifacts that no result, and no recipe that was begun, needs."""
    from lrbench.pipeline import clearing

    found = clearing.unneeded(runs)
    if not found.sizes:
        tell("Nothing to delete: all artifacts are needed.")
        return
    if yes:
        count, gone = clearing.clear(runs, found)
        tell(f"Deleted {count} artifacts, {size_text(gone)}.")
        return
    largest = sorted(found.sizes.items(), key=lambda item: -item[1])
    for (stage, key), count in largest[:MOST_LINES]:
        tell(f"{size_text(count):>10}  {stage} {key[:8]}")
    if len(largest) > MOST_LINES:
        tell(f"{'':>10}  and {len(largest) - MOST_LINES} more")
    tell(
        f"Would delete {len(largest)} artifacts that nothing needs, {size_text(found.size)}. `--yes` does it."
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """Lines of plain text under their heads."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(Text(head))
    for line in lines:
        table.add_row(*map(Text, line))
    return table
