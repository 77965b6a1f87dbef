"""Odd names for what a user names: recipes, runs folders, problem files, models, and what is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.faults.campaign import Kind, Outcome, spread
from experiments.faults.hostile import EXPERT
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Ended, command
from experiments.faults.subject import ARM, NAME, RECIPE, contents_of, copy_runs, undisturbed, write_subject

NAMES = (
    "with space",
    " leading space",
    "trailing space ",
    "cafe\u0301",
    "caf\u00e9",
    "\u65e5\u672c\u8a9e",
    "a#b",
    "a?b",
    "a%20b",
    "100%",
    "a&b",
    "it's",
    'say "x"',
    "back\\slash",
    "two\nlines",
    "-leading-dash",
    "--runs",
    "~",
    "$HOME",
    "`x`",
    "*",
    "[a]",
    "{a}",
    "a;b",
    "a|b",
    "a:b",
    "a=b",
    "a@b",
    "\x1b[31mred",
    "\u202egnp",
    "n" * 250,
    "\u00e9" * 120,
    ".hidden",
    "...",
    "file:x",
    "http:",
    "sqlite",
    "@",
    "!",
)


class Names(Kind):
    """Every odd name for everything that has one."""

    name = "names"

    def __init__(self) -> None:
        self.place = Path()

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[str, str]]:
        """(what is called so, the name)."""
        return spread([(what, name) for what in NAMED for name in NAMES], tries, seed)

    def prepare(self, place: Path) -> None:
        """An undisturbed run."""
        self.place = place
        undisturbed(place)

    def attempt(self, case: tuple[str, str], folder: Path) -> Outcome:
        """Use what is called so as a user does."""
        what, name = case
        finding = NAMED[what](self.place / "runs", name, folder)
        return Outcome(what, finding and f"{name!r}: {finding}")


def _shown(ended: Ended, codes: tuple[int, ...] = (0,)) -> str:
    return misbehaved(ended, codes=codes)


def _named_recipe(_runs: Path, name: str, folder: Path) -> str:
    """A recipe file called so is checked and planned, and another with a mistake is told by its name."""
    path = folder / f"{name[:240]}.yaml"
    path.write_text(RECIPE)
    given = f"./{path.name}"
    found = _shown(command(["check", given], folder)) or _shown(command(["plan", given], folder))
    path.write_text(RECIPE.replace("updates", "updtes"))
    return found or _shown(command(["check", given], folder), codes=(2,))


def _named_runs(runs: Path, name: str, folder: Path) -> str:
    """A runs folder called so holds everything, its mirror too, and nothing is written beside it."""
    write_subject(folder)
    copy_runs(runs, folder / name)
    before = sorted(os.listdir(folder))  # noqa: PTH208
    mirrored = ("rebuild",) if sum(map(ord, name)) % 4 == 0 else ("results",)
    for words in (mirrored, ("run", NAME), ("doctor",)):
        found = _shown(command([*words, f"--runs={folder / name}"], folder))
        if found:
            return f"{words[0]}: {found}"
    beside = sorted(set(os.listdir(folder)) - set(before))  # noqa: PTH208
    if beside:
        return f"wrote {beside} beside the runs folder"
    return contents_of(folder / name).difference(contents_of(runs))


def _named_data(_runs: Path, name: str, folder: Path) -> str:
    """A problem file called so is read."""
    path = folder / f"{name[:240]}.jsonl"
    path.write_text(
        "".join(f'{{"id": "{n}", "problem": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(80))
    )
    quoted = _quoted(path)
    recipe = RECIPE.replace("embedded/one_step", quoted).replace(
        "[base, sft, lightr, ground_truth]", "[base, lightr]"
    )
    (folder / NAME).write_text(
        recipe.replace("  - lightr > sft on average", "  - lightr > base on average").replace(
            "held_out: 2", "held_out: 0"
        )
    )
    return _shown(command(["check", NAME], folder)) or _shown(command(["plan", NAME], folder))


def _named_model(_runs: Path, name: str, folder: Path) -> str:
    """A model folder called so is found."""
    shutil.copytree(EXPERT, folder / name)
    quoted = _quoted(folder / name)
    (folder / NAME).write_text(RECIPE.replace("model: embedded/expert", f"model: {quoted}"))
    return _shown(command(["check", NAME], folder)) or _shown(command(["plan", NAME], folder))


def _named_output(runs: Path, name: str, folder: Path) -> str:
    """A bundle and an export called so appear, and the bundle is verified."""
    copy_runs(runs, folder / "runs")
    for words, target in (
        (["bundle", "tiny", f"--to=./{name}"], folder / name),
        (["verify", f"./{name}"], folder / name),
        (["export", ARM, f"--to={folder / 'exported' / name}"], folder / "exported" / name),
    ):
        ended = command(words, folder)
        # The name of what is written beside takes some of the 255 bytes.
        if len(os.fsencode(name)) > 220 and ended.code in (1, 2):
            return misbehaved(ended)
        found = _shown(ended)
        if found or not target.exists():
            return f"{words[0]}: {found or 'nothing is there'}"
    return ""


def _quoted(path: Path) -> str:
    """The path as YAML writes it, which reads JSON's texts."""
    return json.dumps(str(path))


NAMED: dict[str, Callable[[Path, str, Path], str]] = {
    "recipe": _named_recipe,
    "runs": _named_runs,
    "data": _named_data,
    "model": _named_model,
    "output": _named_output,
}
