"""A small piece of work, done through the store as the pipeline does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.store.artifact import Artifact
from lrbench.store.keys import stage_key
from lrbench.store.store import Store

STAGE = "scores"
VERSION = 3
IDENTITY = {"pair": ["expert", "amateur"], "alpha": 0.2, "problems": 256}
INPUTS = {"rollouts": "0" * 64}
FILES = {
    "shard-0.bin": b"the first shard " * 20,
    "shard-1.bin": b"the second shard " * 20,
    "adapter/weights.bin": bytes(range(256)),
    "empty.bin": b"",
}


class Work:
    """One stage's work in the store at `root`: make its files, count how often, report damage."""

    stage, version, identity, inputs = STAGE, VERSION, IDENTITY, INPUTS
    key = stage_key(STAGE, VERSION, IDENTITY, INPUTS)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damage: list[str] = []
        self.made: list[str] = []
        self.new_process()

    def new_process(self) -> None:
        """Forget what this process knows, as a restart does."""
        self.store = Store(self.root, on_damage=self.damage.append)

    @property
    def directory(self) -> Path:
        return self.root / self.stage / self.key

    @property
    def draft_directory(self) -> Path:
        return self.root / self.stage / f"{self.key}.draft"

    def draft(self):
        return self.store.draft(self.stage, self.version, self.key, self.identity, self.inputs)

    def lock(self):
        return self.store.lock(self.stage, self.key)

    def find(self) -> Artifact | None:
        return self.store.find(self.stage, self.key)

    def commit_all(self, draft) -> None:
        for name, content in FILES.items():
            if not draft.has(name):
                draft.commit(name, self.writer(name, content), seconds=0.5)

    def writer(self, name: str, content: bytes) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            self.made.append(name)
            path.write_bytes(content)

        return write

    def do(self) -> Artifact:
        """Find the artifact or make it."""
        with self.lock():
            found = self.find()
            if found is not None:
                return found
            draft = self.draft()
            self.commit_all(draft)
            return draft.finish({"shards": 2, "mean_kl": 0.25})


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "runs")


@pytest.fixture(scope="session")
def work_at() -> type[Work]:
    """Makes the same work in a store at another place."""
    return Work
