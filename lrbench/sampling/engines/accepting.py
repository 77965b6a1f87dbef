"""Reverse speculative decoding: one model draws tokens, and another takes them or draws its own.

Both go forward in lockstep over what is taken. Shapes: B rows, V ids that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from lrbench.methods.answers import Answer
from lrbench.sampling.engines.choosing import gumbel_noise, nucleus
from lrbench.sampling.engines.lockstep import Phase
from lrbench.sampling.engines.policies import Policy, Setting
from lrbench.sampling.engines.rows import Row

# The models of an engine that does so, and the origins of its tokens.
WRITER, JUDGE = "drawing", "judging"
# What the judge draws comes from a stream of its own: the seed's own is the writer's.
JUDGING = 2**60


class Accepted(Answer):
    """What the writer draws and the judge takes: it has a probability of at least `above` there.

    A token is also to be among the judge's `top` likeliest, None for all. After `tries` draws in vain the
    judge draws one of these itself.
    """

    word: ClassVar[str] = "accepted"

    above: float
    tries: int
    top: int | None

    @property
    def models(self) -> frozenset[str]:
        """Both."""
        return frozenset({WRITER, JUDGE})

    def phases(self) -> tuple[Phase, ...]:
        """A single one, to the end."""
        return (Phase((WRITER, JUDGE), partial(Accepting, self)),)


class Accepting(Policy):
    """Draws of the first of two models that the second takes, and else a draw of the second.

    With `top_p` both draw from a nucleus; what is taken goes by whole distributions.
    """

    def __init__(self, rule: Accepted, setting: Setting) -> None:
        super().__init__(setting)
        self.rule = rule
        self._judging: dict[int, torch.Generator] = {}

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """One token a row; a row that is taken at once has drawn no more than by itself."""
        written_BV, judged_BV = (self._at_temperature(self.shared(logits_BR)) for logits_BR in logits)
        log_p_BV = judged_BV.log_softmax(-1)
        if self.top_p < 1:
            written_BV, judged_BV = nucleus(written_BV, self.top_p), nucleus(judged_BV, self.top_p)
        taken_BV = log_p_BV.exp() >= self.rule.above
        if self.rule.top is not None and self.rule.top < log_p_BV.shape[-1]:
            likely_BV = torch.zeros_like(taken_BV)
            likely_BV.scatter_(1, log_p_BV.topk(self.rule.top, dim=-1).indices, True)
            taken_BV &= likely_BV
            judged_BV = judged_BV.masked_fill(~likely_BV, -torch.inf)
        tokens = [-1] * len(rows)
        waiting = list(range(len(rows)))
        for _ in range(self.rule.tries):
            if not waiting:
                break
            drawn_B = self._drawn(written_BV[waiting], [rows[place].stream for place in waiting])
            is_taken = taken_BV[waiting].gather(1, drawn_B[:, None])[:, 0].tolist()
            for place, token, is_fine in zip(waiting, drawn_B.tolist(), is_taken, strict=True):
                if is_fine:
                    tokens[place] = token
                else:
                    rows[place].in_vain += 1
            waiting = [place for place in waiting if tokens[place] < 0]
        for row, token in zip(rows, tokens, strict=True):
            row.origins.append(JUDGE if token < 0 else WRITER)
        if waiting:
            streams = [self._stream_of(rows[place]) for place in waiting]
            drawn_B = self._drawn(judged_BV[waiting], streams)
            for place, token in zip(waiting, drawn_B.tolist(), strict=True):
                tokens[place] = token
        return tokens

    def _at_temperature(self, logits_BV: Tensor) -> Tensor:
        scores_BV = logits_BV.float()
        if self._no_tokens.numel():
            scores_BV = scores_BV.index_fill(1, self._no_tokens, -torch.inf)
        return scores_BV / self.temperature

    def _drawn(self, scores_BV: Tensor, streams: Sequence[torch.Generator | None]) -> Tensor:
        """(B,) one token a row."""
        return (scores_BV + gumbel_noise(streams, scores_BV)).argmax(dim=-1)

    def _stream_of(self, row: Row) -> torch.Generator:
        """The stream of what the judge draws in a row."""
        if row.index not in self._judging:
            stream = torch.Generator(self._device).manual_seed(row.request.seed + JUDGING)
            self._judging[row.index] = stream
        return self._judging[row.index]
