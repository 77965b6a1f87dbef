"""Stages answer for themselves: nobody asks which one it is, and shards are worked through once."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lrbench.pipeline import stages
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.stages.base import Stage
from lrbench.pipeline.stages.sharding import Shard, Shards
from lrbench.store.keys import stage_key
from lrbench.store.store import Store

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "lrbench").rglob("*.py"))


def stage_classes() -> dict[str, str]:
    """Every class of stages by name, with the file that it is written in."""
    for module in pkgutil.iter_modules(stages.__path__, f"{stages.__name__}."):
        importlib.import_module(module.name)

    def below(kind: type[Stage]) -> Iterator[type[Stage]]:
        yield kind
        for further in kind.__subclasses__():
            yield from below(further)

    found = [kind for kind in below(Stage) if kind.__module__.startswith(stages.__name__)]
    return {kind.__name__: f"{kind.__module__.replace('.', '/')}.py" for kind in found}


def kinds_asked_for(source: str) -> Iterator[str]:
    """The names of classes that code compares the class of something with."""
    for node in ast.walk(ast.parse(source)):
        compared: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                compared = node.args[1:]
        elif isinstance(node, ast.MatchClass):
            compared = [node.cls]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_class_of(side) for side in sides):
                compared = sides
        for part in compared:
            for name in ast.walk(part):
                if isinstance(name, ast.Name):
                    yield name.id
                elif isinstance(name, ast.Attribute):
                    yield name.attr


def _is_class_of(side: ast.expr) -> bool:
    """`type(stage)` or `stage.__class__`."""
    if isinstance(side, ast.Attribute):
        return side.attr == "__class__"
    return isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "type"


def test_every_stage_is_looked_for() -> None:
    known = {"Stage", "RolloutSource", "PairScores", "TrainedAdapter", "BenchmarkScore"}
    assert known <= set(stage_classes())


def test_nobody_but_its_own_module_asks_whether_something_is_a_stage_of_some_kind() -> None:
    classes = stage_classes()
    asked = {}
    for path in SOURCES:
        place = str(path.relative_to(ROOT))
        others = {name for name, written_in in classes.items() if written_in != place}
        asked[place] = others & set(kinds_asked_for(path.read_text(encoding="utf-8")))
    assert {place: names for place, names in asked.items() if names} == {}


@pytest.mark.parametrize(
    "asking",
    [
        "isinstance(stage, TrainedAdapter)",
        "isinstance(stage, training.TrainedAdapter | PairScores)",
        "issubclass(kind, (PairScores, TrainedAdapter))",
        "type(stage) is TrainedAdapter",
        "stage.__class__ == TrainedAdapter",
        "match stage:\n    case TrainedAdapter():\n        pass",
    ],
)
def test_every_way_of_asking_is_seen(asking: str) -> None:
    assert "TrainedAdapter" in set(kinds_asked_for(asking))
    assert not set(kinds_asked_for("stage: TrainedAdapter = TrainedAdapter(); isinstance(stage, int)")) - {
        "int"
    }


# Shards


def test_shards_are_the_same_whatever_was_done_before(tmp_path: Path) -> None:
    """Killed in the second of three shards, then gone on with: each is made once, of the same units."""
    shards, letters, made = Shards(7, 3, ".txt"), "abcdefg", []
    store, key = Store(tmp_path), stage_key("letters", 1, {}, {})

    def make(shard: Shard[str], dies_at: str) -> Callable[[Path], object]:
        if dies_at in shard.units:
            raise KeyboardInterrupt
        text = "".join(shard.units)
        made.append(text)
        return lambda path: path.write_text(text)

    with store.lock("letters", key):
        draft = store.draft("letters", 1, key, {}, {})
        with pytest.raises(KeyboardInterrupt):
            shards.finish(letters, draft, list(shards.spans), Silent(), partial(make, dies_at="e"))
        draft.let_go()
    with store.lock("letters", key):
        draft = store.draft("letters", 1, key, {}, {})
        assert shards.receive(shards.spans, draft, Silent()) == ["part-00001", "part-00002"]
        seen = list(shards.work(letters, draft, Silent(), partial(make, dies_at="never")))
        assert shards.receive(shards.spans, draft, Silent()) == []
        assert [draft.path(name).read_text() for name in draft.names] == ["abc", "def", "g"]
    assert made == ["abc", "def", "g"]
    assert [(shard.name, shard.span) for shard in seen] == [
        ("part-00000", range(3)),
        ("part-00001", range(3, 6)),
        ("part-00002", range(6, 7)),
    ]
