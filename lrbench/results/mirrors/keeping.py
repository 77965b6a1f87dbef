"""Mirroring the ledger to any tracker of experiments: what one has to be able to do, and the walk over it.

What a run is, its names, settings, numbers, curves, times and links, is made for all trackers at one place,
`lrbench.results.mlflow.run_content`. A tracker keeps such runs and says which it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lrbench.errors import RunError, UserError
from lrbench.recipe.secrets import without_secrets
from lrbench.results.ledger import Ledger
from lrbench.results.mlflow.run_content import ArmRun, RecipeRun, recipe_runs


class Keeper(Protocol):
    """A tracker, where it keeps runs. Its methods may raise whatever it raises itself."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def place(self) -> str:
        """Where its runs are; holds no password."""

    def held(self) -> Mapping[str, str]:
        """The digest of every run that is there as a whole, by the run's key."""

    def keep(self, run: ArmRun | RecipeRun, recipe: str) -> None:
        """Have this run of a recipe there, in the place of the one with its key where there is one."""


@dataclass(frozen=True)
class Kept:
    """What a mirroring did, in numbers of arm runs; `name` and `place` are the tracker's."""

    name: str
    place: str
    added: int
    renewed: int
    unchanged: int

    @property
    def sentence(self) -> str:
        """The report for people."""
        counts = {"added": self.added, "made anew": self.renewed, "already there": self.unchanged}
        total = sum(counts.values())
        if not total:
            return "Nothing to mirror: the ledger holds no measured arm."
        done = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return f"{self.name} in {self.place} holds {total} {'arm' if total == 1 else 'arms'}: {done}."


def mirror_to(keeper: Keeper, runs: Path, recipes: Collection[str] = ()) -> Kept:
    """Bring the tracker up to date with the ledger of the `runs` folder, or with these recipes alone.

    Doing it again adds nothing. The ledger is read and never written.

    Raises:
        LedgerError: the ledger cannot be read.
        RunError: the tracker cannot be read or written; the message says why.
        UserError: the ledger has no measured arm of a recipe that was named.
    """
    found = recipe_runs(Ledger(runs / "ledger").read(), recipes or None)
    names = [run.tags["lrbench.recipe"] for run in found]
    if unknown := [name for name in recipes if name not in names]:
        raise UserError(
            f"no result of {', '.join(unknown)} in {runs}: recipes are named as `lrbench results` shows them"
        )
    outcomes: Counter[str] = Counter()
    try:
        held = keeper.held() if found else {}
        for recipe, name in zip(found, names, strict=True):
            outcomes.update(_bring_up_to_date(keeper, child, name, held) for child in recipe.children)
            _bring_up_to_date(keeper, recipe, name, held)
    except Exception as error:
        said = without_secrets((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
        raise RunError(
            f"{keeper.name} in {keeper.place} could not be brought up to date: {said}. Every result is safe "
            "in the ledger; mend the cause and mirror again"
        ) from error
    return Kept(keeper.name, keeper.place, outcomes["added"], outcomes["renewed"], outcomes["unchanged"])


def _bring_up_to_date(keeper: Keeper, run: ArmRun | RecipeRun, recipe: str, held: Mapping[str, str]) -> str:
    if held.get(run.key) == run.digest:
        return "unchanged"
    keeper.keep(run, recipe)
    return "renewed" if run.key in held else "added"
