"""The page that watches runs: how far they are, how losses look, what failed, and what became of each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lrbench.results.run_status import FOLDER, STATUS, RunStatus, StageNow, now
from tests.commands import QUICKSTART, SMALL, started
from tests.dashboard.conftest import served
from tests.dashboard.looking import look

# Training is long enough for a page on a busy machine, and is not waited for.
LONG = ["arms=[lightr]", "training.updates=4000"]
HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J"


def write(runs: Path, *found: RunStatus) -> None:
    (runs / FOLDER).mkdir(parents=True, exist_ok=True)
    for status in found:
        (runs / FOLDER / f"{status.process}.json").write_bytes(STATUS.dump_json(status))


@pytest.fixture
def status() -> RunStatus:
    stage = StageNow(
        "adapter of lightr (40 updates)",
        units=40,
        done=10,
        seconds=30.0,
        remaining_seconds=90.0,
        note="loss 0.353",
        curves={"loss": ((1, 0.5), (2, 0.4), (10, 0.353)), "learning_rate": ((1, 0.1),)},
    )
    began = now() - timedelta(minutes=3)
    return RunStatus("mine", "here", 7, False, "running", began, now(), 18, 3, 5400.0, stage)


@pytest.fixture
def texts(open_page: Callable[..., AppTest], tmp_path: Path) -> Callable[[], str]:
    def read() -> str:
        page = open_page(tmp_path, "runs")
        assert not page.exception
        return "\n".join(element.proto.body for element in page.get("html"))

    return read


def test_where_nothing_ran_the_page_says_what_to_type(texts: Callable[[], str]) -> None:
    assert "lrbench run quickstart" in texts()


def test_a_run_under_way_says_how_far_it_is(
    texts: Callable[[], str], status: RunStatus, tmp_path: Path
) -> None:
    write(tmp_path, status, replace(status, process=8, worker=True, remaining_seconds=None))
    found = texts()
    assert "3 of 18 stages, about 90 min left" in found
    assert "adapter of lightr (40 updates): 10 of 40, 30 s so far, loss 0.353, about 90 s left" in found
    assert 'aria-valuenow="10"' in found
    assert "worker (here, process 8): adapter of lightr (40 updates): 10 of 40" in found
    assert found.count("<h2>") == 1
    assert found.count("Curves of the adapter of lightr (40 updates)") == 2


def test_what_became_of_others_is_told_apart(
    texts: Callable[[], str], status: RunStatus, tmp_path: Path
) -> None:
    long_ago = now() - timedelta(hours=1)
    write(
        tmp_path,
        replace(status, process=1, seen_at=long_ago),
        replace(status, process=2, state="failed", failures=(HOSTILE, *["no memory"] * 30)),
        replace(status, process=3, state="stopped"),
    )
    found = texts()
    assert "not heard of for 60 min" in found
    assert "not all could be done" in found
    assert "and 11 more" in found
    assert "<img" not in found
    assert "\x1b" not in found
    assert "Running it again goes on" in found


@pytest.mark.slow
def test_a_real_run_is_watched_until_it_is_interrupted(tmp_path: Path, chromium: Any) -> None:
    runs = tmp_path / "runs"
    with (
        served(runs, tmp_path / "log") as address,
        look(chromium) as view,
        started("run", QUICKSTART, *SMALL, *LONG, "--runs", runs, LRBENCH_MLFLOW="off") as run,
    ):
        view.page.goto(f"{address}/runs")
        view.page.get_by_text("stages, ").wait_for(timeout=120_000)
        view.page.locator("canvas, svg.marks").first.wait_for(timeout=120_000)
        assert run.process.pid is not None
        os.kill(run.process.pid, signal.SIGINT)
        assert run.end().returncode == 130
        view.page.get_by_text("stopped after").wait_for(timeout=120_000)
        assert view.complaints == []
        assert view.outside == []
