"""One process at a time, and a lock never outlives its process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from lrbench.errors import StoreError
from lrbench.store.locks import hold, is_held, try_hold

processes = multiprocessing.get_context("fork")
PATIENCE_SECONDS = 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "scores.lock"


def hold_until_killed(path, held) -> None:
    with hold(path):
        held.set()
        signal.pause()


@pytest.fixture
def holder(path):
    held = processes.Event()
    process = processes.Process(target=hold_until_killed, args=(path, held))
    process.start()
    assert held.wait(PATIENCE_SECONDS)
    yield process
    process.kill()
    process.join()


def test_a_free_lock_is_held_within_the_block_alone_and_without_waiting(path):
    waits = []
    with hold(path, on_wait=lambda: waits.append("waited")):
        assert is_held(path)
    assert not is_held(path)
    assert waits == []


@pytest.mark.usefixtures("holder")
def test_a_lock_of_another_process_is_not_to_be_had(path):
    with try_hold(path) as held:
        assert not held
        assert not is_held(path)


def test_waiting_is_told_once_and_ends_when_the_other_process_is_killed(path, holder):
    waits = []

    def kill_the_holder() -> None:
        waits.append("waited")
        os.kill(holder.pid, signal.SIGKILL)

    with hold(path, on_wait=kill_the_holder):
        assert is_held(path)
    assert waits == ["waited"]


def test_after_a_kill_the_lock_is_free_at_once(path, holder):
    holder.kill()
    holder.join()
    with try_hold(path) as held:
        assert held


def test_holding_twice_in_one_process_is_refused_instead_of_waiting_forever(path):
    with hold(path):
        with pytest.raises(RuntimeError, match=r"holds .*scores\.lock already"), hold(path):
            pass
        with pytest.raises(RuntimeError), hold(path.parent / ".." / "locks" / path.name):
            pass
        assert is_held(path)


def test_an_error_in_the_block_releases_the_lock(path):
    with pytest.raises(ZeroDivisionError), hold(path):
        raise ZeroDivisionError
    with try_hold(path) as held:
        assert held


def report_whether_held(path, answers) -> None:
    answers.put(is_held(path))


def test_a_forked_child_does_not_hold_its_parents_lock(path):
    answers = processes.Queue()
    with hold(path):
        child = processes.Process(target=report_whether_held, args=(path, answers))
        child.start()
        assert answers.get(timeout=PATIENCE_SECONDS) is False
        child.join()
        assert is_held(path)


def test_a_place_where_no_lock_can_be_made_is_named(tmp_path):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"cannot use .*blocked"), hold(tmp_path / "blocked" / "scores.lock"):
        pass


def work_alone(path, claims, rounds) -> None:
    """Takes the lock again and again, and claims a file that nobody else may have then."""
    for _ in range(rounds):
        with try_hold(path, removed=True) as held:
            if held:
                os.close(os.open(claims / "claimed", os.O_CREAT | os.O_EXCL))
                (claims / "claimed").unlink()
                (claims / f"{os.getpid()}-{time.monotonic_ns()}").touch()


def test_a_lock_that_is_removed_whenever_it_is_free_is_never_held_twice(path, tmp_path):
    claims = tmp_path / "claims"
    claims.mkdir()
    workers = [processes.Process(target=work_alone, args=(path, claims, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(list(claims.iterdir())) > 20
    assert not path.exists()


def test_a_lock_whose_file_was_replaced_after_it_was_opened_is_not_taken_for_it(path, monkeypatch):
    """What a network file system does to a file that is removed while somebody has it open: it stays."""
    import fcntl

    lock = fcntl.flock
    replaced = []

    def replace_first(descriptor, operation):
        if not replaced:
            replaced.append(path.rename(path.with_name("removed")))
            path.touch()
        return lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    with try_hold(path, removed=True) as held:
        assert held
        assert path.exists()
        with path.open() as other, pytest.raises(BlockingIOError):
            lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not path.exists()


def test_a_lock_file_that_a_killed_process_left_goes_with_the_next_holder(path, holder):
    holder.kill()
    holder.join()
    assert path.exists()
    with try_hold(path, removed=True) as held:
        assert held
    assert not path.exists()
