"""Real processes, really killed: nothing committed is lost, nothing is done twice, the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

processes = multiprocessing.get_context("fork")
PATIENCE_SECONDS = 20
SHARDS = 10
KILLS = 20


class Log:
    """An append-only file that several processes add to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def add(self, *words: object) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
        os.close(descriptor)

    def entries(self, kind: str) -> list[str]:
        return [line.split()[1] for line in self.path.read_text().splitlines() if line.startswith(kind + " ")]


def do_shards_and_checkpoints(work, log: Log, shards: int = SHARDS) -> None:
    """Make `shards` files; after each, replace a checkpoint that says how many there are; keep the shards."""
    with work.lock():
        if work.find() is not None:
            return
        draft = work.draft()
        if draft.has("checkpoint"):
            log.add("resumed", draft.path("checkpoint").read_text())
        for number in range(shards):
            name = f"shard-{number:02}"
            if not draft.has(name):
                log.add("made", name)
                draft.commit(name, lambda path, name=name: path.write_text(name * 500), seconds=1.0)
                log.add("committed", name)
            if not draft.has("checkpoint") or int(draft.path("checkpoint").read_text()) <= number:
                draft.commit("checkpoint", lambda path, number=number: path.write_text(str(number + 1)))
                log.add("saved", number + 1)
        draft.finish({"shards": shards}, keep=[f"shard-{number:02}" for number in range(shards)])


@pytest.fixture
def uninterrupted_hash(work_at, tmp_path):
    def run(shards: int) -> str:
        reference = work_at(tmp_path / "reference")
        do_shards_and_checkpoints(reference, Log(tmp_path / "reference.log"), shards)
        return reference.find().content_hash

    return run


def test_work_killed_at_random_moments_ends_as_if_never_interrupted(work_at, tmp_path, uninterrupted_hash):
    expected = uninterrupted_hash(SHARDS)
    moments = random.Random(7)
    kills = rounds = 0
    while kills < KILLS:
        work, log = work_at(tmp_path / f"round-{rounds}"), Log(tmp_path / f"round-{rounds}.log")
        rounds += 1
        kills_of_round = 0
        while True:
            process = processes.Process(target=do_shards_and_checkpoints, args=(work, log))
            process.start()
            if kills < KILLS:
                time.sleep(moments.uniform(0, 0.1))
                process.kill()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            kills += 1
            kills_of_round += 1
        made = log.entries("made")
        assert len(made) <= SHARDS + kills_of_round
        assert work.find().content_hash == expected
        assert work.find().seconds >= SHARDS
    assert work.damage == []


def die_at_operation(number: int, work, log: Log, shards: int) -> None:
    """Do the work, but be killed just before the `number`-th time the file system is asked for something."""
    remaining = number

    def count(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal remaining
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"):
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    do_shards_and_checkpoints(work, log, shards)


def test_work_killed_before_each_of_its_file_operations_loses_nothing_committed(
    work_at, tmp_path, uninterrupted_hash, monkeypatch
):
    # A killed process leaves what it gave to the kernel, with or without a sync.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    shards = 2
    expected = uninterrupted_hash(shards)
    for number in range(1, 1000):
        work, log = work_at(tmp_path / str(number)), Log(tmp_path / f"{number}.log")
        process = processes.Process(target=die_at_operation, args=(number, work, log, shards))
        process.start()
        process.join()
        committed, saved = log.entries("committed"), log.entries("saved")
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL

        do_shards_and_checkpoints(work, log, shards)

        assert work.find().content_hash == expected
        made = log.entries("made")
        assert len(made) <= shards + 1
        assert all(made.count(name) == 1 for name in committed)
        if saved and (resumed := log.entries("resumed")):
            assert int(resumed[0]) >= int(saved[-1])
        assert work.damage == []
        assert not work.draft_directory.exists() or work.store.drafts() == []
    assert number > 50, "the work asks the file system for more than this"


def do_once_both_are_here(work, log: Log, waiting) -> None:
    """The first to come makes the second wait before it goes on."""
    artifact = None
    while artifact is None:
        with work.lock() as held:
            if not held:
                if not waiting.is_set():
                    log.add("waited", os.getpid())
                    waiting.set()
                continue
            artifact = work.find()
            if artifact is None:
                assert waiting.wait(PATIENCE_SECONDS)
                draft = work.draft()
                for number in range(SHARDS):
                    log.add("made", f"shard-{number:02}")
                    draft.commit(f"shard-{number:02}", lambda path: path.write_bytes(b"shard"))
                artifact = draft.finish({})
    log.add("result", artifact.content_hash)


def test_two_processes_at_once_do_the_work_once_and_both_have_it(work, tmp_path):
    log, waiting = Log(tmp_path / "log"), processes.Event()
    both = [processes.Process(target=do_once_both_are_here, args=(work, log, waiting)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE_SECONDS)
    assert [process.exitcode for process in both] == [0, 0]
    assert log.entries("made") == [f"shard-{number:02}" for number in range(SHARDS)]
    assert len(log.entries("waited")) == 1
    assert log.entries("result") == [work.find().content_hash] * 2
