"""Kills in the middle of trainings that write or prepare what they learn from: DPO, GRPO, and online ones.

The command run again, which may be killed once more, goes on from what was saved and written before: what it
leaves is what an undisturbed run does, byte for byte.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from experiments.faults.campaign import Kind, Outcome
from experiments.faults.kills import made_again
from experiments.faults.oracle import misbehaved
from experiments.faults.process import Moment, command
from experiments.faults.subject import Contents, committed_files, contents_of, copy_runs

NAME = "tiny.yaml"
RECIPE = """\
name: tiny
pair:
  expert: {{model: embedded/expert}}
  amateur: {{model: embedded/amateur}}
data: {{train: embedded/multi_step, problems: 16}}
divergence: {{beta: 0.1}}
sampling:
  max_new_tokens: 24
  solutions: {{max_new_tokens: 48}}
training:
  updates: 10
  rollouts_per_update: 4
  learning_rate: 2.0e-3
  lora: {{r: 1, alpha: 2, target_modules: [v_proj]}}
arms:
  - {arm}
evaluation: {{suite: embedded7, benchmarks: [one_step], limit: 1}}
runtime: {{threads: 1, updates_between_saves: 3}}
"""
ARMS = {
    "dpo": "{name: dpo, source: {pairs: right_wrong, writer: expert, samples: 6}}",
    "grpo": "{name: grpo, objective: {grpo: {group: 3, problems: 2, kl: 0.05}}}",
    "online": "{name: online, like: lightr, objective: {online: 2}}",
    # What it was before is kept beside what it wrote.
    "online, an earlier self": (
        "{name: earlier, like: lightr, selector: all, objective: {online: 2}, "
        'target: {use: contrast, of: own, minus: "own:earlier"}}'
    ),
}
# What is made anew in a prepared runs folder; all before it is there.
ANEW = ("reference_log_p", "train", "evaluate")
# How often a command is killed before it may end.
MOST_KILLS = 2


@dataclass(frozen=True)
class Training:
    """Which of the `ARMS` is trained, and when it is killed, at shares of the time or the changes of files.

    Each time the command begins with what the time before has left.
    """

    arm: str
    shares: tuple[float, ...]
    by_change: bool


class Trainings(Kind):
    """Every arm in turn, killed once or twice while it is trained."""

    name = "trainings"
    full = 100

    def __init__(self) -> None:
        self.place = Path()
        self.used: Sequence[Training] = ()
        self.prepared: dict[str, tuple[Contents, float, int]] = {}

    def cases(self, tries: int | None, seed: int) -> Sequence[Training]:
        """The arms in turn, at random moments: one round by changes of files, the next one by time."""
        chance, arms = Random(f"{self.name}-{seed}"), list(ARMS)
        self.used = [
            Training(
                arms[number % len(arms)],
                tuple(chance.random() for _ in range(chance.randint(1, MOST_KILLS))),
                number // len(arms) % 2 == 0,
            )
            for number in range(tries or 0)
        ]
        return self.used

    def narrow(self, cases: Sequence[Training]) -> None:
        """Prepare the arms of these cases only."""
        self.used = cases

    def prepare(self, place: Path) -> None:
        """Run every arm undisturbed; measure it from where its training, and what that refers to, begins."""
        self.place = place
        for number, arm in enumerate(ARMS):
            if not any(case.arm == arm for case in self.used):
                continue
            folder = place / f"arm-{number}"
            _write(folder, arm)
            ended = command(["run", NAME], folder)
            if ended.code:
                raise RuntimeError(f"{arm} does not run undisturbed: {ended.said}")
            contents = contents_of(folder / "runs")
            shutil.rmtree(folder / "runs" / "ledger")
            for stage in ANEW:
                shutil.rmtree(folder / "runs" / "store" / stage, ignore_errors=True)
            _write(measuring := place / f"measuring-{number}", arm, folder / "runs")
            ended = command(["run", NAME], measuring)
            self.prepared[arm] = contents, ended.seconds, ended.changes

    def attempt(self, case: Training, folder: Path) -> Outcome:
        """Kill it, as often as the case says, and run it to the end."""
        contents, seconds, changes = self.prepared[case.arm]
        work = folder / "work"
        _write(work, case.arm, self.place / f"arm-{list(ARMS).index(case.arm)}" / "runs")
        detail, finding, in_the_middle = f"{case}\n", "", 0
        for share in case.shares:
            moment = Moment(signal.SIGKILL, seconds=share * seconds)
            if case.by_change:
                moment = Moment(signal.SIGKILL, change=1 + int(share * changes))
            killed = command(["run", NAME], work, moment=moment)
            detail += f"{moment}: {killed.code}\n{killed.said}"
            in_the_middle += any((work / "runs" / "store").glob("train/*.draft"))
            if killed.code not in (0, -signal.SIGKILL):
                finding = finding or misbehaved(killed)
        before = committed_files(work / "runs")
        again = command(["run", NAME], work)
        finding = finding or misbehaved(again, codes=(0,))
        finding = finding or contents_of(work / "runs").difference(contents)
        finding = finding or made_again(before, committed_files(work / "runs"))
        # What was killed before it began or after it ended says nothing of its middle.
        return Outcome(case.arm, finding, counted=in_the_middle > 0, detail=f"{detail}again:\n{again.said}")


def _write(folder: Path, arm: str, runs: Path | None = None) -> None:
    """The recipe of an arm in a new folder, beside a copy of a runs folder."""
    folder.mkdir()
    (folder / NAME).write_text(RECIPE.format(arm=ARMS[arm]))
    if runs is not None:
        copy_runs(runs, folder / "runs")
