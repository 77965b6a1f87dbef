"""`python -m experiments.world properties`: the table of docs/embedded.md, measured here and now."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from experiments.world.answering import Asked, World
from experiments.world.properties import LONG, TEACHER, WAYS, Properties, measure
from lrbench.embedded.assets import FAMILIES, ROOT
from lrbench.errors import LrbenchError
from lrbench.methods.component import AMATEUR, EXPERT

ITEMS = 80
SEED = 5


def main() -> int:
    """Print the properties; 0 where the world has all it has to have, else 1."""
    parser = argparse.ArgumentParser(prog="python -m experiments.world", description=__doc__)
    parser.add_argument("what", choices=["properties"])
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="folder of the models' folders")
    for role in (EXPERT, AMATEUR, TEACHER):
        parser.add_argument(f"--{role}", default=role, help="name of its folder")
    parser.add_argument("--items", type=int, default=ITEMS, help="development problems of each family")
    parser.add_argument("--seed", type=int, default=SEED, help="of the problems")
    parser.add_argument("--to", type=Path, help="file that gets the figures as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        world = World(given.models, {role: getattr(given, role) for role in (EXPERT, AMATEUR, TEACHER)})
        properties = measure(world, Asked(FAMILIES, given.items, given.seed))
    except LrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print_table(properties)
    if given.to is not None:
        given.to.write_text(json.dumps(asdict(properties), indent=2) + "\n")
    return 0 if all(holds for _, _, holds in properties.verdicts()) else 1


def print_table(properties: Properties) -> None:
    """Markdown: the ways to answer, where steps are kept, and the rule."""
    print(
        f"| {properties.each} problems a family | {' | '.join(FAMILIES)} | long | closes | seven | closes |"
    )
    print(f"| --- |{' ---: |' * (len(FAMILIES) + 4)}")
    for way in WAYS:
        cells = [f"{100 * properties.solved[way][family]:.1f}" for family in FAMILIES]
        for families in (LONG, FAMILIES):
            cells += [
                f"{100 * properties.accuracy(way, families):.1f}",
                f"{properties.closes(way, families):.0%}",
            ]
        print(f"| {way} | {' | '.join(cells)} |")
    print()
    for name, value in asdict(properties.kept).items():
        print(f"{name.replace('_', ' ')}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    print()
    for words, value, holds in properties.verdicts():
        print(f"{'yes' if holds else 'NO '}  {value:6.3f}  {words}")


if __name__ == "__main__":
    sys.exit(main())
