"""What a runs folder holds for whom, and clearing what nothing needs any more.

An artifact is needed by the records of the ledger that were made with it, by what these were made from, and
by recipes that were begun and have not made all their arms. Nothing is cleared while a process is at work.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import LrbenchError, StoreError, UserError
from lrbench.pipeline.sharing import at_work
from lrbench.pipeline.watching import forget as forget_runs
from lrbench.recipe.recorded import recorded_recipe
from lrbench.results.bundle.contents import unknown_recipe
from lrbench.results.declarations import standing
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.provenance import stages_behind
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.results.text import plain
from lrbench.store.store import Store

Address = tuple[str, str]


@dataclass(frozen=True)
class Holding:
    """What a recipe's name stands for in a runs folder.

    `begun` is how many of its arms are not measured yet. `size` is in bytes, all artifacts behind it counted,
    and `alone` those of which no other recipe needs any.
    """

    recipe: str
    arms: int
    begun: int
    recorded_at: str
    size: int
    alone: int


@dataclass(frozen=True)
class Unneeded:
    """Artifacts, finished or begun, that nothing needs, with their sizes in bytes."""

    sizes: Mapping[Address, int]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(self.sizes.values())


@dataclass(frozen=True)
class Removal:
    """Records that go with recipes: all that no other recipe means."""

    recipes: tuple[RecipeRecord, ...]
    arms: tuple[ArmRecord, ...]
    scores: tuple[ScoreRecord, ...]


def holdings(runs: Path) -> list[Holding]:
    """Of every recipe that has records, those recorded last first."""
    contents, store = _read(runs)
    inputs = _inputs(store)
    needed = {name: _behind(_of(arms, contents), inputs) for name, arms in _arms(contents).items()}
    users = defaultdict[Address, set[str]](set)
    for name, addresses in needed.items():
        for address in addresses:
            users[address].add(name)
    sizes = {address: size_of(store.root / address[0] / address[1]) for address in users}
    declared, measured = standing(contents.recipes), {score.arm_id for score in contents.scores}
    found = []
    for name, arms in _arms(contents).items():
        moments = [arm.recorded_at for arm in arms] + [declared[name].recorded_at] * (name in declared)
        meant = declared[name].arm_ids if name in declared else [arm.arm_id for arm in arms]
        found.append(
            Holding(
                name,
                arms=len(meant),
                begun=sum(arm_id not in measured for arm_id in meant),
                recorded_at=max(moments),
                size=sum(sizes[address] for address in needed[name]),
                alone=sum(sizes[address] for address in needed[name] if users[address] == {name}),
            )
        )
    return sorted(found, key=lambda holding: holding.recorded_at, reverse=True)


def unneeded(runs: Path) -> Unneeded:
    """All that nothing needs.

    Raises `UserError` where that cannot be told: a process is at work, lines of the ledger do not read, or a
    recipe that was begun cannot be planned any more.
    """
    contents, store = _read(runs)
    _check_idle(runs)
    if contents.broken:
        raise UserError(
            f"{len(contents.broken)} lines of the ledger cannot be read, so what they need is not known; "
            f"`lrbench doctor --repair --runs {shlex.quote(str(runs))}` puts them aside"
        )
    inputs = _inputs(store)
    needed = _behind(_of(contents.arms, contents), inputs) | _of_begun(contents, runs)
    there = [*inputs, *((draft.stage, draft.key) for draft in store.drafts())]
    return Unneeded(
        {address: _size(store, address) for address in dict.fromkeys(there) if address not in needed}
    )


def clear(runs: Path, found: Unneeded) -> tuple[int, int]:
    """Delete them; how many, and their bytes. What a process has begun to work on meanwhile stays."""
    store = Store(runs / "store")
    gone = [address for address in found.sizes if store.remove(*address)]
    return len(gone), sum(found.sizes[address] for address in gone)


def removal_of(names: Collection[str], runs: Path) -> Removal:
    """What goes with the recipes called `names`. Raises `UserError` for a name that has no records."""
    contents, _ = _read(runs)
    known = _arms(contents)
    for name in names:
        if name not in known:
            raise unknown_recipe(name, list(known))
    meant = {arm_id for record in contents.recipes if record.recipe not in names for arm_id in record.arm_ids}
    arms = [arm for arm in contents.arms if arm.recipe in names and arm.arm_id not in meant]
    gone = {arm.arm_id for arm in arms}
    return Removal(
        tuple(record for record in contents.recipes if record.recipe in names),
        tuple(arms),
        tuple(score for score in contents.scores if score.arm_id in gone),
    )


def remove(runs: Path, removal: Removal) -> None:
    """Move the records out of the ledger, and delete their runs in MLflow and what was watched of them.

    Artifacts stay until cleared.

    Raises `UserError` while a process is at work, or where MLflow has a store and is not installed,
    `LedgerError` and `RunError` where it cannot be written.
    """
    from lrbench.results.mlflow.mirror import forget
    from lrbench.results.mlflow.place import has_store, require_mlflow

    _check_idle(runs)
    if has_store(runs):
        require_mlflow("deleting what MLflow holds of them")
    Ledger(runs / "ledger").remove([*removal.recipes, *removal.arms, *removal.scores])
    recipes = {record.recipe for record in removal.recipes} | {arm.recipe for arm in removal.arms}
    forget(runs, {arm.arm_id for arm in removal.arms}, recipes)
    for recipe in recipes:
        forget_runs(runs, recipe)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _read(runs: Path) -> tuple[LedgerContents, Store]:
    return Ledger(runs / "ledger").read(), Store(runs / "store")


def _check_idle(runs: Path) -> None:
    found = next(iter(at_work(runs)), None)
    if found is not None:
        name, recipe = found
        raise UserError(f"{name} works on {plain(recipe)} in {runs}; wait until it has ended, or end it")


def _arms(contents: LedgerContents) -> dict[str, list[ArmRecord]]:
    """The arms of every recipe by its name: those that it means, and variations of it that were recorded."""
    by_id = {arm.arm_id: arm for arm in contents.arms}
    found: dict[str, dict[str, ArmRecord]] = defaultdict(dict)
    for record in contents.recipes:
        found[record.recipe] |= {arm_id: by_id[arm_id] for arm_id in record.arm_ids if arm_id in by_id}
    for arm in contents.arms:
        found[arm.recipe][arm.arm_id] = arm
    return {name: list(arms.values()) for name, arms in found.items()}


def _of(arms: Iterable[ArmRecord], contents: LedgerContents) -> Iterator[Address]:
    """What the records of these arms were made with."""
    scores = defaultdict[str, list[ScoreRecord]](list)
    for score in contents.scores:
        scores[score.arm_id].append(score)
    for arm in arms:
        yield from stages_behind(arm, scores[arm.arm_id])


def _inputs(store: Store) -> dict[Address, tuple[str, ...]]:
    """The keys of what every finished artifact was made from; none where it cannot be read."""
    found: dict[Address, tuple[str, ...]] = {}
    for address in store.addresses():
        try:
            found[address] = tuple(store.glance(*address).inputs.values())
        except StoreError:
            found[address] = ()
    return found


def _behind(addresses: Iterable[Address], inputs: Mapping[Address, tuple[str, ...]]) -> set[Address]:
    """Those of the addresses that are there, and all that they were made from."""
    places = {key: (stage, key) for stage, key in inputs}
    found, coming = set[Address](), [address for address in addresses if address in inputs]
    while coming:
        address = coming.pop()
        if address not in found:
            found.add(address)
            coming += [places[key] for key in inputs[address] if key in places]
    return found


def _of_begun(contents: LedgerContents, runs: Path) -> set[Address]:
    """All stages of recipes that were declared and have not made all of their arms."""
    from lrbench.pipeline.planning import plan_recipe

    measured = {score.arm_id for score in contents.scores}
    found: set[Address] = set()
    for name, record in standing(contents.recipes).items():
        if measured.issuperset(record.arm_ids):
            continue
        try:
            plan = plan_recipe(recorded_recipe(record.recipe_yaml, name), runs, fetch=False)
        except LrbenchError as error:
            raise UserError(
                f"{plain(name)} was begun and has arms that are not measured, and what these need cannot be "
                f"told: {error}\nFinish it, or remove it with `lrbench rm {shlex.quote(name)}`"
            ) from error
        found |= {(stage.name, stage.key) for phase in plan.phases for stage in phase.stages}
    return found


def _size(store: Store, address: Address) -> int:
    stage, key = address
    return sum(size_of(store.root / stage / name) for name in (key, f"{key}.draft"))
