"""Samples: rollouts with their kept steps and targets; all that training reads.

On disk they are `steps.parquet` with one row per kept step, and the files of the rollouts that these are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lrbench.methods.ingredients import Ingredients
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.selector import Keeps, Parts, Selector
from lrbench.methods.steps import Steps, Views, taken, unscored
from lrbench.methods.targets import Targets
from lrbench.sampling.rollouts import Rollout, StoredRollouts
from lrbench.sampling.scores import Scores, keep_covered

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

# Where earlier versions have a copy of the rollouts beside the steps.
ROLLOUTS_FILE = "rollouts.parquet"
STEPS_FILE = "steps.parquet"
STEPS_PER_GROUP = 2**16
SCHEMA = pa.schema(
    [
        ("rollout", pa.int32()),
        ("step", pa.int32()),
        ("kl", pa.float32()),
        ("ids", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Samples:
    """Kept steps in rollout order: `rollout`, `step` and `kl` are (N,); `kl` is NaN where unscored."""

    rollouts: Sequence[Rollout]
    rollout: NDArray[np.int32]
    step: NDArray[np.int32]
    kl: NDArray[np.float32]
    targets: Targets

    def __len__(self) -> int:
        return len(self.step)


def kept_steps(views: Views, selector: Selector, least_mass: float | None = None) -> NDArray[np.bool_]:
    """(N,) True where a completed selector keeps a step of the whole source, as `keeper` has it."""
    return keeper(selector, lambda: [views], least_mass)(views)


def keeper(selector: Selector, parts: Parts, least_mass: float | None) -> Keeps:
    """What keeps steps of one part of the source after the other; `parts` are all of them.

    Of a pair that is aligned by tokens, a selector sees the steps alone that its shared tokens cover with
    `least_mass`: no others are kept, nor counted where as many are kept as elsewhere, or a share of all.
    """
    if least_mass is None:
        return selector.keeper(parts)
    least = least_mass
    keeps = selector.keeper(lambda: (taken(views, _covered(views, least)) for views in parts()))

    def kept(views: Views) -> NDArray[np.bool_]:
        kept_N = _covered(views, least)
        kept_N[kept_N] = keeps(taken(views, kept_N))
        return kept_N

    return kept


def _covered(views: Views, least_mass: float) -> NDArray[np.bool_]:
    """(N,) True where every reading that is aligned by tokens covers as much, which is the pair's alone."""
    covered_N = np.ones(len(next(iter(views.values()))), dtype=np.bool_)
    for steps in views.values():
        if isinstance(steps, Scores) and steps.covered is not None:
            covered_N &= keep_covered(steps, least_mass)
    return covered_N


def build_samples(
    rollouts: Sequence[Rollout],
    views: Mapping[Reading, Scores],
    ingredients: Ingredients,
    least_mass: float | None = None,
    kept: NDArray[np.bool_] | None = None,
    first_rollout: int = 0,
) -> Samples:
    """Apply completed ingredients to rollouts and the `views` of them that are scored, which may be none.

    `kept` (N,) is what the selector's `keeper` keeps where these are a part of a source; then the rollouts
    that the views name are counted from the source's first, and `first_rollout` is the first of this part.
    """
    own_N = np.array([token for rollout in rollouts for token in rollout.completion_ids], dtype=np.int32)
    unseen = {PAIR: unscored([rollout.steps for rollout in rollouts], first_rollout)}
    seen: Mapping[Reading, Steps] = views or unseen
    if kept is None:
        kept = keeper(ingredients.selector, lambda: [seen], least_mass)(seen)
    steps = next(iter(seen.values()))
    kl = views[PAIR].kl if PAIR in views else np.full(len(kept), np.nan, dtype=np.float32)
    targets = ingredients.targets(own_N[kept], kept, views)
    rollout = steps.rollout[kept] - np.int32(first_rollout)
    return Samples(rollouts, rollout, steps.step[kept], kl[kept], targets)


def write_steps(path: Path, parts: Iterable[Samples]) -> int:
    """Write the kept steps of samples that follow one another as Parquet; returns how many there are.

    Rollouts are numbered through all parts. No more than a row group and one part are in memory.
    """
    steps = rollouts = 0
    waiting: list[pa.Table] = []
    # Few values repeat exactly; dictionaries of them would take longer to write and more room.
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False) as writer:
        for part in parts:
            waiting.append(_steps_table(part, rollouts))
            rollouts += len(part.rollouts)
            steps += len(part)
            if sum(table.num_rows for table in waiting) >= STEPS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        writer.write_table(pa.concat_tables([SCHEMA.empty_table(), *waiting]))
    return steps


def _steps_table(samples: Samples, first_rollout: int) -> pa.Table:
    offsets = pa.array(samples.targets.offsets, pa.int32())
    return pa.table(
        {
            "rollout": samples.rollout + np.int32(first_rollout),
            "step": samples.step,
            "kl": samples.kl,
            "ids": pa.ListArray.from_arrays(offsets, pa.array(samples.targets.ids)),
            "weights": pa.ListArray.from_arrays(offsets, pa.array(samples.targets.weights)),
        },
        schema=SCHEMA,
    )


def read_samples(rollouts_paths: Sequence[Path], steps_path: Path) -> Samples:
    """Read samples back, exactly as they were built; rollouts are numbered through all their files.

    The kept steps are in memory, at about 40 bytes each; rollouts are read as they are asked for.
    """
    table = pq.read_table(steps_path, schema=SCHEMA).combine_chunks()
    ids, weights = table["ids"].combine_chunks(), table["weights"].combine_chunks()
    offsets = ids.offsets.to_numpy().astype(np.int64)
    targets = Targets(offsets - offsets[0], ids.flatten().to_numpy(), weights.flatten().to_numpy())
    columns = {name: table[name].to_numpy() for name in ("rollout", "step", "kl")}
    return Samples(rollouts=StoredRollouts(rollouts_paths), targets=targets, **columns)


def export_rows(samples: Samples, tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    """Kept steps in the fields of the reference implementation's files, one mapping each."""
    targets = samples.targets
    for index in range(len(samples)):
        rollout = samples.rollouts[samples.rollout[index]]
        step = int(samples.step[index])
        span = slice(targets.offsets[index], targets.offsets[index + 1])
        token_ids = targets.ids[span].tolist()
        yield {
            "prompt_id": rollout.problem_id,
            "step": step,
            "prefix": tokenizer.decode(rollout.token_ids[: len(rollout.prompt_ids) + step]),
            "tokens": [tokenizer.decode([token]) for token in token_ids],
            "token_ids": token_ids,
            "weights": targets.weights[span].tolist(),
            "kl_divergence": float(samples.kl[index]) if np.isfinite(samples.kl[index]) else None,
        }


def rollout_bounds(samples: Samples) -> NDArray[np.int64]:
    """(G + 1,) where the kept steps of each of the G rollouts that have any begin; last, how many all are."""
    starts = np.flatnonzero(np.diff(samples.rollout, prepend=np.int32(-1)))
    return np.append(starts, len(samples))
