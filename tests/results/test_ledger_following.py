"""A ledger that is followed says what a ledger that is read says, and reads no line twice."""

from __future__ import annotations

import pytest

from lrbench.results.ledger import SCORES, Ledger
from lrbench.results.ledger import raw_lines as ledger_lines
from lrbench.results.ledger.following_on import FollowedLedger


@pytest.fixture
def parsed(monkeypatch):
    """How many lines were parsed since it was last emptied."""
    lines = []
    parse = ledger_lines.parse_line

    def told(line, kind):
        lines.append(kind)
        return parse(line, kind)

    monkeypatch.setattr(ledger_lines, "parse_line", told)
    return lines


def test_each_look_reads_what_is_new_and_names_the_recipes_it_is_of(
    tmp_path, arm_record, score_record, parsed
):
    ledger = Ledger(tmp_path / "ledger")
    followed = FollowedLedger(ledger)
    assert followed.look()[0] == ledger.read()
    ledger.append([arm_record(arm) for arm in ("base", "sft")] + [score_record(arm="base")])
    assert followed.look() == (ledger.read(), None)
    ledger.append([arm_record(recipe="other"), score_record(arm="sft")])
    parsed.clear()
    contents, touched = followed.look()
    assert len(parsed) == 2
    assert (contents, touched) == (ledger.read(), {"other", "quickstart"})
    assert followed.look() == (ledger.read(), frozenset())


def test_a_ledger_that_was_edited_or_mended_is_read_anew(tmp_path, score_record):
    ledger = Ledger(tmp_path / "ledger")
    scores = [score_record(arm=f"arm{index}") for index in range(4)]
    ledger.append(scores[:3])
    followed = FollowedLedger(ledger)
    followed.look()
    path = ledger.folder / SCORES
    path.write_bytes(path.read_bytes().replace(b"arm1", b"arm9")[:-20])
    ledger.append(scores)
    contents, touched = followed.look()
    assert touched is None
    assert contents == ledger.read()
    assert [line.number for line in contents.broken] == [2]
    assert {score.arm for score in contents.scores} == {score.arm for score in scores}
