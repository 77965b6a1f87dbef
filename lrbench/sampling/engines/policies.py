"""Policies: how the next token is chosen where more than one model, or a rule, has a say in it.

Shapes: B rows, R rows of a model's output layer, V ids that every model has.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.errors import RunError
from lrbench.methods.answers import Gate, Limits, Mix
from lrbench.models.forward import UNUSED_LOGIT
from lrbench.sampling.engines.answered import FORCED
from lrbench.sampling.engines.base import Decoding
from lrbench.sampling.engines.choosing import Choice
from lrbench.sampling.engines.live_signals import SIGNALS, Views
from lrbench.sampling.engines.rows import Row


@dataclass(frozen=True)
class Setting:
    """What may be chosen: an id below `width` that is none of the `no_tokens`; `stop_ids` end an answer."""

    width: int
    no_tokens: tuple[int, ...]
    stop_ids: tuple[int, ...]
    decoding: Decoding
    device: torch.device


class Policy(Choice):
    """A choice among the ids that every model has; the origin of each token is noted in its row."""

    def __init__(self, setting: Setting) -> None:
        known = [token for token in setting.no_tokens if token < setting.width]
        super().__init__(known, setting.decoding, setting.device)
        self.width = setting.width

    def shared(self, logits_BR: Tensor) -> Tensor:
        """The logits (B, V) of the ids that every model has."""
        return logits_BR[:, : self.width]

    def log_p(self, logits_BR: Tensor) -> Tensor:
        """Log-probabilities (B, V) in float32 over the tokens there are; other ids have next to none."""
        return self.usable(self.shared(logits_BR).float()).log_softmax(-1)

    def usable(self, logits_BV: Tensor) -> Tensor:
        """The logits, those of ids that stand for no token far below all others."""
        if not self._no_tokens.numel():
            return logits_BV
        return logits_BV.index_fill(1, self._no_tokens, UNUSED_LOGIT)

    def scored(self, logits_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        """(B, V) what the next tokens are the largest of."""
        return self.scores(logits_BV, [row.stream for row in rows])


class Alone(Policy):
    """One model, by its name."""

    def __init__(self, name: str, setting: Setting) -> None:
        super().__init__(setting)
        self.name = name

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What the model writes."""
        (logits_BR,) = logits
        noted(rows, [self.name] * len(rows))
        return largest(self.scored(self.shared(logits_BR), rows))


class Mixing(Policy):
    """Models whose log-probabilities are weighted and added up; `logits` are of `mix.read`, in that order."""

    def __init__(self, mix: Mix, setting: Setting) -> None:
        super().__init__(setting)
        self.mix = mix

    def mixture(self, log_ps: Sequence[Tensor]) -> Tensor:
        """(B, V) weighted sums of log-probabilities, minus infinity where a token is not plausible.

        With the weights 1 and -1, their softmax is the contrast target of a step (paper, equations 3 to 5).
        """
        weights = [self.mix.mix[name] for name in self.mix.read]
        mixed_BV = torch.zeros_like(log_ps[0])
        for weight, log_p_BV in zip(weights, log_ps, strict=True):
            mixed_BV.add_(log_p_BV, alpha=weight)
        if self.mix.alpha is None:
            return mixed_BV
        least_B1 = log_ps[0].amax(-1, keepdim=True) + math.log(self.mix.alpha)
        return mixed_BV.masked_fill_(log_ps[0] < least_B1, -torch.inf)

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What they write together, and the first alone where the rule does not hold."""
        log_ps = [self.log_p(logits_BR) for logits_BR in logits]
        mixed_BV = self.mixture(log_ps)
        if self.mix.when is None:
            noted(rows, [Mix.word] * len(rows))
            return largest(self.scored(mixed_BV, rows))
        second_BV = log_ps[1] if self.mix.when.reads_second else log_ps[0]
        holds_B = held(self.mix.when, log_ps[0], second_BV, rows)
        noted(rows, [Mix.word if holds else self.mix.first for holds in holds_B.tolist()])
        return largest(self.scored(torch.where(holds_B[:, None], mixed_BV, log_ps[0]), rows))


class Routing(Policy):
    """The second of two models writes where a rule holds, the first all else; `names` are theirs."""

    def __init__(self, gate: Gate, names: tuple[str, str], setting: Setting) -> None:
        super().__init__(setting)
        self.gate = gate
        self.names = names

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What the model writes that each row goes to."""
        first_BV, second_BV = (self.shared(logits_BR).float() for logits_BR in logits)
        log_p_BV = self.log_p(first_BV)
        holds_B = held(
            self.gate, log_p_BV, self.log_p(second_BV) if self.gate.reads_second else log_p_BV, rows
        )
        noted(rows, [self.names[holds] for holds in holds_B.tolist()])
        return largest(self.scored(torch.where(holds_B[:, None], second_BV, first_BV), rows))


class Ruled(Policy):
    """One model whose scores a rule changes; a token that it would not have chosen itself is forced."""

    def __init__(self, name: str, setting: Setting) -> None:
        super().__init__(setting)
        self.name = name
        ends = sorted(set(setting.stop_ids) - set(setting.no_tokens))
        self.ends_V = torch.zeros(setting.width, dtype=torch.bool, device=setting.device)
        self.ends_V[ends] = True

    @abstractmethod
    def ruled(self, scores_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        """The scores as the rule has them."""

    def next_tokens(self, logits: Sequence[Tensor], rows: Sequence[Row]) -> list[int]:
        """What the model writes under the rule."""
        (logits_BR,) = logits
        scores_BV = self.scored(self.shared(logits_BR), rows)
        tokens, own = largest(self.ruled(scores_BV, rows)), largest(scores_BV)
        noted(rows, [self.name if one == other else FORCED for one, other in zip(tokens, own, strict=True)])
        return tokens


class Biased(Ruled):
    """The odds of ending the answer are multiplied by e^`bias`: it is added to the logits of all ends."""

    def __init__(self, bias: float, name: str, setting: Setting) -> None:
        super().__init__(name, setting)
        # Scores are logits, divided by the temperature where there is one.
        self.added_V = self.ends_V * (bias / (setting.decoding.temperature or 1.0))

    def ruled(self, scores_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        """The same at every step."""
        del rows
        return scores_BV + self.added_V


class Budgeted(Ruled):
    """No end before so many tokens, and one at so many; both count the end itself."""

    def __init__(self, limits: Limits, name: str, setting: Setting) -> None:
        super().__init__(name, setting)
        self.limits = limits
        if limits.at_most is not None and not bool(self.ends_V.any()):
            raise RunError("no answer can end within a budget: the model has no token that ends one")

    def ruled(self, scores_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        """Ends are forbidden to rows that are too short, all else to those that are full."""
        numbers = [len(row.written) + 1 for row in rows]
        least, most = self.limits.at_least or 1, self.limits.at_most
        short_B1 = torch.tensor([[number < least] for number in numbers], device=scores_BV.device)
        full_B1 = torch.tensor([[number == most] for number in numbers], device=scores_BV.device)
        return scores_BV.masked_fill(torch.where(self.ends_V, short_B1, full_B1), -torch.inf)


class Forcing(Ruled):
    """A token in place of another at the first `limit` places where either would stand, None for all."""

    def __init__(self, changes: Mapping[int, int], limit: int | None, name: str, setting: Setting) -> None:
        super().__init__(name, setting)
        self.changes = {**{wanted: wanted for wanted in changes.values()}, **changes}
        self.limit = math.inf if limit is None else limit

    def ruled(self, scores_BV: Tensor, rows: Sequence[Row]) -> Tensor:
        """The wanted token has the largest score where the model chose one that is to be replaced."""
        for place, (row, own) in enumerate(zip(rows, largest(scores_BV), strict=True)):
            taken = sum(token in self.changes for token in row.written)
            if own in self.changes and taken < self.limit:
                scores_BV = scores_BV.clone()
                scores_BV[place, self.changes[own]] = torch.inf
        return scores_BV


def held(gate: Gate, first_BV: Tensor, second_BV: Tensor, rows: Sequence[Row]) -> Tensor:
    """(B,) whether the rule holds, from log-probabilities (B, V) of a first and a second model."""
    steps, prompts = [len(row.written) for row in rows], [row.request.prompt for row in rows]
    holds_B: Tensor = gate.holds(SIGNALS[gate.signal](Views(first_BV, second_BV, steps, prompts)))
    return holds_B


def largest(scores_BV: Tensor) -> list[int]:
    """The id with the largest score of each row, of equals the lowest."""
    ids: list[int] = scores_BV.argmax(dim=-1).tolist()
    return ids


def noted(rows: Sequence[Row], origins: Sequence[str]) -> None:
    """Say of every row who has chosen its next token."""
    for row, origin in zip(rows, origins, strict=True):
        row.origins.append(origin)
