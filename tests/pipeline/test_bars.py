"""What a user is told while a run works, in lines, and what a notebook shows of its end."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from lrbench.pipeline.bars import TerminalReporter
from lrbench.pipeline.failures import Failure
from lrbench.pipeline.lines import LineReporter
from lrbench.pipeline.run import RunReport


def test_a_finished_stage_is_one_line_with_its_time_and_note() -> None:
    text = StringIO()
    with TerminalReporter(Console(file=text, width=20)) as reporter:
        reporter.begin("scores of [one]", 3).advance(3)
        reporter.end("scores of [one]", 0.51)
        reporter.begin("rollouts of one", 3)
        reporter.end("rollouts of one", 1.26, "padding 3% of 9,210 tokens")
    assert text.getvalue().splitlines() == [
        "done    scores of [one] (0.5 s)",
        "done    rollouts of one (1.3 s, padding 3% of 9,210 tokens)",
    ]


def test_lines_of_progress_are_few_and_all_else_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 104.9, 105.0, 106.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    reporter = LineReporter(seconds=5)
    reporter.begin("rollouts", 3).advance(3)
    reporter.end("rollouts", 0.51, "padding 3%")
    reporter.end("scores", 0.2)
    reporter.stand("stage 2 of 9")
    reporter.stand("stage 3 of 9")
    reporter.end("samples", 0.1)
    reporter.say("warning: \x1b[2J")
    reporter.fail("sft: no step was kept")
    assert capsys.readouterr().out.splitlines() == [
        "done    rollouts (0.5 s)",
        "stage 3 of 9",
        "warning: \\x1b[2J",
        "failed  sft: no step was kept",
    ]


def test_a_notebook_shows_what_a_run_did() -> None:
    whole = RunReport(45, 0, ("a", "b"), 37, frozenset({("s",)}))
    assert whole._repr_html_() == (
        "<p>45 stages were made, 0 were finished before; 2 arms, 1 scores, 37 new records in the ledger.</p>"
    )
    failed = RunReport(1, 2, (), 0, failures=(Failure(("<b>arm", "sft"), ("train",), "<script>\x07"),))
    assert failed._repr_html_().endswith(
        "<p>Not done:</p><ul><li>&lt;b&gt;arm, sft: <code>&lt;script&gt;\\x07</code></li></ul>"
    )
