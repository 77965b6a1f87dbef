"""Stages, hashes and facts of a result as HTML, and its texts made fit for a block of code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from lrbench.recipe.moving import Moved
from lrbench.results.provenance import StageFound, State
from lrbench.results.records import ArmRecord
from lrbench.results.text import plain, size_text
from lrbench.results.web.text import name_html
from lrbench.results.wording import duration_text
from lrbench_dashboard.look import table_html

LONGEST_CODE = 60_000
MOST_DIFF_LINES = 4_000
# In a comment of a downloaded file.
LONGEST_LINE = 1_000
AS_RUN = "Relative paths are those of the folder that it was run in: write here where this is now."
NOTHING = "–"
STATES = {
    State.WHOLE: ("●", "whole: every byte verified"),
    State.THERE: ("◐", "there: names and sizes are right, content not read"),
    State.DAMAGED: ("▲", "damaged"),
    State.MISSING: ("○", "missing"),
}


def stages_html(stages: Sequence[StageFound]) -> str:
    """The chain of stages with what the store says of each."""
    lines = []
    for stage in stages:
        mark, words = STATES[stage.state]
        shown = f"{mark} {stage.state}"
        reason = f'<div class="lv-reason">{name_html(stage.reason, 300)}</div>' if stage.reason else ""
        lines.append(
            [
                f"{name_html(stage.label)}",
                f'<span class="lv-state lv-{stage.state}" title="{words}">{shown}</span>{reason}',
                hash_html(stage.key),
                NOTHING if stage.version is None else f"{stage.version}",
                hash_html(stage.content_hash),
                NOTHING if stage.seconds is None else duration_text(stage.seconds),
                NOTHING if stage.size is None else size_text(stage.size),
                name_html(stage.created_at[:16].replace("T", " ")) or NOTHING,
            ]
        )
    head = ["stage", "state", "key", "version", "content", "time", "size", "finished, UTC"]
    seen = {stage.state for stage in stages}
    legend = "; ".join(f"{mark} {words}" for state, (mark, words) in STATES.items() if state in seen)
    return (
        table_html(head, lines, "The stages behind this result", "lv-stages")
        + f'<p class="lv-caption">{legend}.</p>'
    )


def facts_html(facts: Mapping[str, str], label: str) -> str:
    """Names and values, whatever they hold."""
    lines = [[name_html(name, 200), f"<code>{name_html(value, 400)}</code>"] for name, value in facts.items()]
    return table_html([], lines, label, "lv-facts")


def hash_html(digest: str) -> str:
    """The first characters of a hash; the whole of it when pointed at."""
    if not digest:
        return NOTHING
    return f'<code class="lv-hash" title="{name_html(digest, 200)}">{name_html(digest[:12])}</code>'


def code_text(text: str, longest: int = LONGEST_CODE) -> str:
    """A text for a block of code: invisible characters spelt out, cut with a last line that says so."""
    lines = text[:longest].split("\n")
    shown = "\n".join(plain(line, len(line) * 10 + 1).replace("\\x09", "\t") for line in lines)
    left = len(text) - longest
    return shown if left <= 0 else f"{shown}\n… {left:,} more characters: download the whole"


def downloaded(arm: ArmRecord, moved: Moved) -> str:
    """The recipe as a file, which says first what it is and what of it is otherwise than recorded."""
    lines = [f"{arm.arm} of {arm.recipe}, as resolved when it was made: every default is written out."]
    if moved.found:
        lines.append("Paths are absolute here; they were relative to the folder that it was run in.")
    lines += [f"Not found here: {field}, {path}. {AS_RUN}" for field, path in moved.lost]
    return "".join(f"# {plain(line, LONGEST_LINE)}\n" for line in lines) + moved.text


def moved_html(moved: Moved) -> str:
    """What a reader has to know of the paths in the file; nothing where it holds none."""
    said = []
    if moved.found:
        said.append("Its paths are made absolute, so that it runs from any folder of this machine.")
    if moved.lost:
        lost = ", ".join(f"{field} ({path})" for field, path in moved.lost)
        said.append(f"Not found here: {lost}. {AS_RUN}")
    style = "lr-note lr-problem" if moved.lost else "lv-caption"
    return f'<p class="{style}">{name_html(" ".join(said), 2000)}</p>' if said else ""


def difference(first: str, second: str, names: tuple[str, str]) -> str:
    """How two recipes differ, as a unified diff of few lines; empty where they are equal."""
    before, after = first.splitlines(), second.splitlines()
    if len(before) + len(after) > MOST_DIFF_LINES:
        return f"The recipes have {len(before):,} and {len(after):,} lines: too many to compare here."
    lines = difflib.unified_diff(before, after, *names, n=2, lineterm="")
    return "\n".join(plain(line, 400) for line in lines)
