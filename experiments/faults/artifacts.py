"""Every kind of file of a runs folder x every kind of damage: made again, or told; never served."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome, spread
from experiments.faults.damage import DAMAGES, HARMLESS, OF_LINES
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Moment, command
from experiments.faults.subject import ARM, NAME, Contents, contents_of, copy_runs, undisturbed, write_subject

# One file of each kind, by what it is: those of finished artifacts, whose damage makes them be made again,
STORED = {
    f"{stage}: {name}": f"store/{stage}/*/{name}"
    for stage, names in {
        "derive": ("model.safetensors", "manifest.json"),
        "rollouts": ("part-00000.parquet", "manifest.json"),
        "solutions": ("part-00000.parquet", "part-00000.json"),
        "reference": ("part-00000.parquet",),
        "scores": ("part-00000.parquet", "tokens.json"),
        "samples": ("steps.parquet",),
        "train": ("adapter_model.safetensors", "adapter_config.json", "curves.json", "manifest.json"),
        "evaluate": ("part-00000.jsonl", "manifest.json", "provenance.json"),
    }.items()
    for name in names
}
# the records,
LEDGER = {f"ledger: {name}": f"ledger/{name}.jsonl" for name in ("recipes", "arms", "scores")}
# what can be made again from them,
CACHES = {
    name: name
    for name in (
        *("file-hashes.json", "estimates.jsonl", "mirrored.json", "mlflow.db"),
        *("ledger/.lock", "ledger/index.sqlite", "ledger/computed.sqlite"),
    )
}
MIRROR = ("mirrored.json", "mlflow.db")
# and what a killed run leaves.
DRAFT = {
    "draft: journal": "store/*/*.draft/journal.jsonl",
    "draft: a committed file": "store/*/*.draft/files/*",
}
BUNDLE = {"bundle": "bundle.tar.gz"}
EXPORT = {
    "export: weights": "adapter/adapter_model.safetensors",
    "export: config": "adapter/adapter_config.json",
}
SECONDS = 120.0
TOLD = ("warning", "damaged", "ledger", "cannot use", "is a folder", "not a file", "no regular file")


class Artifacts(Kind):
    """Each case is a file, a damage and a number that draws the rest."""

    name = "artifacts"

    def __init__(self) -> None:
        self.place = Path()
        self.contents = Contents({}, ())
        self.board = ""
        self.used: set[str] = set()

    def cases(self, tries: int | None, seed: int) -> Sequence[tuple[str, str, int]]:
        """Every file with every damage that can befall it."""
        made = [
            (file, damage, seed)
            for file in (*STORED, *LEDGER, *CACHES, *DRAFT, *BUNDLE, *EXPORT)
            for damage in DAMAGES
            if _applies(file, damage)
        ]
        chosen = spread(made, tries, seed)
        self.used = {file for file, _, _ in chosen}
        return chosen

    def prepare(self, place: Path) -> None:
        """An undisturbed run and what of its mirror, bundle, adapter and killed runs the cases damage."""
        self.place = place
        self.contents = undisturbed(place)
        for files, words in (
            (MIRROR, ["rebuild"]),
            (BUNDLE, ["bundle", "tiny", "--to", "bundle.tar.gz"]),
            (EXPORT, ["export", ARM, "--to", "adapter"]),
        ):
            ended = command(words, place) if self.used & set(files) else None
            if ended is not None and ended.code:
                raise RuntimeError(f"{words} does not work undisturbed: {ended.said}")
        self.board = _board(place)
        if self.used & set(DRAFT):
            self._kill_a_run(place / "killed")

    def _kill_a_run(self, folder: Path) -> None:
        """A runs folder with a draft in which a file is committed."""
        folder.mkdir()
        write_subject(folder)
        changes = command(["run", NAME, "--runs", "counted"], folder).changes
        shutil.rmtree(folder / "counted")
        for share in (5, 6, 4, 7, 3):
            shutil.rmtree(folder / "runs", ignore_errors=True)
            command(["run", NAME], folder, moment=Moment(signal.SIGKILL, change=changes * share // 10))
            if list(folder.glob(f"runs/{DRAFT['draft: a committed file']}")):
                return
        raise RuntimeError("no killed run left a draft with a committed file")

    def attempt(self, case: tuple[str, str, int], folder: Path) -> Outcome:
        """Damage one file, then ask, look over and run."""
        file, damage, seed = case
        chance = Random(f"{file} {damage} {seed}")
        write_subject(folder)
        if file in BUNDLE:
            return self._bundle(damage, folder, chance)
        if file in EXPORT:
            return self._export(file, damage, folder, chance)
        source = self.place / "killed" / "runs" if file in DRAFT else self.place / "runs"
        runs = copy_runs(source, folder / "runs")
        pattern = {**STORED, **LEDGER, **CACHES, **DRAFT}[file]
        found = sorted(path for path in runs.glob(pattern) if "damaged" not in path.parts)
        DAMAGES[damage](chance.choice(found), chance)
        said = []
        finding = ""
        codes = []
        for words in (["results"], ["doctor"], ["run", NAME]):
            ended = command(words, folder, patience=SECONDS)
            said.append(f"{words[0]} ({ended.code}): {ended.said}")
            codes.append(ended.code)
            finding = finding or _of(words[0], misbehaved(ended, codes=(0, 1, 2)))
        finding = finding or self._served(file, damage, codes, said, folder)
        return Outcome(f"{file.partition(':')[0]}, {damage}", finding, detail=f"{file}\n" + "\n".join(said))

    def _served(self, file: str, damage: str, codes: list[int], said: list[str], folder: Path) -> str:
        """Whether what is wrong was neither mended nor said."""
        is_damaged = damage not in HARMLESS and not _is_whole(file, damage)
        if is_damaged and (file in STORED or file in LEDGER) and codes[1] == 0:
            return "doctor does not see it"
        if damage == "forged":
            return ""
        told = codes[2] != 0 and any(word in said[2] for word in TOLD)
        if told:
            return ""
        if codes[2]:
            return f"run ends with {codes[2]} and does not say what is damaged: {said[2][-300:]!r}"
        after = command(["results", "--format", "csv"], folder)
        # What a killed run had not finished is timed anew.
        if after.code or (file not in DRAFT and _sorted(after.output) != self.board):
            return f"the board is another one ({after.code})"
        # A line of the ledger that does not read stays, is told, and its record is written again.
        difference = contents_of(folder / "runs").difference(self.contents)
        return "" if file in LEDGER or not difference else difference

    def _bundle(self, damage: str, folder: Path, chance: Random) -> Outcome:
        shutil.copyfile(self.place / "bundle.tar.gz", folder / "bundle.tar.gz")
        DAMAGES[damage](folder / "bundle.tar.gz", chance)
        ended = command(["verify", "bundle.tar.gz"], folder, patience=SECONDS)
        codes = (0, 1, 2) if damage in HARMLESS else (1, 2)
        return Outcome(f"bundle, {damage}", misbehaved(ended, codes=codes), detail=ended.said)

    def _export(self, file: str, damage: str, folder: Path, chance: Random) -> Outcome:
        """What was exported is never written over, and what is exported again elsewhere is whole."""
        shutil.copytree(self.place / "adapter", folder / "adapter")
        copy_runs(self.place / "runs", folder / "runs")
        path = folder / EXPORT[file]
        DAMAGES[damage](path, chance)
        before = os.lstat(path) if os.path.lexists(path) else None
        over = command(["export", ARM, "--to", "adapter"], folder, patience=SECONDS)
        finding = misbehaved(over, codes=(2,))
        if before is not None and os.lstat(path) != before:
            finding = finding or "an export writes over what is there"
        again = command(["export", ARM, "--to", "elsewhere"], folder, patience=SECONDS)
        finding = finding or misbehaved(again, codes=(0,))
        whole = self.place / "adapter" / path.name
        if not finding and (folder / "elsewhere" / path.name).read_bytes() != whole.read_bytes():
            finding = "what is exported again differs"
        return Outcome(f"export, {damage}", finding, detail=over.said + again.said)


def _applies(file: str, damage: str) -> bool:
    if damage == "forged":
        return file in ("ledger: arms", "ledger: scores")
    return damage not in OF_LINES or file in LEDGER or file.endswith((".jsonl", "journal"))


def _is_whole(file: str, damage: str) -> bool:
    """Damage after which nothing is lost: a record that is there twice is one.

    What a recipe means is recorded again whenever it runs, so nothing else can tell that it was there.
    """
    if file == "ledger: recipes" and damage in ("a lost line", "a torn line", "emptied", "deleted", "cut"):
        return True
    return file in LEDGER and damage == "a doubled line"


def _of(word: str, finding: str) -> str:
    return finding and f"{word}: {finding}"


def _board(folder: Path) -> str:
    return _sorted(command(["results", "--format", "csv"], folder).output)


def _sorted(text: str) -> str:
    return "\n".join(sorted(text.splitlines()))
