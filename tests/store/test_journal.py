"""A journal keeps every whole line, whatever happened to the others."""

from __future__ import annotations

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.store.journal import Journal

EVENTS = [{"event": "commit", "name": f"shard-{number}", "seconds": 0.5 + number} for number in range(4)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path):
    journal = Journal(path)
    journal.rewrite(EVENTS[:1])
    for event in EVENTS[1:]:
        journal.append(event)
    return journal


def test_events_come_back_in_order(journal):
    assert journal.read() == EVENTS


def test_a_torn_last_line_is_left_out(journal, path):
    content = path.read_bytes()
    last_line = content.rindex(b"{")
    for end in range(last_line + 1, len(content) - 1):
        path.write_bytes(content[:end])
        assert journal.read() == EVENTS[:-1]


def test_after_a_rewrite_a_new_event_does_not_join_a_torn_line(journal, path):
    path.write_bytes(path.read_bytes()[:-9])
    journal.rewrite(journal.read())
    journal.append(EVENTS[-1])
    assert journal.read() == EVENTS


@given(data=st.data())
def test_a_flipped_byte_costs_its_line_and_at_most_the_one_beside_it(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    journal.rewrite(EVENTS)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    kept = journal.read()
    assert len(EVENTS) - 2 <= len(kept)
    assert [event for event in EVENTS if event in kept] == kept


def test_a_line_that_finds_no_room_leaves_the_journal_as_it_was(journal, path):
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append({"event": "discard", "name": "shard-0"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
