"""What a bundle holds, and putting one together from a runs folder.

index.json                            names and hashes of all the rest, sealed with its own checksum
ledger/{recipes,arms,scores}.jsonl     the lines concerned, as they stand in the ledger
stages/STAGE/KEY/manifest.json        of every stage behind the arms: identity, inputs, files, statistics
stages/STAGE/KEY/provenance.json      when and where that work was done
stages/train/KEY/curves.json          what training measured, update by update
stages/evaluate/KEY/part-00000.jsonl  every graded completion with its problem and gold answer
study.json                            what a study declares, where one was bundled
tables/board.md, study.tex, ...       the tables that these records give
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from lrbench.errors import RunError, StoreError, UserError
from lrbench.recipe.messages import did_you_mean
from lrbench.recipe.study import LoadedEdition
from lrbench.results.board import build_boards
from lrbench.results.bundle.archive import Entry, write_archive
from lrbench.results.bundle.studies import STUDY, study_as_json, study_tables
from lrbench.results.declarations import declared_with, latest_of_each, left_out, standing
from lrbench.results.ledger import ARMS, LARGEST, RECIPES, SCORES, Ledger, LedgerContents
from lrbench.results.records import ArmRecord, RecipeRecord, ScoreRecord
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.text import plain
from lrbench.store.artifact import MANIFEST, PROVENANCE, Artifact, DamageError, describe_file
from lrbench.store.canonical import seal, stable_hash
from lrbench.store.files import read_regular, storage_errors, sync_directory
from lrbench.store.outside import announced, place_beside
from lrbench.store.store import Store

FORMAT = 1
# Has to rise whenever equal records are drawn as other tables: `verify` then holds what was counted against
# the records, and says so, instead of "forged". 2: other tests and their words.
TABLES_VERSION = 10
INDEX = "index.json"
LEDGER = "ledger"
STAGES = "stages"
TABLES = "tables"
EVALUATE = "evaluate"
TRAIN = "train"
CURVES = "curves.json"
INDENT = 1
# What decides how a table is rendered.
PACKAGES = ("lrbench", "numpy", "scipy")
SHOWN = 20


@dataclass(frozen=True)
class Bundled:
    """What a bundle was made of."""

    path: Path
    arms: int
    scores: int
    stages: int
    size: int
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = (
            f"{self.path}: {self.arms} arms, {self.scores} scores and the {self.stages} stages behind them, "
            f"{self.size:,} bytes. `lrbench verify {self.path}` checks it anywhere."
        )
        return text + left_out_text(self.left_out)


def left_out_text(lines: Sequence[str]) -> str:
    """What a bundle does not hold of its recipes, for people; empty where that is nothing."""
    return "".join(f"\n  {line}" for line in ("Not in it, of the same recipes:", *lines)) if lines else ""


def declarations_of(
    names: Sequence[str], overrides: Sequence[str], contents: LedgerContents
) -> list[RecipeRecord]:
    """What these recipes' names stand for, or the one name with these overrides.

    Raises `UserError` for a recipe, or a declaration, that the ledger does not know.
    """
    recipes = standing(contents.recipes)
    undeclared = {arm.recipe for arm in contents.arms} - recipes.keys()
    for name in names:
        if name in undeclared:
            raise UserError(
                f"the results of {plain(name)} are from an lrbench that did not record which arms its recipe "
                "means; run the recipe again, which makes nothing anew, and then bundle"
            )
        if name not in recipes:
            raise unknown_recipe(name, [*recipes, *sorted(undeclared)])
    if not overrides:
        return [recipes[name] for name in dict.fromkeys(names)]
    if len(names) != 1:
        raise UserError(f"overrides belong to one recipe; found {len(names)}: {', '.join(map(plain, names))}")
    found = declared_with(overrides, names[0], contents.recipes)
    if found is None:
        runs = latest_of_each(contents.recipes, names[0])
        listed = "".join(f"\n  {plain(record.command) or 'from Python'}" for record in runs)
        raise UserError(
            f"{plain(names[0])} was never run with the overrides {plain(' '.join(overrides))}; "
            f"it was run as{listed}"
        )
    return [found]


def unknown_recipe(name: str, known: Sequence[str]) -> UserError:
    """The error for a recipe that has no results, where those called `known` have."""
    there = ", ".join(map(plain, known)) or "none; `lrbench run RECIPE` makes some"
    return UserError(
        f"there are no results of a recipe named {plain(name)!r}{did_you_mean(name, known)}\n"
        f"There are results of: {there}"
    )


def write_bundle(names: Sequence[str], runs: Path, to: Path, overrides: Sequence[str] = ()) -> Bundled:
    """Write a bundle of all arms that the recipes called `names` mean to the new file `to`.

    A name stands for the latest declaration without overrides, or for the one with these.

    Raises `UserError` when `to` is there already, and `RunError`, which lists what is missing or damaged
    and leaves no file, when not everything behind the results can be had.
    """
    contents = Ledger(runs / "ledger").read()
    declared = declarations_of(names, overrides, contents)
    arm_ids = {arm_id for record in declared for arm_id in record.arm_ids}
    imported = sorted({arm.recipe for arm in contents.arms if arm.arm_id in arm_ids and arm.imported})
    if imported:
        raise UserError(
            f"{', '.join(map(plain, imported))}: imported from result files, and a bundle holds what was "
            "measured here; hand on the files themselves"
        )
    unmade = sorted(arm_ids - {arm.arm_id for arm in contents.arms})
    missing = [f"the arm {arm_id} is not made yet" for arm_id in unmade]
    missing += _without_second(declared, contents)
    return _pack(_part(contents, declared, arm_ids), None, missing, runs, to, contents)


def write_study_bundle(edition: LoadedEdition, runs: Path, to: Path) -> Bundled:
    """Write a bundle of everything behind one edition of a study, its tables included; as `write_bundle`."""
    from lrbench.results.studies.gathering import gather, missing_of

    contents = Ledger(runs / "ledger").read()
    lines = gather(edition, contents).lines
    arm_ids = [record.arm_id for line in lines for record in line.records]
    missing = [plain(f"{lack.what}: `{lack.command}`") for lack in missing_of(lines, runs)]
    names = {source.recipe.name for source in edition.recipes}
    declared = [record for record in contents.recipes if record.recipe in names]
    return _pack(_part(contents, declared, arm_ids), edition, missing, runs, to, contents)


def bundle_by_name(names: Sequence[str], edition: str, studies: Path, runs: Path, to: Path) -> Bundled:
    """Bundle the study in the folder `studies`, or that ships, that is called so, or recipes by their names.

    Among the names may be overrides, `KEY=VALUE`, of one recipe.
    """
    from lrbench.recipe.study import known_studies, load_study

    overrides = [name for name in names if "=" in name]
    names = [name for name in names if "=" not in name]
    if len(names) == 1 and not overrides and (study := known_studies(studies).get(names[0])):
        loaded = load_study(study, (edition,))[edition]
        return write_study_bundle(loaded, runs, to)
    return write_bundle(names, runs, to, overrides)


def _part(
    contents: LedgerContents, declared: Sequence[RecipeRecord], arm_ids: Collection[str]
) -> LedgerContents:
    """What the ledger says of these declarations and arms."""
    return LedgerContents(
        recipes=tuple(declared),
        arms=tuple(arm for arm in contents.arms if arm.arm_id in arm_ids),
        scores=tuple(score for score in contents.scores if score.arm_id in arm_ids),
        broken=(),
    )


def _pack(
    contents: LedgerContents,
    study: LoadedEdition | None,
    missing: Sequence[str],
    runs: Path,
    to: Path,
    whole: LedgerContents,
) -> Bundled:
    """Write what is behind `contents`, a part of the `whole` ledger, unless something is missing."""
    with storage_errors(to):
        if to.exists() or to.is_symlink():
            raise UserError(f"{to} is there already and is not overwritten; name a new file")
    artifacts, absent = _stages_behind(contents.arms, contents.scores, Store(runs / "store"))
    missing = [*missing, *_unscored(contents.arms, contents.scores), *absent]
    names = list(dict.fromkeys(record.recipe for record in contents.recipes))
    if missing or not contents.arms:
        more = f"\n  and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise RunError(
            "the bundle was not written, since not everything behind the results is there:\n  "
            + "\n  ".join(missing[:SHOWN])
            + f"{more}\n`lrbench run` makes what is missing; the recipes are {', '.join(names)}."
        )
    arm_ids = {arm.arm_id for arm in contents.arms}
    declared = [] if study is None else [Entry.of(STUDY, study_as_json(study))]
    entries = sorted(
        [
            *_ledger_lines(runs / "ledger", contents),
            *(entry for artifact in artifacts for entry in _stage_files(artifact)),
            *declared,
            *(Entry.of(name, data) for name, data in rendered_tables(contents, study).items()),
        ],
        key=lambda entry: entry.name,
    )
    missed = left_out(names, arm_ids, whole)
    _publish(to, [_index(names, missed, entries), *entries], runs)
    counts = len(contents.arms), len(contents.scores), len(artifacts)
    return Bundled(to, *counts, to.stat().st_size, tuple(missed))


def rendered_tables(contents: LedgerContents, study: LoadedEdition | None) -> dict[str, bytes]:
    """The tables that these records give, by their names in a bundle."""
    boards = build_boards(contents.arms, contents.scores, contents.recipes)
    tables = {
        f"{TABLES}/board.csv": boards_to_csv(boards).encode(),
        f"{TABLES}/board.md": boards_to_markdown(boards).encode(),
    }
    return tables if study is None else tables | study_tables(study, contents)


def versions() -> dict[str, str]:
    """What decides, on this machine, how a table is rendered and a completion graded."""
    return {"python": python_version()} | {package: version(package) for package in PACKAGES}


def _unscored(arms: Sequence[ArmRecord], scores: Sequence[ScoreRecord]) -> Iterator[str]:
    """Arms without any score, and scores that were measured together with others that are not there."""
    known = {(score.arm_id, score.protocol_hash) for score in scores}
    for arm in arms:
        if all(score.arm_id != arm.arm_id for score in scores):
            yield f"{arm.recipe}/{arm.arm} ({arm.arm_id}) has no scores in the ledger"
    absent = {
        (score.recipe, score.arm, score.arm_id, benchmark): None
        for score in scores
        for benchmark, protocol in score.suite_protocol.items()
        if (score.arm_id, protocol) not in known
    }
    for recipe, arm_name, arm_id, benchmark in absent:
        yield plain(f"{recipe}/{arm_name} ({arm_id}) has no score on {benchmark} in the ledger")


def _without_second(declared: Sequence[RecipeRecord], contents: LedgerContents) -> Iterator[str]:
    """Arms without any score on the second suite that their recipe measures beside the first."""
    there = {(score.arm_id, stable_hash(score.suite_protocol)) for score in contents.scores}
    for record in declared:
        for first, second in record.forgetting.items():
            for arm_id in record.arm_ids:
                if (arm_id, first) in there and (arm_id, second) not in there:
                    yield plain(f"{record.recipe}: the arm {arm_id} has no score on its second suite")


def _stages_behind(
    arms: Sequence[ArmRecord], scores: Sequence[ScoreRecord], store: Store
) -> tuple[list[Artifact], list[str]]:
    """The verified artifacts of all stages behind the records, inputs of inputs included, and what lacks."""
    pending = [(EVALUATE, score.evaluation_key) for score in scores]
    pending += [address for arm in arms for address in arm.addresses.values()]
    found: dict[str, Artifact] = {}
    missing: dict[str, str] = {}
    while pending:
        stage, key = pending.pop()
        if key in found or key in missing:
            continue
        try:
            artifact = store.look(stage, key)
        except (DamageError, StoreError, ValueError) as error:
            missing[key] = plain(f"{stage}/{key} is damaged: {error}")
            continue
        if artifact is None:
            missing[key] = plain(f"{stage}/{key} is not in the store")
            continue
        found[key] = artifact
        pending += [(_stage_of(store, needed), needed) for needed in artifact.inputs.values()]
    return list(found.values()), sorted(missing.values())


def _stage_of(store: Store, key: str) -> str:
    """The stage that `key` is an artifact of; some name where there is none."""
    return next((path.parent.name for path in store.root.glob(f"*/{key}")), "unknown")


def _ledger_lines(folder: Path, contents: LedgerContents) -> Iterator[Entry]:
    """The lines of these records, as they stand in the ledger."""
    arm_ids = {(arm.arm_id,) for arm in contents.arms}
    declared = {(record.recipe, record.recipe_hash, record.recorded_at) for record in contents.recipes}
    for name, fields, wanted in (
        (RECIPES, ("recipe", "recipe_hash", "recorded_at"), declared),
        (ARMS, ("arm_id",), arm_ids),
        (SCORES, ("arm_id",), arm_ids),
    ):
        with storage_errors(folder / name):
            lines = read_regular(folder / name, LARGEST).split(b"\n")
        kept = [line for line in lines if _values_in(line, fields) in wanted]
        yield Entry.of(f"{LEDGER}/{name}", b"".join(line + b"\n" for line in kept))


def _values_in(line: bytes, fields: Sequence[str]) -> tuple[str, ...] | None:
    """Fields of the record in a ledger's line; None where the line does not read, as the ledger has it."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        record = json.loads(line)["record"]
        return tuple(str(record[field]) for field in fields)
    return None


def _stage_files(artifact: Artifact) -> Iterator[Entry]:
    folder = f"{STAGES}/{artifact.stage}/{artifact.key}"
    for name in (MANIFEST, PROVENANCE):
        record = describe_file(artifact.directory / name, f"{folder}/{name}")
        yield Entry(record.name, record.size, record.sha256, artifact.directory / name)
    for record in artifact.files:
        if is_bundled(artifact.stage, record.name):
            path = artifact.file(record.name)
            yield Entry(f"{folder}/{record.name}", record.size, record.sha256, path)


def is_bundled(stage: str, name: str) -> bool:
    """Whether a stage's file of this name is in a bundle by its content, not by its hash alone."""
    return stage == EVALUATE or (stage, name) == (TRAIN, CURVES)


def _index(recipes: Sequence[str], missed: Sequence[str], entries: Sequence[Entry]) -> Entry:
    index = {
        "format": FORMAT,
        "recipes": list(dict.fromkeys(recipes)),
        "left_out": list(missed),
        "tables_version": TABLES_VERSION,
        "made_with": versions(),
        "files": [{"name": entry.name, "size": entry.size, "sha256": entry.sha256} for entry in entries],
    }
    return Entry.of(INDEX, seal(index, INDENT).encode())


def _publish(to: Path, entries: Sequence[Entry], runs: Path) -> None:
    """Write beside, flush, and rename: `to` holds all of the bundle or is not there."""
    beside = place_beside(to)
    with storage_errors(to), announced(runs, beside):
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                write_archive(file, entries)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(to)
            sync_directory(to.absolute().parent)
        finally:
            beside.unlink(missing_ok=True)
