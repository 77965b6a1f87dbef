"""The ledger keeps what it was given, through crashes, crowds and damage."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from multiprocessing import get_context

import pytest

from lrbench.errors import LedgerError
from lrbench.results.ledger import ARMS, SCORES, Ledger


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def three_scores(score_record):
    return [score_record(benchmark=name) for name in ("chain", "formal", "vary")]


def lines_of(ledger, name=SCORES):
    return (ledger.folder / name).read_bytes().split(b"\n")


class TestReadingBack:
    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
    def test_a_pipe_or_device_in_the_place_of_a_file_is_said_at_once(self, ledger, arm_record, make):
        ledger.folder.mkdir(parents=True)
        make(ledger.folder / "arms.jsonl")
        for use in (ledger.read, lambda: ledger.append([arm_record()])):
            with pytest.raises(LedgerError, match=r"arms\.jsonl: it is no file but a pipe, a socket or a"):
                use()

    def test_an_absent_ledger_is_empty(self, ledger):
        contents = ledger.read()
        assert (contents.arms, contents.scores, contents.broken) == ((), (), ())
        assert not ledger.folder.exists()

    def test_gives_what_was_recorded_in_order(self, ledger, arm_record, three_scores):
        arm = arm_record(statistics={"note": 'quotes " and \u2028 separators\nand lines'})
        assert ledger.append([*three_scores[:2], arm]) == 3
        assert ledger.append(three_scores[2:]) == 1
        contents = ledger.read()
        assert contents.arms == (arm,)
        assert contents.scores == tuple(three_scores)
        assert contents.broken == ()

    def test_the_same_record_twice_is_one_and_the_first_stays(self, ledger, arm_record, three_scores):
        first = arm_record(recorded_at="2026-01-01T00:00:00+00:00")
        assert ledger.append([first, *three_scores, three_scores[0]]) == 4
        before = lines_of(ledger)
        assert ledger.append([arm_record(recorded_at="2027-01-01T00:00:00+00:00"), *three_scores]) == 0
        assert ledger.read().arms == (first,)
        assert lines_of(ledger) == before

    def test_two_ledgers_joined_by_hand_hold_each_record_once(self, ledger, three_scores):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        path.write_bytes(path.read_bytes() * 2)
        assert ledger.read().scores == tuple(three_scores)


class TestDamage:
    @pytest.mark.parametrize("place", [20, 100, 300, 700])
    def test_a_flipped_byte_costs_that_line_and_no_other(self, ledger, three_scores, place):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        data = bytearray(path.read_bytes())
        start = data.index(b"\n") + 1
        data[start + place] ^= 0x01
        path.write_bytes(data)
        contents = ledger.read()
        assert contents.scores == (three_scores[0], three_scores[2])
        assert [(line.path, line.number) for line in contents.broken] == [(path, 2)]

    def test_a_broken_line_says_where_and_why(self, ledger, three_scores):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        path.write_bytes(path.read_bytes().replace(b'"chain"', b'"chaim"', 1))
        (line,) = ledger.read().broken
        assert str(line) == f"{path}:1: the record differs from its checksum"

    def test_bytes_that_are_no_ledger_line_are_reported(self, ledger, three_scores):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        path.write_bytes(b"\xff\x00 rubbish\n" + path.read_bytes())
        contents = ledger.read()
        assert contents.scores == tuple(three_scores)
        assert [str(line) for line in contents.broken] == [
            f"{path}:1: not a whole ledger line (cut short or overwritten)"
        ]

    def test_a_record_of_another_version_is_named_with_its_field(self, ledger, arm_record, three_scores):
        ledger.append([arm_record(), *three_scores])
        path = ledger.folder / SCORES
        path.write_bytes(path.read_bytes() + lines_of(ledger, ARMS)[0] + b"\n")
        contents = ledger.read()
        assert contents.scores == tuple(three_scores)
        assert contents.broken[0].number == 4
        assert "not a record this version of lrbench reads: kind:" in contents.broken[0].reason

    def test_a_damaged_record_can_be_recorded_again(self, ledger, three_scores):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        path.write_bytes(path.read_bytes().replace(b'"chain"', b'"chaim"', 1))
        assert ledger.append(three_scores) == 1
        assert {score.benchmark for score in ledger.read().scores} == {"chain", "formal", "vary"}


class TestCrashes:
    def test_a_line_torn_anywhere_is_mended_by_the_next_append(self, ledger, three_scores):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        whole = path.read_bytes()
        last = whole[:-1].rindex(b"\n") + 1
        for end in range(last, len(whole), 37):
            path.write_bytes(whole[:end])
            assert ledger.read().scores == tuple(three_scores[:2])
            assert len(ledger.read().broken) == (end > last)
            assert ledger.append(three_scores) == 1
            assert path.read_bytes() == whole

    def test_a_last_line_that_lacks_its_line_feed_alone_is_kept(self, ledger, three_scores, score_record):
        ledger.append(three_scores)
        path = ledger.folder / SCORES
        path.write_bytes(path.read_bytes()[:-1])
        assert ledger.append([score_record(benchmark="onestep")]) == 1
        contents = ledger.read()
        assert [score.benchmark for score in contents.scores] == ["chain", "formal", "vary", "onestep"]
        assert contents.broken == ()

    def test_a_disk_that_fills_half_way_leaves_the_ledger_as_it_was(self, ledger, three_scores):
        """A file size limit stands for the full disk: the system takes part of the line, then refuses."""
        ledger.append(three_scores[:1])
        before = (ledger.folder / SCORES).read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 300, limits[1]))
        try:
            with pytest.raises(LedgerError, match=r"the ledger: cannot use .*scores\.jsonl"):
                ledger.append(three_scores)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert (ledger.folder / SCORES).read_bytes() == before
        assert ledger.append(three_scores) == 2

    def test_a_process_killed_while_appending_loses_nothing_that_was_acknowledged(self, ledger):
        script = textwrap.dedent(
            """
            import sys
            from pathlib import Path
            sys.path.insert(0, sys.argv[2])
            from conftest import make_score
            from lrbench.results.ledger import Ledger
            ledger = Ledger(Path(sys.argv[1]))
            for index in range(10_000):
                ledger.append([make_score(arm=f"arm{index}")])
                print(index, flush=True)
            """
        )
        here = __file__.rpartition("/")[0]
        command = [sys.executable, "-c", script, str(ledger.folder), here]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        acknowledged = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split()]
        process.wait()
        ledger.append([])
        names = {score.arm for score in ledger.read().scores}
        assert names >= {f"arm{index}" for index in acknowledged}


class TestRefusals:
    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path, three_scores):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(LedgerError, match=r"the ledger: cannot use .*file"):
            Ledger(tmp_path / "file" / "ledger").append(three_scores)

    def test_a_file_that_cannot_be_read_is_named(self, ledger):
        (ledger.folder / SCORES).mkdir(parents=True)
        with pytest.raises(LedgerError, match=r"the ledger: cannot use .*scores\.jsonl: Is a directory"):
            ledger.read()

    def test_a_full_disk_is_called_that(self, ledger, three_scores, monkeypatch):
        import errno
        import os

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        ledger.append(three_scores[:1])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(LedgerError, match=r"scores\.jsonl: the disk or quota is full .* Free some space"):
            ledger.append(three_scores)


def append_many(folder, worker, make_score):
    for index in range(15):
        Ledger(folder).append([make_score(arm=f"arm{worker}-{index}"), make_score(arm=f"shared{index}")])


class TestCrowds:
    def test_what_several_processes_append_at_once_is_all_there_once(self, ledger, score_record):
        context = get_context("fork")
        workers = [
            context.Process(target=append_many, args=(ledger.folder, worker, score_record))
            for worker in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        contents = ledger.read()
        expected = [f"arm{worker}-{index}" for worker in range(4) for index in range(15)]
        expected += [f"shared{index}" for index in range(15)]
        assert sorted(score.arm for score in contents.scores) == sorted(expected)
        assert contents.broken == ()
        assert len(lines_of(ledger)) == len(expected) + 1

    def test_threads_of_one_process_wait_for_each_other(self, ledger, score_record):
        threads = [
            threading.Thread(target=append_many, args=(ledger.folder, worker, score_record))
            for worker in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ledger.read().scores) == 3 * 15 + 15
