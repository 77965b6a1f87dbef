"""Signals at random moments over all commands, each followed by the same command to its end.

Afterwards everything is as if nothing had happened: the same artifacts and records, the same files at the
target, nothing half-written there in between, and no file that was committed before the signal made again.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Ended, Moment, command
from experiments.faults.subject import (
    ARM,
    NAME,
    STUDY_NAME,
    Contents,
    committed_files,
    contents_of,
    copy_runs,
    files_under,
    undisturbed,
    write_subject,
)

MIRRORED = {"LRBENCH_MLFLOW": "on"}
# How far a run has come when the command starts, as the number of file changes after which it was killed.
BEGUN = "begun"
FULL = "full"
EMPTY = "empty"
STATES_BEGUN = 12
# What is worked on shard by shard; training goes on from its last save, and facts are written again.
SHARD = "/part-"
# A table says how long training took, and whether two arms trained for equally long, which load decides.
NUMBERS = re.compile(rb"[\d.,:+-]+")
BUDGETS_OF_TIME = re.compile(rb", (training seconds|seconds in all)( \([^)]*\))?")
LEFT_BY_KILLS = re.compile(r"^\..*\.tmp(/|$)|/\..*\.tmp(/|$)")
FIGURES = (".pdf", ".png", ".svg")
REFUSAL = "overwritten"
# A signal that came after the end is sent again, timed by what the command has just taken.
MOST_SHOTS = 4


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        share: how many of a thousand kills fall on it.
        arguments: what a user types.
        state: what the runs folder is like before: empty, begun or full.
        target: the file or folder it writes besides the runs folder.
        variables: of its environment.
        prints: what it prints is the same every time.
        keeps: it refuses to write where its target is already.
    """

    name: str
    share: int
    arguments: tuple[str, ...]
    state: str = FULL
    target: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    prints: bool = False
    keeps: bool = False


# The first are those of a small campaign.
COMMANDS = (
    Command("run, gone on with", 160, ("run", NAME), state=BEGUN),
    Command("export", 150, ("export", ARM, "--to", "out/model"), target="out", keeps=True),
    Command("bundle", 170, ("bundle", "tiny", "--to", "out/bundle.tar.gz"), target="out", keeps=True),
    Command("tables", 60, ("tables", STUDY_NAME, "--edition", "embedded"), target="tables"),
    Command("results as csv", 25, ("results", "--format", "csv"), prints=True),
    Command("export merged", 90, ("export", ARM, "--merge", "--to", "out/model"), target="out", keeps=True),
    Command("verify", 60, ("verify", "../bundle.tar.gz"), prints=True),
    Command("samples", 50, ("samples", NAME), prints=True),
    Command("run", 40, ("run", NAME), state=EMPTY),
    Command("run, finished", 40, ("run", NAME), prints=True),
    Command("run, mirrored", 4, ("run", NAME), state=BEGUN, variables=MIRRORED),
    Command("study", 20, ("study", STUDY_NAME), state=BEGUN, target="tables"),
    Command("check", 30, ("check", NAME), prints=True),
    Command("plan", 40, ("plan", NAME), state=BEGUN),
    Command("results", 25, ("results",), prints=True),
    Command("results as markdown", 25, ("results", "--format", "markdown"), prints=True),
    Command("results as latex", 25, ("results", "--format", "latex"), prints=True),
    Command("doctor", 50, ("doctor",), state=BEGUN),
    Command("rebuild", 8, ("rebuild",)),
    Command("register", 5, ("register", ARM)),
)


@dataclass(frozen=True)
class Kill:
    """Which command gets which signal, and when: at a share of its time, or of its changes of files."""

    command: int
    signal: int
    share: float
    by_change: bool
    state: int


@dataclass(frozen=True)
class Prepared:
    """What tries of a command start from and are held against."""

    contents: Contents
    targets: dict[str, dict[str, bytes]]
    outputs: dict[str, str]
    measured: dict[str, tuple[float, int]]


class Kills(Kind):
    """A thousand signals and more."""

    name = "kills"
    full = 1_150

    def __init__(self) -> None:
        self.place = Path()
        self.prepared = Prepared(Contents({}, ()), {}, {}, {})
        self.used: Sequence[Kill] = ()

    def cases(self, tries: int | None, seed: int) -> Sequence[Kill]:
        """Kills in the commands' shares; a small campaign takes each command once, the common ones first."""
        chance = Random(f"kills-{seed}")
        numbers = list(range(len(COMMANDS)))
        shares = [made.share for made in COMMANDS]
        wanted = tries or 0
        few = wanted < len(numbers)
        chosen = numbers[:wanted] if few else chance.choices(numbers, shares, k=wanted)
        signals = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
        self.used = [
            Kill(
                number,
                chance.choice(signals),
                chance.random(),
                chance.random() < 0.5,
                chance.randrange(1 if few else STATES_BEGUN),
            )
            for number in chosen
        ]
        return self.used

    def narrow(self, cases: Sequence[Kill]) -> None:
        """Prepare the commands and states of these cases only."""
        self.used = cases

    def prepare(self, place: Path) -> None:
        """Run every command once undisturbed, measuring it; and some runs that are killed here and there."""
        self.place = place
        contents = undisturbed(place)
        begin_runs(place, {case.state for case in self.used})
        targets, outputs, measured = {}, {}, {}
        _same_command(place, COMMANDS_BY_NAME["bundle"], "out/bundle.tar.gz")
        shutil.move(place / "out" / "bundle.tar.gz", place / "bundle.tar.gz")
        for number in sorted({case.command for case in self.used}):
            made = COMMANDS[number]
            folder = place / f"undisturbed-{number}"
            folder.mkdir()
            self._set_out(made, min(case.state for case in self.used), folder)
            ended = command(made.arguments, folder, variables=made.variables)
            if ended.code:
                raise RuntimeError(f"{made.name} does not work undisturbed: {ended.said}")
            targets[made.name] = files_under(folder / made.target) if made.target else {}
            outputs[made.name] = ended.output
            measured[made.name] = (ended.seconds, ended.changes)
            shutil.rmtree(folder)
        self.prepared = Prepared(contents, targets, outputs, measured)

    def attempt(self, case: Kill, folder: Path) -> Outcome:
        """Kill once, look at what is there, run to the end, look again."""
        made = COMMANDS[case.command]
        number = signal.Signals(case.signal)
        group = f"{made.name}, {number.name}"
        (folder / "bundle.tar.gz").symlink_to(self.place / "bundle.tar.gz")
        work = folder / "work"
        seconds, changes = self.prepared.measured[made.name]
        for _ in range(MOST_SHOTS):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            self._set_out(made, case.state, work)
            moment = _moment(case, seconds, changes)
            killed = command(made.arguments, work, variables=made.variables, moment=moment)
            detail = f"{made.name}, {moment}, state {case.state}\n{killed.said}"
            if killed.code:
                break
            finding = self._wrong(made, work, killed)
            if finding:
                return Outcome(group, finding, counted=False, detail=detail)
            # The last of its time is the system taking its memory back, when no signal reaches it any more.
            seconds, changes = 0.75 * min(seconds, killed.seconds), killed.changes
        else:
            return Outcome(group, counted=False, detail=detail)
        finding = _wrong_end(killed, number) or self._half_written(made, work)
        kept = made.keeps and bool(_at_target(made, work))
        before = committed_files(work / "runs")
        again = command(made.arguments, work, variables=made.variables)
        finding = finding or wrong_again(again, kept) or self._wrong(made, work, again)
        finding = finding or made_again(before, committed_files(work / "runs"))
        return Outcome(group, finding, detail=f"{detail}\nagain:\n{again.said}")

    def _set_out(self, made: Command, state: int, work: Path) -> None:
        write_subject(work)
        if made.state == FULL:
            copy_runs(self.place / "runs", work / "runs")
        elif made.state == BEGUN:
            copy_runs(self.place / f"begun-{state}", work / "runs")

    def _half_written(self, made: Command, work: Path) -> str:
        """What a killed command left at its target that is not what it writes; hidden leftovers may be."""
        if not made.target:
            return ""
        whole = self.prepared.targets[made.name]
        found = _at_target(made, work)
        for name, data in found.items():
            if name not in whole or not same_file(made, name, data, whole[name]):
                return f"{name} is half-written at the target"
        if made.keeps and found and found.keys() != whole.keys():
            return f"only {len(found)} of {len(whole)} files are at the target"
        return ""

    def _wrong(self, made: Command, work: Path, ended: Ended) -> str:
        """What is not as after an undisturbed command, once it has run to its end."""
        if made.target:
            whole = self.prepared.targets[made.name]
            found = _at_target(made, work)
            other = sorted(found.keys() ^ whole.keys()) or [
                n for n in found if not same_file(made, n, found[n], whole[n])
            ]
            if other:
                return f"the target differs in {other[:4]}"
        if made.prints and ended.output != self.prepared.outputs[made.name]:
            return "another output than undisturbed"
        if made.state in (EMPTY, FULL) or made.name not in ("plan", "doctor"):
            return contents_of(work / "runs").difference(self.prepared.contents)
        return ""


COMMANDS_BY_NAME = {made.name: made for made in COMMANDS}


def begin_runs(place: Path, states: Iterable[int] = range(STATES_BEGUN)) -> None:
    """Runs that were killed before one of their changes, spread over all of them."""
    counting = place / "counting"
    counting.mkdir()
    write_subject(counting)
    changes = command(["run", NAME], counting).changes
    shutil.rmtree(counting)
    for number in states:
        folder = place / f"beginning-{number}"
        folder.mkdir()
        write_subject(folder)
        moment = Moment(signal.SIGKILL, change=changes * (number + 1) // (STATES_BEGUN + 1))
        ended = command(["run", NAME], folder, moment=moment)
        if ended.code != -signal.SIGKILL:
            raise RuntimeError(f"a run was not killed: {ended.code} {ended.said}")
        shutil.move(folder / "runs", place / f"begun-{number}")
        shutil.rmtree(folder)


def _same_command(place: Path, made: Command, target: str) -> None:
    ended = command(made.arguments, place)
    if ended.code or not (place / target).exists():
        raise RuntimeError(f"{made.name} does not work undisturbed: {ended.said}")


def _moment(case: Kill, seconds: float, changes: int) -> Moment:
    """When the signal comes, in a command that takes so many seconds and changes of files."""
    number = signal.Signals(case.signal)
    if case.by_change and changes:
        return Moment(number, change=1 + int(case.share * changes))
    return Moment(number, seconds=case.share * seconds)


def _wrong_end(killed: Ended, number: signal.Signals) -> str:
    """A command that got a signal ends by it, or says that it was stopped."""
    if number is signal.SIGKILL:
        return "" if killed.code == -signal.SIGKILL else misbehaved(killed)
    if killed.code in (-number, -signal.SIGKILL):
        return f"ended by {signal.Signals(-killed.code).name} without a word"
    return misbehaved(killed, codes=(130,))


def wrong_again(again: Ended, kept: bool) -> str:
    """The command run again ends well; where the signal came after its target was whole, that is kept."""
    if not kept:
        return misbehaved(again, codes=(0,))
    finding = misbehaved(again, codes=(2,))
    if not finding and REFUSAL not in again.errors:
        return f"refused for another reason than its whole target: {again.errors[-300:]!r}"
    return finding


def _at_target(made: Command, work: Path) -> dict[str, bytes]:
    """What is at the target of a command, without what kills leave beside it."""
    return {name: data for name, data in files_under(work / made.target).items() if not _left(name)}


def _left(name: str) -> bool:
    return bool(LEFT_BY_KILLS.search(name))


def same_file(made: Command, name: str, found: bytes, whole: bytes) -> bool:
    """Whether a file at a target says what that of an undisturbed command does, apart from times."""
    if name.endswith(FIGURES):
        # Drawn anew with what the drawing library notes; all of it is there when its end is.
        return found[-6:] == whole[-6:]
    if made.name == "study":
        return _timeless(found) == _timeless(whole) or name.endswith(".figures.json")
    return found == whole


def _timeless(table: bytes) -> bytes:
    return NUMBERS.sub(b"", BUDGETS_OF_TIME.sub(b"", table))


def made_again(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> str:
    """Shards that were committed before and are other files after; empty where there are none."""
    again = [
        name for name, stamp in before.items() if name in after and after[name] != stamp and SHARD in name
    ]
    stages = sorted({name.partition("/")[0] for name in again})
    return f"committed shards were made again: {len(again)} of {', '.join(stages)}" if again else ""
