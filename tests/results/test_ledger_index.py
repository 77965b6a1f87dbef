"""The index beside the ledger spares work, and nothing is ever believed because it says so."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from lrbench.results.ledger import SCORES, Ledger
from lrbench.results.ledger import index as ledger_index
from lrbench.results.ledger.index import INDEX
from lrbench.results.ledger.raw_lines import line_of


@pytest.fixture
def scores(score_record):
    return [score_record(arm=f"arm{index}") for index in range(6)]


@pytest.fixture
def ledger(tmp_path, scores):
    """Holds the first four of the scores, and an index of them."""
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.append(scores[:4]) == 4
    return ledger


@pytest.fixture
def reads(monkeypatch):
    """The files that were read whole for their index."""
    found = []
    read = ledger_index.read_stamped

    def told(path):
        found.append(path.name)
        return read(path)

    monkeypatch.setattr(ledger_index, "read_stamped", told)
    return found


def edited(path, old, new):
    """Changes bytes in place and sets the clock back, as the most deceitful of editors would."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(old))
        file.write(new)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_is_new_is_appended_without_reading_the_ledger(ledger, scores, reads):
    assert ledger.append(scores[:5]) == 1
    assert Ledger(ledger.folder).append(scores) == 1
    assert reads == []
    assert ledger.read().scores == tuple(scores)


def other_ledger(path, scores):
    """An index that is whole, and of another ledger."""
    other = Ledger(path.parent.parent / "other")
    other.append(scores)
    shutil.copy(other.folder / INDEX, path.parent / INDEX)


def rubbish(path, _):
    (path.parent / INDEX).write_bytes(b"no database at all, but long enough to look at" * 100)


def torn(path, _):
    data = (path.parent / INDEX).read_bytes()
    (path.parent / INDEX).write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) // 2))


def pipe(path, _):
    (path.parent / INDEX).unlink()
    os.mkfifo(path.parent / INDEX)


def folder(path, _):
    (path.parent / INDEX).unlink()
    (path.parent / INDEX).mkdir()


def other_columns(path, _):
    with sqlite3.connect(path.parent / INDEX) as database:
        database.executescript("DROP TABLE places; CREATE TABLE places (name TEXT, number INTEGER)")


def places_elsewhere(path, _):
    """The worst: a stamp that is right, places that are not, and an end before which lines stand."""
    with sqlite3.connect(path.parent / INDEX) as database:
        database.execute("UPDATE places SET offset = offset + 7")
        database.execute("UPDATE files SET whole = whole - 400")


def gone(path, _):
    (path.parent / INDEX).unlink()


@pytest.mark.parametrize(
    "harm", [gone, other_ledger, rubbish, torn, pipe, folder, other_columns, places_elsewhere]
)
def test_an_index_that_is_gone_foreign_or_damaged_costs_time_and_nothing_else(ledger, scores, harm):
    harm(ledger.folder / SCORES, scores)
    assert ledger.append([scores[0], scores[4]]) == 1
    assert ledger.append(scores) == 1
    contents = ledger.read()
    assert contents.scores == tuple(scores)
    assert contents.broken == ()
    assert (ledger.folder / SCORES).read_bytes().count(b"\n") == len(scores)


def test_a_line_that_was_changed_by_hand_is_recorded_again(ledger, scores, reads):
    edited(ledger.folder / SCORES, b'"arm":"arm2"', b'"arm":"arm9"')
    assert ledger.append(scores) == 3
    assert reads == [SCORES]
    contents = ledger.read()
    assert {score.arm for score in contents.scores} == {score.arm for score in scores}
    assert [line.number for line in contents.broken] == [3]


def test_a_ledger_that_was_replaced_or_appended_to_by_other_means_is_read_anew(ledger, scores, reads):
    path = ledger.folder / SCORES
    with path.open("ab") as file:
        file.write(line_of(scores[4]))
    assert ledger.append(scores[:5]) == 0
    path.write_bytes(b"".join(map(line_of, scores[1:5])))
    assert ledger.append(scores[:5]) == 1
    path.unlink()
    assert ledger.append(scores[:2]) == 2
    assert reads == [SCORES] * 3
    assert ledger.read().scores == tuple(scores[:2])


@pytest.mark.parametrize("moment", ["_write_at_end", "note", "close"])
def test_a_writer_killed_around_its_write_leaves_an_index_that_the_next_one_sees_through(
    ledger, scores, score_record, moment
):
    """Killed with half a line on the disk, with the lines there and the index not, and before it is kept."""
    script = textwrap.dedent(
        f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from conftest import make_score
        from lrbench.results import ledger
        from lrbench.results.ledger import index as ledger_index
        moment = {moment!r}

        def die(*arguments):
            if moment == "_write_at_end":
                path, whole, addition = arguments
                with path.open("r+b") as file:
                    file.seek(whole)
                    file.write(addition[: len(addition) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        owner = ledger if moment == "_write_at_end" else ledger_index.LedgerIndex
        setattr(owner, moment, die)
        ledger.Ledger(Path(sys.argv[1])).append([make_score(arm="arm4"), make_score(arm="arm5")])
        """
    )
    here = __file__.rpartition("/")[0]
    killed = subprocess.run([sys.executable, "-c", script, str(ledger.folder), here], check=False)
    assert killed.returncode == -signal.SIGKILL
    # Half of two lines is one whole line but for its last bytes, or with the first of the next.
    there = 4 if moment == "_write_at_end" else 6
    assert len(scores) - ledger.append(scores) in (there, there + 1)
    contents = ledger.read()
    assert contents.scores == tuple(scores)
    assert contents.broken == ()
    assert ledger.append([*scores, score_record(arm="arm6")]) == 1
