"""A draft keeps every committed file, whatever happens to the process that works on it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from lrbench.errors import DiskFullError, StoreError
from lrbench.store import draft_folder, files
from lrbench.store.artifact import FileRecord, describe_file


@pytest.fixture
def draft(work):
    with work.lock():
        yield work.draft()


def write(content: bytes):
    return lambda path: path.write_bytes(content)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def describe_small_files(path: Path, name: str) -> FileRecord:
    """As the store does it, and never for a file that would take minutes."""
    assert path.stat().st_size < 2**20
    return describe_file(path, name)


def reopen(work):
    """The draft as the next process finds it."""
    work.new_process()
    return work.draft()


class TestCommitting:
    def test_a_committed_file_is_there_with_its_content(self, draft):
        path = draft.commit("adapter/weights.bin", write(b"w"))
        assert draft.has("adapter/weights.bin")
        assert draft.path("adapter/weights.bin") == path
        assert path.read_bytes() == b"w"
        assert draft.names == ("adapter/weights.bin",)

    def test_the_writer_gets_a_path_with_the_files_own_name(self, draft):
        seen = []
        draft.commit("adapter/weights.npy", lambda path: seen.append(path.name) or path.write_bytes(b""))
        assert seen == ["weights.npy"]

    def test_what_is_not_committed_is_not_there(self, draft):
        assert not draft.has("shard")
        with pytest.raises(KeyError, match="no committed file 'shard'"):
            draft.path("shard")
        with pytest.raises(KeyError, match="no committed file 'shard'"):
            draft.discard("shard")

    def test_a_second_commit_replaces_the_first(self, work, draft):
        draft.commit("checkpoint", write(b"update 100"))
        draft.commit("checkpoint", write(b"update 200"))
        assert draft.path("checkpoint").read_bytes() == b"update 200"
        assert reopen(work).path("checkpoint").read_bytes() == b"update 200"

    def test_a_discarded_file_is_gone_for_good(self, work, draft):
        draft.commit("checkpoint", write(b"update 100"))
        draft.discard("checkpoint")
        assert not draft.has("checkpoint")
        assert not reopen(work).has("checkpoint")

    def test_a_file_discarded_and_committed_again_is_kept(self, work, draft):
        draft.commit("checkpoint", write(b"one"))
        draft.discard("checkpoint")
        draft.commit("checkpoint", write(b"two"))
        assert reopen(work).path("checkpoint").read_bytes() == b"two"

    def test_a_name_that_escapes_is_refused(self, draft):
        with pytest.raises(ValueError, match="cannot name a file"):
            draft.commit("../shard", write(b""))

    def test_a_writer_that_writes_nothing_is_refused(self, draft):
        with pytest.raises(RuntimeError, match="the writer of 'shard' wrote no file"):
            draft.commit("shard", lambda _: None)
        assert not draft.has("shard")

    def test_a_private_file_gets_the_users_usual_mode(self, tmp_path, draft):
        def write_privately(path: Path) -> None:
            path.write_bytes(b"w")
            path.chmod(0o600)

        usual = tmp_path / "usual"
        usual.write_bytes(b"")
        assert draft.commit("shard", write_privately).stat().st_mode == usual.stat().st_mode


class TestAFailingWriter:
    def test_its_own_error_passes_through_and_nothing_changes(self, work, draft):
        draft.commit("shard", write(b"good"))

        def fail(path: Path) -> None:
            path.write_bytes(b"half")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            draft.commit("shard", fail)
        with pytest.raises(FileNotFoundError):
            draft.commit("other", lambda _: Path("absent input").read_bytes())
        assert draft.path("shard").read_bytes() == b"good"
        assert not (work.draft_directory / "writing").exists()
        assert reopen(work).names == ("shard",)

    def test_a_full_disk_is_told_and_committed_files_stay(self, work, draft):
        if not Path("/dev/full").is_char_device():
            pytest.skip("this system has no /dev/full")
        draft.commit("shard-0", write(b"good"))

        def fill(path: Path) -> None:
            path.write_bytes(b"half")
            with Path("/dev/full").open("wb") as full:
                full.write(b"x")

        with pytest.raises(StoreError, match=r"shard-1: the disk or quota is full .* committed files stay"):
            draft.commit("shard-1", fill)
        assert not (work.draft_directory / "writing").exists()
        assert reopen(work).path("shard-0").read_bytes() == b"good"

    def test_a_full_disk_is_told_how_much_it_lacks(self, draft):
        def told(name: str) -> str:
            with pytest.raises(DiskFullError) as refused:
                draft.commit(name, half_of_it)
            return str(refused.value).partition(" bytes free, ")[2].partition(")")[0]

        assert told("shard-0.parquet") == "more than 4 needed"
        draft.expect(4, ".parquet")
        draft.commit("shard-0.parquet", write(b"1" * 900))
        draft.commit("shard-1.parquet", write(b"1" * 1100))
        draft.commit("save", write(b"1" * 7000))
        assert told("shard-2.parquet") == "about 2,000 needed for all that is to come"
        assert told("save") == "about 7,000 needed"

    def test_what_a_failed_write_left_counts_as_free(self, work, draft, monkeypatch):
        def free(_path: Path) -> int:
            return 10 - sum(path.stat().st_size for path in (work.draft_directory / "writing").rglob("*"))

        monkeypatch.setattr(files, "_free_bytes", free)
        with pytest.raises(DiskFullError, match=r"full \(10 bytes free, more than 4 needed\)"):
            draft.commit("shard", half_of_it)


class TestReopening:
    def test_committed_files_and_seconds_are_kept(self, work, draft):
        work.commit_all(draft)
        again = reopen(work)
        assert again.names == draft.names
        assert again.spent_seconds == draft.spent_seconds == 2.0
        work.made.clear()
        work.commit_all(again)
        assert work.made == []

    def test_seconds_of_replaced_and_discarded_files_count(self, work, draft):
        draft.commit("checkpoint", write(b"1"), seconds=1.0)
        draft.commit("checkpoint", write(b"2"), seconds=2.0)
        draft.discard("checkpoint")
        again = reopen(work)
        again.commit("adapter", write(b"a"), seconds=4.0)
        assert again.finish({}).seconds == 7.0

    def test_a_half_written_file_is_dropped(self, work, draft):
        draft.commit("shard-0", write(b"good"))
        (work.draft_directory / "writing").mkdir(exist_ok=True)
        (work.draft_directory / "writing" / "shard-1").write_bytes(b"half")
        again = reopen(work)
        assert again.names == ("shard-0",)
        assert not (work.draft_directory / "writing").exists()
        assert work.damage == []

    @pytest.mark.parametrize("content", [b"", b"goo", b"gooD", b"good and more"])
    def test_a_committed_file_that_changed_is_dropped_and_reported_once(self, work, draft, content):
        draft.commit("shard-0", write(b"good"))
        draft.commit("shard-1", write(b"fine"))
        (work.draft_directory / "files" / "shard-0").write_bytes(content)
        assert reopen(work).names == ("shard-1",)
        assert len(work.damage) == 1
        assert "shard-0 of the unfinished scores/" in work.damage[0]
        assert reopen(work).names == ("shard-1",)
        assert len(work.damage) == 1

    @pytest.mark.parametrize("place", ["files", "writing"])
    def test_a_file_that_grew_to_any_size_is_not_read(self, work, draft, place, monkeypatch):
        draft.commit("shard-0", write(b"good"))
        folder = work.draft_directory / place
        folder.mkdir(exist_ok=True)
        (folder / "shard-0").touch()
        os.truncate(folder / "shard-0", 2**42)
        monkeypatch.setattr(draft_folder, "describe_file", describe_small_files)
        assert reopen(work).names == (() if place == "files" else ("shard-0",))

    def test_a_file_without_a_journal_line_is_dropped(self, work, draft):
        draft.commit("shard-0", write(b"good"))
        (work.draft_directory / "files" / "shard-1").write_bytes(b"whence?")
        (work.draft_directory / "files" / "folder").mkdir()
        again = reopen(work)
        assert again.names == ("shard-0",)
        assert names_in(work.draft_directory / "files") == ["shard-0"]

    def test_a_torn_last_line_costs_that_file_alone(self, work, draft):
        draft.commit("shard-0", write(b"good"), seconds=1.0)
        draft.commit("shard-1", write(b"torn"), seconds=1.0)
        journal = work.draft_directory / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-5])
        again = reopen(work)
        assert again.names == ("shard-0",)
        again.commit("shard-1", write(b"torn"), seconds=1.0)
        assert reopen(work).names == ("shard-0", "shard-1")
        assert reopen(work).spent_seconds == 2.0

    def test_a_commit_killed_before_its_rename_is_completed(self, work, draft):
        draft.commit("checkpoint", write(b"update 100"))
        draft.commit("checkpoint", write(b"update 200"))
        writing = work.draft_directory / "writing"
        writing.mkdir(exist_ok=True)
        (work.draft_directory / "files" / "checkpoint").rename(writing / "checkpoint")
        (work.draft_directory / "files" / "checkpoint").write_bytes(b"update 100")
        assert reopen(work).path("checkpoint").read_bytes() == b"update 200"

    def test_the_replaced_file_serves_where_its_successor_was_lost(self, work, draft):
        draft.commit("checkpoint", write(b"update 100"))
        draft.commit("checkpoint", write(b"update 200"))
        (work.draft_directory / "files" / "checkpoint").write_bytes(b"update 100")
        assert reopen(work).path("checkpoint").read_bytes() == b"update 100"
        assert work.damage == []

    def test_a_draft_of_another_origin_is_put_aside_and_begun_anew(self, work, draft):
        draft.commit("shard-0", write(b"good"))
        journal = work.draft_directory / "journal.jsonl"
        journal.write_text(journal.read_text().replace('"alpha":0.2', '"alpha":0.3'))
        assert reopen(work).names == ()
        assert "journal does not open with its origin" in work.damage[0]
        aside = work.root / "damaged" / f"scores-{work.key}.draft.1"
        assert (aside / "files" / "shard-0").read_bytes() == b"good"

    def test_a_draft_killed_while_it_was_made_is_made_again_silently(self, work):
        (work.draft_directory / "files").mkdir(parents=True)
        with work.lock():
            assert work.draft().names == ()
        assert work.damage == []


class TestFinishing:
    def test_only_what_is_kept_is_in_the_artifact(self, work, draft):
        work.commit_all(draft)
        draft.commit("checkpoints/last", write(b"update 200"))
        artifact = draft.finish({}, keep=["shard-0.bin"])
        assert [record.name for record in artifact.files] == ["shard-0.bin"]
        assert names_in(work.directory) == ["manifest.json", "provenance.json", "shard-0.bin"]
        assert not work.draft_directory.exists()
        assert work.find() == artifact

    def test_an_artifact_may_be_its_statistics_alone(self, draft):
        assert draft.finish({"accuracy": 0.5}).files == ()

    def test_the_environment_is_kept_outside_the_content_hash(self, work, draft, work_at, tmp_path):
        work.commit_all(draft)
        artifact = draft.finish({"shards": 2, "mean_kl": 0.25}, environment={"torch": "2.13.0"})
        assert artifact.environment == {"torch": "2.13.0"}
        assert artifact.content_hash == work_at(tmp_path / "elsewhere").do().content_hash

    def test_keeping_what_is_not_committed_is_refused_and_the_draft_goes_on(self, draft):
        with pytest.raises(KeyError, match="no committed file 'adapter'"):
            draft.finish({}, keep=["adapter"])
        draft.commit("adapter", write(b"a"))
        assert draft.finish({}, keep=["adapter"]).file("adapter").read_bytes() == b"a"

    def test_statistics_json_cannot_hold_are_refused_and_the_draft_goes_on(self, draft):
        with pytest.raises(TypeError, match=r"statistics\.names is a set"):
            draft.finish({"names": {"a"}})
        with pytest.raises(ValueError, match=r"statistics\.loss is nan"):
            draft.finish({"loss": float("nan")})
        assert draft.finish({"loss": 0.5}).statistics == {"loss": 0.5}

    def test_a_finished_draft_is_closed(self, draft):
        draft.finish({})
        for use in (lambda: draft.commit("a", write(b"")), lambda: draft.finish({})):
            with pytest.raises(RuntimeError, match="is finished"):
                use()

    def test_a_file_altered_after_its_commit_is_never_published(self, work, draft):
        draft.commit("shard-0", write(b"good"))
        draft.commit("shard-1", write(b"fine"))
        draft.path("shard-0").write_bytes(b"evil")
        with pytest.raises(
            StoreError, match=r"altered while it was worked on: the content of shard-0 has changed"
        ):
            draft.finish({})
        assert work.find() is None
        assert reopen(work).names == ("shard-1",)

    def test_a_disk_that_fills_up_at_the_end_loses_nothing(self, work, draft, monkeypatch):
        draft.commit("adapter", write(b"a"))
        draft.commit("checkpoint", write(b"update 200"))
        real = os.fsync
        monkeypatch.setattr(os, "fsync", full_disk)
        with pytest.raises(StoreError, match="the disk or quota is full"):
            draft.finish({}, keep=["adapter"])
        monkeypatch.setattr(os, "fsync", real)
        again = reopen(work)
        assert again.names == ("adapter", "checkpoint")
        assert [record.name for record in again.finish({}, keep=["adapter"]).files] == ["adapter"]

    def test_an_artifact_copied_in_meanwhile_is_not_replaced(self, work, draft, work_at, tmp_path):
        copied = work_at(tmp_path / "elsewhere").do()
        work.commit_all(draft)
        copied.directory.rename(work.directory)
        artifact = draft.finish({"shards": 2, "mean_kl": 0.25})
        assert artifact.created_at == copied.created_at
        assert not work.draft_directory.exists()

    def test_a_damaged_leftover_in_its_place_is_put_aside(self, work, draft):
        work.commit_all(draft)
        work.directory.mkdir()
        (work.directory / "manifest.json").write_text("{}")
        artifact = draft.finish({"shards": 2})
        assert work.find() == artifact
        assert "manifest.json is damaged" in work.damage[0]


def half_of_it(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestTheLock:
    def test_a_draft_without_the_lock_is_refused(self, work):
        with pytest.raises(RuntimeError, match="without its lock"):
            work.draft()

    def test_a_draft_outliving_the_lock_is_refused(self, work):
        with work.lock():
            draft = work.draft()
        for use in (lambda: draft.commit("a", write(b"")), lambda: draft.finish({})):
            with pytest.raises(RuntimeError, match="was released before"):
                use()

    def test_a_draft_of_a_finished_artifact_is_refused(self, work):
        work.do()
        with work.lock(), pytest.raises(RuntimeError, match="is finished; ask find under the lock"):
            work.draft()

    def test_a_key_that_is_not_the_key_of_the_work_is_refused(self, work):
        other = "0" * 64
        with work.store.lock("scores", other), pytest.raises(ValueError, match="is not the key"):
            work.store.draft("scores", work.version, other, work.identity, work.inputs)


def test_the_journal_is_readable_json_lines(work, draft):
    draft.commit("shard-0", write(b"good"), seconds=1.5)
    lines = [json.loads(line) for line in (work.draft_directory / "journal.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["open", "commit"]
    assert lines[1]["seconds"] == 1.5
