"""What else is tried at the steps of rollouts, and what became of each, as files.

Shapes: N steps, C steps of a chunk, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lrbench.methods.signals import draws
from lrbench.methods.steps import Columns, column, unscored
from lrbench.sampling.rollouts import Rollout

if TYPE_CHECKING:
    from lrbench.models.loading import Model
    from lrbench.models.vocabulary import SharedVocabulary
    from lrbench.sampling.scores import Scores

SCHEMA = pa.schema(
    [("rollout", pa.int32()), ("step", pa.int32()), ("tried", pa.int32()), ("failed", pa.int32())]
)


@dataclass(frozen=True)
class Trial(ABC):
    """Something else at `step` of the rollout that is number `rollout` of its source, and is continued."""

    rollout: int
    step: int

    @abstractmethod
    def begun(self, rollout: Rollout) -> tuple[int, ...]:
        """What the completion begins with instead."""

    def prompt(self, rollout: Rollout) -> tuple[int, ...]:
        """What is continued."""
        return (*rollout.prompt_ids, *self.begun(rollout))

    def completion(self, rollout: Rollout, written: Sequence[int]) -> tuple[int, ...]:
        """What the rollout becomes when `written` follows."""
        return (*self.begun(rollout), *written)


@dataclass(frozen=True)
class OtherToken(Trial):
    """The rollout up to the step, and `token` in the place of its own."""

    token: int

    def begun(self, rollout: Rollout) -> tuple[int, ...]:
        """Its tokens before the step, and the other one."""
        return (*rollout.completion_ids[: self.step], self.token)


@dataclass(frozen=True)
class Shorter(Trial):
    """The rollout without some of its lines, of which `step` counts the first, as far as `begins`."""

    begins: tuple[int, ...]

    def begun(self, rollout: Rollout) -> tuple[int, ...]:
        """As it says, whatever the rollout has there."""
        return self.begins


def tried_steps(
    lengths: Sequence[int], stride: int, cap: int | None, among_N: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """(N,) which steps of rollouts with these lengths are tried: every `stride`-th, of all at most `cap`.

    `among_N` are those at which there is anything to try. Where there are more than `cap`, those are taken
    whose lots are smallest, which depend on rollout and step alone.
    """
    steps = unscored(lengths)
    tried_N: NDArray[np.bool_] = steps.step % stride == 0
    if among_N is not None:
        tried_N &= among_N
    if cap is not None and tried_N.sum() > cap:
        places = np.flatnonzero(tried_N)
        lots = draws(steps.rollout[places], steps.step[places], 0)
        tried_N = np.zeros(len(steps), dtype=np.bool_)
        tried_N[places[np.argsort(lots, kind="stable")[:cap]]] = True
    return tried_N


def differing(scores: Scores, rollouts: Sequence[Rollout]) -> NDArray[np.bool_]:
    """(N,) where the second model of the scores would write neither what the first would nor what was."""
    own_N = np.array([token for each in rollouts for token in each.completion_ids], dtype=np.int64)
    other_N: NDArray[np.bool_] = (scores.top1_expert != scores.top1_amateur) & (own_N != scores.top1_amateur)
    return other_N


def likeliest_others(
    model: Model, vocabulary: SharedVocabulary, rollouts: Sequence[Rollout], count: int
) -> NDArray[np.int64]:
    """(N, count) at each step of `rollouts` the likeliest tokens besides its own; equals by their id."""
    import torch

    from lrbench.models.forward import TOKENS_PER_FORWARD, chunk_size, length_batches, output_logits
    from lrbench.sampling.scoring import step_hidden_states

    found: list[NDArray[np.int64]] = [np.zeros((0, count), dtype=np.int64)] * len(rollouts)
    most = TOKENS_PER_FORWARD[model.device.type]
    with torch.no_grad():
        for indices in length_batches([len(each.token_ids) for each in rollouts], len(rollouts), most):
            batch = [rollouts[index] for index in indices]
            own_N = torch.tensor([token for each in batch for token in each.completion_ids])
            states = torch.split(step_hidden_states(model, batch), chunk_size(vocabulary))
            chunks = zip(states, torch.split(own_N.to(model.device), chunk_size(vocabulary)), strict=True)
            others_N = np.concatenate(
                [
                    _others(output_logits(model, states_CD, vocabulary), own_C, count)
                    for states_CD, own_C in chunks
                ]
            )
            ends = np.cumsum([each.steps for each in batch])[:-1]
            for index, others in zip(indices, np.split(others_N, ends), strict=True):
                found[index] = others
    return np.concatenate(found) if found else np.zeros((0, count), dtype=np.int64)


def _others(logits_CV: Any, own_C: Any, count: int) -> NDArray[np.int64]:
    """(C, count) the largest but the own ones."""
    import torch

    logits_CV = logits_CV.float().scatter(1, own_C.unsqueeze(-1), -torch.inf)
    # A stable sort leaves equals in the order of their ids, which `topk` does not promise.
    best_CK = torch.sort(logits_CV, dim=-1, descending=True, stable=True).indices[:, :count]
    found: NDArray[np.int64] = best_CK.cpu().numpy()
    return found


def write_verdicts(path: Path, verdicts: Iterable[tuple[Trial, bool]]) -> None:
    """Write how often something else was tried at every step at which it was, and how often it `failed`."""
    tried: dict[tuple[int, int], int] = {}
    failed: dict[tuple[int, int], int] = {}
    for trial, fails in verdicts:
        place = trial.rollout, trial.step
        tried[place] = tried.get(place, 0) + 1
        failed[place] = failed.get(place, 0) + fails
    places = sorted(tried)
    columns = {
        "rollout": [rollout for rollout, _ in places],
        "step": [step for _, step in places],
        "tried": [tried[place] for place in places],
        "failed": [failed[place] for place in places],
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd")


@dataclass(frozen=True)
class Verdicts:
    """What was tried of a whole source, in the order of rollouts and steps, each (K,)."""

    rollout: NDArray[np.int32]
    step: NDArray[np.int32]
    tried: NDArray[np.int32]
    failed: NDArray[np.int32]

    def view(self, lengths: Sequence[int], first_rollout: int = 0) -> Columns:
        """The columns of rollouts of these lengths, which begin at number `first_rollout` of the source.

        Where nothing was tried they are not a number.
        """
        bare = unscored(lengths, first_rollout)
        start, stop = np.searchsorted(self.rollout, [first_rollout, first_rollout + len(lengths)])
        begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = begins[self.rollout[start:stop] - first_rollout] + self.step[start:stop]
        tried_N, failed_N = (np.full(len(bare), np.nan, dtype=np.float32) for _ in range(2))
        tried_N[places], failed_N[places] = self.tried[start:stop], self.failed[start:stop]
        return Columns(bare.rollout, bare.step, tried=tried_N, failed=failed_N)


def divergent_steps(
    lengths: Sequence[int],
    differing_N: NDArray[np.bool_],
    answered: Sequence[bool],
    verdicts: Verdicts,
) -> NDArray[np.int8]:
    """(N,) 1 where the other model's token led to another answer, 0 where not or where it writes the same.

    It is -1 where nobody knows: the token is another one and was not tried, or the rollout, which has so many
    steps, is not `answered`.
    """
    view = verdicts.view(lengths)
    labels_N: NDArray[np.int8] = np.where(differing_N, -1, 0).astype(np.int8)
    tried_N = column(view, "tried") > 0
    labels_N[tried_N] = (column(view, "failed") > 0)[tried_N]
    labels_N[~np.repeat(np.asarray(answered, dtype=np.bool_), lengths)] = -1
    return labels_N


def read_verdicts(paths: Sequence[Path]) -> Verdicts:
    """What was tried, of all files, in the order of rollouts and steps."""
    tables = [pq.read_table(path, schema=SCHEMA) for path in paths]
    table = pa.concat_tables([SCHEMA.empty_table(), *tables])
    columns = {name: table[name].to_numpy() for name in SCHEMA.names}
    order = np.lexsort((columns["step"], columns["rollout"]))
    return Verdicts(**{name: column[order] for name, column in columns.items()})
