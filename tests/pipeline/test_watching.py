"""A run can be watched: where it stands, what is left, how its curves look, and what became of it."""

from __future__ import annotations

import io
import itertools
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.pipeline import bars
from lrbench.pipeline.bars import TerminalReporter
from lrbench.pipeline.progress import Progress, Silent
from lrbench.pipeline.remaining import Ahead
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.watching import MOST_POINTS, Watcher, place_of, watched
from lrbench.recipe.schema import Recipe
from lrbench.results.console import Screen
from lrbench.results.run_status import FOLDER, RunStatus, RunView, now, statuses, views
from lrbench.results.status_words import view_lines
from tests.commands import lrbench


class Told(Silent):
    """Keeps what it is told, and looks at the file in the middle of a stage."""

    def __init__(self, runs: Path, at: str = "") -> None:
        self.runs, self.at = runs, at
        self.stood: list[str] = []
        self.failed: list[str] = []
        self.seen: list[RunStatus] = []
        self._is_at = False

    def begin(self, label: str, units: int) -> Progress:
        self._is_at = bool(self.at) and label.startswith(self.at)
        return self

    def advance(self, units: int, note: str = "", **measured: float) -> None:
        if self._is_at:
            self.seen += statuses(self.runs)

    def stand(self, text: str) -> None:
        self.stood.append(text)

    def fail(self, failure: str) -> None:
        self.failed.append(failure)


def stage(label: str) -> Any:
    return SimpleNamespace(name="train", key=label, label=label, parts=1)


def watcher_of(tmp_path: Path, reporter: Silent, **settings: Any) -> Watcher:
    stages = [stage("slow"), stage("quick")]
    place = place_of(tmp_path, "mine")
    ahead = Ahead(
        stages, **{name: settings.pop(name) for name in ("expected", "is_checked") if name in settings}
    )
    return Watcher(reporter, place, "mine", ahead, 3, **settings)


def lines(status: RunStatus) -> list[str]:
    return list(view_lines(RunView(status), now()))


def test_a_run_says_where_it_stands_and_how_its_losses_look(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrbench.pipeline.watching.SECONDS_BETWEEN_WRITES", 0.0)
    told = Told(tmp_path, "adapter of lightr")
    report = run_recipe(make_recipe(arms=["base", "lightr"]), tmp_path, told)
    *_, last = told.seen
    assert last.state == "running"
    assert 0 < last.finished < last.stages
    assert last.now is not None
    assert last.now.label.startswith("adapter of lightr")
    assert (last.now.stage, len(last.now.key)) == ("train", 64)
    # Written down right after it was told, so the file is one update behind.
    assert [update for update, _ in last.now.curves["loss"]] == list(range(1, last.now.units))
    assert {"learning_rate", "gradient_norm", "steps"} <= set(last.now.curves)
    assert re.fullmatch(r"loss \d\.\d{3}", last.now.note)
    (after,) = statuses(tmp_path)
    assert (after.state, after.now, after.finished) == ("finished", None, after.stages)
    assert report.worked == after.stages
    assert after.remaining_seconds in (None, 0.0)


def test_what_failed_is_kept_and_an_interruption_is_told_apart(tmp_path: Path) -> None:
    told = Told(tmp_path)
    with watched(watcher_of(tmp_path, told), tmp_path) as watcher:
        watcher.fail("no memory")
    (status,) = statuses(tmp_path)
    assert (status.state, status.failures, told.failed) == ("failed", ("no memory",), ["no memory"])
    with pytest.raises(KeyboardInterrupt), watched(watcher_of(tmp_path, told), tmp_path):
        raise KeyboardInterrupt
    (status,) = statuses(tmp_path)
    assert status.state == "stopped"
    assert "Running it again goes on" in "\n".join(lines(status))


def test_what_is_left_follows_from_what_has_passed(tmp_path: Path) -> None:
    watcher = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 100.0, "quick": 10.0})
    assert watcher.status().remaining_seconds == pytest.approx(110.0)
    # All takes twice as long as expected, as far as is known.
    watcher.begin("slow", 1).advance(1)
    watcher.end("slow", 200.0)
    status = watcher.status()
    assert (status.finished, status.stages) == (2, 3)
    assert status.remaining_seconds == pytest.approx(20.0, rel=0.06)
    watcher.end("quick", 1.0)
    assert watcher.status().remaining_seconds == 0.0
    two = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 100.0, "quick": 10.0}, workers=2)
    assert two.status().remaining_seconds == pytest.approx(100.0)
    assert watcher_of(tmp_path, Told(tmp_path)).status().remaining_seconds is None


def test_what_is_left_has_the_phases_to_come_in_it(tmp_path: Path) -> None:
    times = {"slow": 100.0, "quick": 10.0, "chosen": 50.0}
    ahead = Ahead([stage("slow"), stage("quick")], [stage("chosen")], times)
    watcher = Watcher(Silent(), place_of(tmp_path, "mine"), "mine", ahead, 4, phases=2)
    assert watcher.status().remaining_seconds == pytest.approx(160.0)
    watcher.fail("no memory")
    watcher.go_on(Ahead([stage("chosen")], (), {"chosen": 40.0}), 4, finished=2)
    status = watcher.status()
    assert (status.phase, status.stages, status.finished) == (2, 4, 2)
    assert (status.remaining_seconds, status.failures) == (pytest.approx(40.0), ("no memory",))


def test_workers_are_told_of_with_the_run_that_they_work_for(tmp_path: Path) -> None:
    watcher = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 100.0, "quick": 10.0}, phases=2)
    watcher.begin("slow", 10)
    run = watcher.status()
    busy = replace(run, process=8, worker=True, finished=0, failures=("no memory",))
    idle = replace(busy, process=9, now=None)
    ended = replace(busy, process=10, state="finished")
    other = replace(busy, recipe="other", process=11, phase=2)
    found = [busy, other, run, ended, idle]
    shown = views(found, now())
    assert shown == [RunView(run, (busy, idle)), RunView(other), RunView(ended)]
    said = list(view_lines(shown[0], now()))
    assert said[1] == "  1 of 3 stages, phase 1 of 2, about 110 s left"
    assert [line.partition(": ")[2].partition(",")[0] for line in said[2:5]] == [
        "0 of 10",
        "slow: 0 of 10",
        "between two stages",
    ]
    assert said[5:] == ["  failed: no memory"]
    # Without the run itself, as where others than the first machine are left, the furthest stands for it.
    ahead = replace(busy, process=12, phase=2)
    assert views([busy, ahead], now()) == [RunView(ahead, (busy,))]


def test_what_no_run_has_checked_is_not_said_before_a_part_of_this_one_has(tmp_path: Path) -> None:
    watcher = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 1.0, "quick": 10.0}, is_checked=False)
    watcher.begin("slow", 1)
    assert lines(watcher.status())[1] == "  1 of 3 stages, time left not known yet"
    watcher.end("slow", 20.0)
    left = watcher.status().remaining_seconds
    assert left is not None
    assert left > 100.0
    assert lines(watcher.status())[1] == "  2 of 3 stages, about 2 min left"


def test_of_a_stage_under_way_its_own_pace_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr("lrbench.pipeline.watching.time", SimpleNamespace(monotonic=lambda: moment[0]))
    watcher = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 100.0, "quick": 10.0})
    progress = watcher.begin("slow", 10)
    moment[0] += 30
    found = watcher.status().now
    assert found is not None
    assert found.remaining_seconds == pytest.approx(70.0)
    progress.advance(5)
    status = watcher.status()
    assert status.now is not None
    assert status.now.remaining_seconds == pytest.approx(30.0)
    assert status.remaining_seconds == pytest.approx(40.0)


def test_a_long_curve_is_thinned_over_all_of_its_length(tmp_path: Path) -> None:
    watcher = watcher_of(tmp_path, Told(tmp_path))
    progress = watcher.begin("slow", 5000)
    for update in range(5000):
        rarely = {} if update % 250 else {"held_out_perplexity": 1.0, "reward": math.inf}
        progress.advance(1, loss=float(update), **rarely)
    found = watcher.status().now
    assert found is not None
    points = found.curves["loss"]
    assert len(found.curves["held_out_perplexity"]) == 20
    assert "reward" not in found.curves
    assert MOST_POINTS / 4 < len(points) <= MOST_POINTS + 1
    assert points[-1] == (5000, 4999.0)
    assert all(value == place - 1 for place, value in points)
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(points[:-1])]
    assert max(gaps) == min(gaps)


def test_signs_of_life_come_while_nothing_else_happens(tmp_path: Path) -> None:
    told = Told(tmp_path)
    with watched(watcher_of(tmp_path, told), tmp_path, seconds=0.02) as watcher:
        watcher.begin("slow", 10).advance(4)
        last = time.monotonic() + 20
        while len(told.stood) < 3 and time.monotonic() < last:
            time.sleep(0.01)
    assert told.stood[0].startswith("1 of 3 stages, time left not known yet; slow: 4 of 10, ")


def test_a_process_that_is_gone_is_told_apart_and_forgotten_by_the_next_run(tmp_path: Path) -> None:
    watcher_of(tmp_path, Told(tmp_path)).write()
    (status,) = statuses(tmp_path)
    gone = replace(status, process=1, seen_at=status.seen_at - timedelta(minutes=5))
    place = place_of(tmp_path, "mine", 1)
    from lrbench.results.run_status import STATUS

    place.write_bytes(STATUS.dump_json(gone))
    assert "not heard of for 5 min: killed, or" in "\n".join(view_lines(RunView(gone), status.seen_at))
    with watched(watcher_of(tmp_path, Told(tmp_path)), tmp_path):
        assert not place.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"recipe": 3}', b"\xff\xfe"])
def test_a_torn_or_strange_file_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "mine.json").write_bytes(content)
    assert statuses(tmp_path) == []


def test_a_disk_without_room_stops_no_run(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder would be")
    with watched(watcher_of(tmp_path, Told(tmp_path)), tmp_path) as watcher:
        watcher.begin("slow", 1).advance(1)
    assert watcher.status().state == "finished"


def test_piped_output_gets_a_line_when_none_came_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: moment[0])
    out = io.StringIO()
    with TerminalReporter(Screen(file=out)) as reporter:
        for second in range(0, 100, 10):
            moment[0] = float(second)
            reporter.stand(f"at {second}")
        reporter.end("a stage", 1.0)
        moment[0] += 20
        reporter.stand("too soon")
    told = out.getvalue().splitlines()
    assert [line.partition("  ")[2] for line in told[:-1]] == ["at 30", "at 60", "at 90"]
    assert all(re.match(r"\d\d:\d\d:\d\d  at", line) for line in told[:-1])
    assert told[-1] == "done    a stage (1.0 s)"


def test_quietly_only_what_needs_saying_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "SECONDS_BETWEEN_LINES", 0.0)
    out = io.StringIO()
    with TerminalReporter(Screen(file=out), quiet=True) as reporter:
        reporter.begin("a stage", 3).advance(1, loss=2.0)
        reporter.stand("at 30")
        reporter.end("a stage", 1.0)
        reporter.say("warning: mind this")
        reporter.fail("the other stage")
    assert out.getvalue() == "warning: mind this\nfailed  the other stage\n"


def test_the_command_says_it_for_people_and_for_programs(tmp_path: Path) -> None:
    nothing = lrbench("status", "--runs", tmp_path)
    assert nothing.stdout == f"No run has left a word in {tmp_path}; `lrbench run RECIPE` starts one.\n"
    watcher = watcher_of(tmp_path, Told(tmp_path), expected={"slow": 5000.0, "quick": 10.0})
    watcher.begin("slow", 10).advance(4, "loss 0.500", loss=0.5)
    watcher.fail("arm\x1b[2J: no memory")
    said = lrbench("status", "--runs", tmp_path).stdout.splitlines()
    assert re.fullmatch(r"mine \(.+, process \d+\): running for (\d+|<) .+", said[0])
    assert re.fullmatch(r"  1 of 3 stages, about \d+ s left", said[1])
    assert re.fullmatch(r"  slow: 4 of 10, (\d+|< 1) s so far, loss 0.500", said[2])
    assert said[3] == r"  failed: arm\x1b[2J: no memory"
    found = json.loads(lrbench("status", "--json", "--recipe", "mine", "--runs", tmp_path).stdout)
    assert found["now"]["curves"] == {"loss": [[4, 0.5]]}
    assert "No run of other" in lrbench("status", "--recipe", "other", "--runs", tmp_path).stdout
    watcher.close("finished")
    followed = lrbench("status", "--follow", "--runs", tmp_path).stdout
    assert "finished after" in followed
