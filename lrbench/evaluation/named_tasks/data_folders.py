"""Data sets that lie as folders, `OWNER/NAME` where lrbench is started, read as they are now.

`datasets` keeps what it has made of a folder. Where the folder has a card (README.md) that says which files
are which split, it keeps it under a name in which neither the folder's place nor its content counts, and
takes it for the next folder of that name. Here the content counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrbench.evaluation.named_tasks.replacing import replaced
from lrbench.store.keys import hash_file

OWN_CACHE = "lrbench"


@contextmanager
def folders_as_they_are() -> Iterator[None]:
    """Have `datasets.load_dataset`, which lm-eval calls, keep what it makes of a folder by its content."""
    import datasets

    real = datasets.load_dataset

    def load_dataset(path: str, *arguments: Any, **named: Any) -> Any:
        if Path(path).is_dir():
            kept = Path(datasets.config.HF_DATASETS_CACHE) / OWN_CACHE / _content_of(Path(path))
            named = {"cache_dir": str(kept)} | named
        return real(path, *arguments, **named)

    with replaced(datasets, "load_dataset", load_dataset):
        yield


def _content_of(folder: Path) -> str:
    """The names and contents of all files in a folder, as one hash."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()
