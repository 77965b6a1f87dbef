"""Real logs changed at random: whatever a file holds, it is read or refused, with one message."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError
from lrbench.results.foreign.comparing import compare_files
from lrbench.results.foreign.reading import read_systems, source_of
from lrbench.results.foreign.recording import import_files
from lrbench.results.ledger import Ledger
from tests.results.foreign.support import table
from tests.results.foreign.test_real_logs import LOGS

FILES = sorted(
    path
    for path in LOGS.rglob("*")
    if path.suffix in (".jsonl", ".json", ".eval") and path.parent.name != "tasks"
)
VALUES: list[Any] = [
    None, True, -1, 1e300, "", "x" * 300, [], {}, [[]], {"a": 1}, "\ud800", float("nan"), 0, "C", 2**70,
]  # fmt: skip


def changed(value: Any, chance: random.Random) -> Any:
    """A value with one place of it removed or replaced."""
    if isinstance(value, dict) and value:
        name = chance.choice(list(value))
        if chance.random() < 0.25:
            del value[name]
        else:
            value[name] = changed(value[name], chance) if chance.random() < 0.7 else chance.choice(VALUES)
        return value
    if isinstance(value, list) and value:
        place = chance.randrange(len(value))
        value[place] = changed(value[place], chance) if chance.random() < 0.7 else chance.choice(VALUES)
        return value
    return chance.choice(VALUES)


def damaged(path: Path, chance: random.Random) -> bytes:
    """The file with values changed where it is JSON, or with bytes flipped, left out or put in."""
    if path.suffix != ".eval" and chance.random() < 0.7:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        values = [json.loads(line) for line in lines]
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(values))
            values[place] = changed(values[place], chance)
        return "\n".join(map(json.dumps, values)).encode()
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(content))
        how = chance.random()
        if how < 0.5:
            content[place] = chance.randrange(256)
        elif how < 0.75:
            del content[place : place + chance.randint(1, 50)]
        else:
            content[place:place] = chance.randbytes(chance.randint(1, 20))
    return bytes(content)


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_file_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    told, read = [], 0
    for number in range(60):
        original = chance.choice(FILES)
        folder = tmp_path / str(number)
        shutil.copytree(original.parent, folder)
        path = folder / original.name
        path.write_bytes(damaged(original, chance))
        try:
            read_systems([source_of(str(path))], chance.choice([None, "acc_norm", "match/x"]))
            compare_files([f"as_it_was={original}", f"changed={path}"])
            import_files([f"changed={path}"], folder / "runs")
        except DataError as error:
            told.append(str(error))
        else:
            assert Ledger(folder / "runs" / "ledger").read().broken == ()
            read += 1
    assert all(len(message.splitlines()) == 1 for message in told)
    assert min(read, len(told)) > 3


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    chance = random.Random(0)
    other = table(tmp_path / "other.csv", "10")
    for name in ("a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.eval", "a"):
        for size in (1, 100, 5000):
            (tmp_path / name).write_bytes(chance.randbytes(size))
            with pytest.raises(DataError):
                compare_files([str(tmp_path / name), str(other)])
