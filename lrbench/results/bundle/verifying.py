"""Verifying a bundle: every hash, every verdict, every key and every table derived again from what it holds.

Nothing but the bundle is needed, and nothing in it is trusted. What cannot be shown this way: that the
completions are what the models wrote. That takes running the models again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from lrbench.errors import UserError
from lrbench.methods.plugins import lacking as lacking_packages
from lrbench.recipe.study import LoadedEdition
from lrbench.results.answers import Answers
from lrbench.results.bundle.archive import BundleDamageError, is_sealed, read_archive
from lrbench.results.bundle.arms import check_arm
from lrbench.results.bundle.consistency import (
    check_complete,
    check_manifest,
    check_meant,
    check_recipe,
    check_score,
)
from lrbench.results.bundle.contents import (
    CURVES,
    EVALUATE,
    FORMAT,
    INDENT,
    INDEX,
    LEDGER,
    STAGES,
    TABLES,
    TABLES_VERSION,
    TRAIN,
    is_bundled,
    left_out_text,
    rendered_tables,
    versions,
)
from lrbench.results.bundle.declared import Recipes
from lrbench.results.bundle.findings import Findings
from lrbench.results.bundle.regrading import BenchmarkData, Regraded
from lrbench.results.bundle.studies import STUDY, lacking, study_from_json
from lrbench.results.ledger import ARMS, RECIPES, SCORES, Ledger, LedgerContents
from lrbench.results.records import ArmRecord, ScoreRecord
from lrbench.results.text import plain
from lrbench.store.artifact import INDENT as MANIFEST_INDENT
from lrbench.store.artifact import MANIFEST, PROVENANCE
from lrbench.store.canonical import unseal
from lrbench.store.files import storage_errors

# What a table counts and does not estimate, in whatever version it was written.
COUNTED = ("arm_id", "arm", "seed", "benchmark", "n", "correct", "correct_exact", "accuracy")

LEDGER_FILES = tuple(f"{LEDGER}/{name}" for name in (RECIPES, ARMS, SCORES))
LINES = TypeAdapter(list[str], config=ConfigDict(strict=True))
NOTHING = LedgerContents(arms=(), scores=(), broken=())


@dataclass(frozen=True)
class Verification:
    """What a verification came to; `findings` are its disagreements, a line each, and empty if all is well.

    Where bytes are damaged, those are all of them, and `caused` counts what else was found.
    `compared` are the benchmarks whose gold answers were held against the data set, `absent` those whose
    data set is not on this machine. `left_out` is what the bundle itself says that it does not hold.
    `judged_by_tasks` answers are to tasks of lm-eval, whose metrics were not asked again. Where the records
    say what memory models answer in, `tells_memory` does: it follows from configurations that are not there.
    """

    findings: tuple[str, ...]
    arms: int
    scores: int
    completions: int
    stages: int
    tables: int
    compared: tuple[str, ...]
    absent: tuple[str, ...]
    older_tables: bool = False
    left_out: tuple[str, ...] = ()
    judged_by_tasks: int = 0
    caused: int = 0
    tells_memory: bool = False

    def __str__(self) -> str:
        if self.findings:
            count = len(self.findings)
            told = f"NOT verified: {count} disagreement{'s' if count > 1 else ''}."
            if not self.caused:
                return told
            more = f"{self.caused} more {'is' if self.caused == 1 else 'are'}"
            return f"{told} {more} left out, which what is damaged or missing may well be the cause of."
        text = (
            f"Verified: {self.arms} arms, {self.scores} scores, {self.completions:,} completions graded "
            f"again, {self.stages} stage keys, {self.tables} tables, every hash."
        )
        if self.judged_by_tasks:
            text += (
                f"\n{self.judged_by_tasks:,} answers to tasks of lm-eval: right where the recorded "
                "metric of the task says so, which was not computed again."
            )
        if self.compared:
            text += f"\nGold answers are those of the data set: {', '.join(self.compared)}."
        if self.absent:
            text += f"\nGold answers not compared, the data set is not here: {', '.join(self.absent)}."
        if self.older_tables:
            text += "\nThe tables are of an earlier version: their counts were compared, not their tests."
        text += left_out_text(self.left_out)
        text += "\nNot shown by any of this: that the models wrote these completions"
        return f"{text}, and what memory they answer in." if self.tells_memory else f"{text}."


def verify_bundle(path: Path) -> Verification:
    """Check everything in the bundle at `path` that can be checked without running a model.

    Raises `UserError` when there is no such file, `StoreError` when the system refuses to read it.
    """
    if not path.is_file():
        what = "there is no such file"
        if path.exists():
            what = "this is a folder" if path.is_dir() else "this is a device or a pipe, no file"
        raise UserError(f"{path}: {what}; name a bundle that `lrbench bundle` wrote")
    bundle = _Bundle()
    with storage_errors(path):
        if not is_sealed(path):
            bundle.damage.add(path.name, "its seal is broken: bytes were changed, cut off or added")
        try:
            for name, data in read_archive(path):
                bundle.take(name, data)
        except BundleDamageError as error:
            bundle.damage.add(path.name, f"{error}. What follows was not read")
            bundle.is_whole = False
        bundle.finish()
    return bundle.verification()


@dataclass
class _Bundle:
    """What was read so far. Items are graded as they come, so that memory does not grow with them.

    `damage` are findings about bytes, and packages that are not as they were, which come first: where there
    are any, what the content is found to say may follow from them, and is counted alone. `is_whole` is
    whether the archive could be read to its end.
    """

    damage: Findings = field(default_factory=Findings)
    is_whole: bool = True
    findings: Findings = field(default_factory=Findings)
    data: BenchmarkData = field(default_factory=BenchmarkData)
    index: dict[str, Any] | None = None
    older_tables: bool = False
    expected: dict[str, tuple[int, str]] = field(default_factory=dict)
    last: str = ""
    seen: dict[str, tuple[int, str]] = field(default_factory=dict)
    ledger: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    provenances: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: dict[str, Regraded] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    patterns: defaultdict[str, set[str]] | None = None
    recipes: Recipes = field(default_factory=Recipes)
    contents: LedgerContents = NOTHING
    study: LoadedEdition | None = None

    def take(self, name: str, data: bytes) -> None:
        """Read one file, in the order of the archive."""
        if self.index is None:
            self._open_index(name, data)
            return
        if name <= self.last:
            self.findings.add(name, "is out of order, or there twice")
        self.last = name
        self.seen[name] = len(data), hashlib.sha256(data).hexdigest()
        if name not in self.expected:
            self.findings.add(name, f"is not in {INDEX}")
        elif self.expected[name] != self.seen[name]:
            self.damage.add(name, f"is not the file whose hash is in {INDEX}")
        with self.damage.reading(name):
            folder, *rest = name.split("/")
            if name in LEDGER_FILES:
                self.ledger[rest[0]] = data
            elif name == STUDY:
                self.study = study_from_json(data)
            elif folder == TABLES:
                self.tables[name] = data
            elif folder == STAGES and len(rest) >= 3:
                self._take_of_stage(name, rest[0], rest[1], "/".join(rest[2:]), data)
            else:
                self.findings.add(name, "is no file of a bundle")

    def finish(self) -> None:
        """Hold everything that was read against each other."""
        if self.index is None:
            self.damage.add(INDEX, "cannot be read, so nothing else was")
            return
        absent = sorted(self.expected.keys() - self.seen.keys())
        if absent and not self.is_whole:
            self.damage.add(INDEX, f"{len(absent)} of its {len(self.expected)} files were not read")
        for name in absent if self.is_whole else ():
            self.damage.add(name, f"is in {INDEX} and not in the archive")
        with self.findings.reading(STAGES):
            for key, manifest in self.manifests.items():
                self._check_stage(key, manifest)
        self._read_ledger()
        said = [(f"arm {arm.arm}", arm.settings) for arm in self.contents.arms]
        said += [(f"scores on {score.benchmark}", score.protocol) for score in self.contents.scores]
        packages = {lack: name for name, recorded in said for lack in lacking_packages(recorded)}
        for lack, name in packages.items():
            self.damage.add(name, lack)
        arms = {arm.arm_id: arm for arm in self.contents.arms}
        declared = {record.recipe: record.arm_ids for record in self.contents.recipes}
        self.findings.compare(INDEX, "the recipes", sorted(self.index.get("recipes", [])), sorted(declared))
        meant = {arm_id for arm_ids in declared.values() for arm_id in arm_ids}
        if self.study is None:
            self.findings.compare(LEDGER, "the arms that the recipes mean", sorted(meant), sorted(arms))
        self._check_recipes(arms)
        for arm in self.contents.arms:
            with self.findings.reading(f"arm {arm.arm_id}"):
                check_arm(
                    arm,
                    self.manifests,
                    self.provenances,
                    self.curves,
                    self.recipes,
                    self.contents.arms,
                    self.findings,
                )
        for score in self.contents.scores:
            with self.findings.reading(f"score of {score.arm_id} on {score.benchmark}"):
                check_score(score, arms, self.manifests, self.provenances, self.measured, self.findings)
        check_complete(self.contents.scores, self.findings)
        with self.findings.reading(TABLES):
            self._check_tables()

    def verification(self) -> Verification:
        """The outcome."""
        return Verification(
            findings=tuple(self.damage or self.findings),
            caused=len(self.findings) if self.damage else 0,
            arms=len(self.contents.arms),
            scores=len(self.contents.scores),
            completions=sum(items.completions for items in self.measured.values() if not items.is_of_tasks),
            judged_by_tasks=sum(items.completions for items in self.measured.values() if items.is_of_tasks),
            stages=len(self.manifests),
            tables=len(self.tables),
            compared=tuple(sorted(self.data.compared)),
            absent=tuple(sorted(self.data.absent)),
            older_tables=self.older_tables,
            tells_memory=any(arm.memory is not None for arm in self.contents.arms),
            left_out=tuple(plain(line) for line in (self.index or {}).get("left_out", ())),
        )

    def _open_index(self, name: str, data: bytes) -> None:
        self.index = {}
        if name != INDEX:
            raise BundleDamageError(f"{name}: the first file of a bundle is {INDEX}")
        with self.damage.reading(INDEX):
            index = unseal(data, INDENT)
            self.findings.compare(INDEX, "the format", index["format"], FORMAT)
            self.expected = {file["name"]: (file["size"], file["sha256"]) for file in index["files"]}
            index["left_out"] = LINES.validate_python(index.get("left_out", []))
            self.index = index

    def _take_of_stage(self, name: str, stage: str, key: str, file: str, data: bytes) -> None:
        if file == MANIFEST:
            manifest = unseal(data, MANIFEST_INDENT)
            check_manifest(name, stage, key, manifest, self.findings)
            self.manifests[key] = manifest
            if stage == EVALUATE:
                identity = manifest["identity"]
                self.measured[key] = Regraded(
                    identity["protocol"], identity["items"], answers=Answers(patterns=self._patterns(key))
                )
        elif file == PROVENANCE:
            self.provenances[key] = json.loads(data)
        elif key in self.measured:
            self.measured[key].take(name, data, self.findings)
        elif (stage, file) == (TRAIN, CURVES):
            self.curves[key] = json.loads(data)
        else:
            self.findings.add(name, "belongs to no evaluation of the bundle")

    def _patterns(self, key: str) -> tuple[str, ...]:
        """The patterns by which records read this evaluation; the ledger comes before the stages."""
        if self.patterns is None:
            found = self.patterns = defaultdict(set)
            for line in self.ledger.get(SCORES, b"").split(b"\n"):
                # What cannot be read is told when the records are.
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    record = ScoreRecord.model_validate(json.loads(line)["record"])
                    if record.confidence is not None:
                        found[record.evaluation_key].add(record.confidence)
        return tuple(sorted(self.patterns[key]))

    def _check_stage(self, key: str, manifest: dict[str, Any]) -> None:
        """Whether the files of a stage are those of its manifest, and its inputs are there."""
        folder = f"{STAGES}/{manifest['stage']}/{key}"
        files = [record for record in manifest["files"] if is_bundled(manifest["stage"], record["name"])]
        records = [manifest["provenance"], *files]
        listed = {f"{folder}/{record['name']}": (record["size"], record["sha256"]) for record in records}
        there = {
            name for name in self.seen if name.startswith(f"{folder}/") and name != f"{folder}/{MANIFEST}"
        }
        for name in sorted(listed.keys() | there):
            if listed.get(name) != self.seen.get(name):
                self.findings.add(name, "is not the file whose hash is in its manifest")
        for role, needed in manifest["inputs"].items():
            if needed not in self.manifests:
                self.findings.add(folder, f"its input {role} ({needed[:16]}) is not in the bundle")
        if key in self.measured:
            items = self.measured[key]
            for name, value in items.statistics.items():
                self.findings.compare(folder, f"the statistic {name}", manifest["statistics"][name], value)
            items.check_data(folder, self.data, self.findings)

    def _check_recipes(self, arms: dict[str, ArmRecord]) -> None:
        """Whether the recipes say what their records do, and everything they declare is there."""
        latest = {record.recipe: record for record in self.contents.recipes}
        for record in self.contents.recipes:
            with self.findings.reading(f"recipe {record.recipe}"):
                check_recipe(record, self.recipes, self.findings)
        if self.study is None:
            for record in latest.values():
                with self.findings.reading(f"recipe {record.recipe}"):
                    check_meant(
                        record, arms, self.contents.scores, self.measured, self.recipes, self.findings
                    )
            return
        with self.findings.reading(STUDY):
            for lack in lacking(self.study, self.contents):
                self.findings.add(STUDY, f"{lack}, which it declares, is not in the bundle")

    def _read_ledger(self) -> None:
        """The records, by the ledger's own reader, which wants files."""
        with tempfile.TemporaryDirectory(prefix="lrbench-verify-") as folder:
            for name, data in self.ledger.items():
                (Path(folder) / name).write_bytes(data)
            self.contents = contents = Ledger(Path(folder)).read()
        for broken in contents.broken:
            self.damage.add(f"{LEDGER}/{broken.path.name}:{broken.number}", broken.reason)
        lines = sum(data.count(b"\n") for data in self.ledger.values())
        kinds = (contents.recipes, contents.arms, contents.scores, contents.broken)
        records = sum(map(len, kinds))
        self.findings.compare(LEDGER, "the number of records", lines, records)

    def _check_tables(self) -> None:
        """Whether the tables, drawn again from the records, are the same to the byte.

        Those of an earlier version hold other tests in other words: what they count has to be the same.
        """
        tables = rendered_tables(self.contents, self.study)
        index = self.index or {}
        made, here = index.get("made_with"), versions()
        told = "" if made == here else f" (made with {made}, drawn again with {here})"
        version = index.get("tables_version")
        self.older_tables = isinstance(version, int) and version < TABLES_VERSION
        if not self.older_tables and version != TABLES_VERSION:
            told = (
                f"; but tables are written differently since version {TABLES_VERSION} of "
                f"them, and these are of version {version}: verify with the lrbench in {INDEX}"
            )
        for name in sorted(tables.keys() | self.tables.keys()):
            drawn, found = tables.get(name), self.tables.get(name)
            same = _count_the_same(name, drawn, found) if self.older_tables else drawn == found
            if not same:
                self.findings.add(name, f"is not what the records of the bundle give{told}")


def _count_the_same(name: str, drawn: bytes | None, found: bytes | None) -> bool:
    """Whether two versions of a table have the same counts, as far as a program can read them."""
    if drawn is None or found is None or not name.endswith(".csv"):
        return drawn is not None and found is not None
    ours, theirs = (list(csv.DictReader(io.StringIO(data.decode()))) for data in (drawn, found))
    return len(ours) == len(theirs) and all(
        own[field] == other[field]
        for own, other in zip(ours, theirs, strict=True)
        for field in COUNTED
        if field in own and field in other
    )
