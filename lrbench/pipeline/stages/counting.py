"""What is counted while a shard is made, in a JSON file beside it: no later run counts it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lrbench.pipeline.stages.sharding import Place
from lrbench.store.draft import Draft

COUNTS = ".json"


def commit_counts(place: Place, shard: str, counts: Mapping[Any, Any], ending: str = COUNTS) -> None:
    """Commit what was counted of the shard of that name."""
    place.commit(f"{shard}{ending}", partial(Path.write_text, data=json.dumps(counts)))


def counted(draft: Draft, ending: str = COUNTS) -> list[dict[str, Any]]:
    """What was counted of every shard, in the order of their files."""
    return [json.loads(draft.path(name).read_text()) for name in draft.names if name.endswith(ending)]


def summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The sums over all shards; what is in none of them is nought."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def with_counts(shards: Iterable[str]) -> tuple[str, ...]:
    """The files of rollouts in shards of these names, with those of their counts."""
    return tuple(f"{name}{ending}" for name in shards for ending in (COUNTS, ".parquet"))
