"""What a user is told of a finished stage, in one line."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from lrbench.pipeline.bars import TerminalReporter


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
