"""Readings: which two models' view of the steps a component looks at, and what such a view holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lrbench.methods.arrays import np
from lrbench.methods.component import AMATEUR, EXPERT

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The model whose likeliest tokens are stored, and the one that these are compared with, by their names.
Reading = tuple[str, str]
PAIR: Reading = (EXPERT, AMATEUR)


class Support(Protocol):
    """The plausible tokens of N steps under two readers, as `lrbench.sampling.scores.Scores` has them.

    Those of step i are the slice `offsets[i]:offsets[i + 1]` of the `support_*` arrays (M,); the reading's
    first model is called expert there, its second amateur. `dropped` (N,) is what the first gives to
    plausible tokens that are not stored, None where there are none.
    """

    @property
    def offsets(self) -> NDArray[np.int64]: ...
    @property
    def support_ids(self) -> NDArray[np.int32]: ...
    @property
    def support_log_p_expert(self) -> NDArray[np.float32]: ...
    @property
    def support_log_p_amateur(self) -> NDArray[np.float32]: ...
    @property
    def dropped(self) -> NDArray[np.float32] | None: ...

    def __len__(self) -> int: ...
