"""Targets: what is learnt at a kept step, as components, and the sparse distributions that they make.

N steps hold M target tokens in all; the target of step i is the slice `offsets[i]:offsets[i + 1]`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_serializer, model_validator

from lrbench.methods.arrays import np
from lrbench.methods.component import AMATEUR, EXPERT, Component
from lrbench.methods.families import CLASS_MARK, Family
from lrbench.methods.readings import PAIR, Reading, Support

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A target that leaves out more of a step's probability than this is told of.
MOST_LEFT_OUT = 0.1


@dataclass(frozen=True)
class Targets:
    """Sparse distributions over token ids: `offsets` (N + 1,), `ids` (M,), `weights` (M,)."""

    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Target(Component):
    """Base of all targets. `weight` is the share that one of several parts has.

    `use` says which target it is.
    """

    weight: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    def contrasts(self) -> bool:
        """Whether it prefers what the second model would rather not write."""
        return False

    @property
    def own_share(self) -> float:
        """How much of it is on the rollout's own token, as a label."""
        return 0.0

    @property
    def leaves_out_odd(self) -> bool:
        """Whether nothing is learnt where its largest weight is on an odd token (`sampling/oddity.py`)."""
        return False

    @property
    def covers(self) -> bool:
        """Whether it gives something to every token, so also to those that are not stored."""
        return False

    @property
    def plausible_from(self) -> float | None:
        """The share of the largest probability that every token of it has; None where there is no rule."""
        return None

    @property
    def readings(self) -> frozenset[Reading]:
        """The views of the steps that it is made from; none where a rollout's own tokens are enough."""
        return frozenset()

    @property
    def models(self) -> frozenset[str]:
        """The models behind its readings."""
        return frozenset(model for reading in self.readings for model in reading)

    @property
    def thresholds(self) -> frozenset[str]:
        """The fields of `divergence` that it takes its settings from."""
        return frozenset()

    def completed(self, alpha: float) -> Target:
        """The target with the recipe's `alpha` where it has none of its own."""
        return self

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """What is learnt at the K kept steps: `kept` is (N,), `own_ids` the rollouts' own tokens (K,)."""
        raise NotImplementedError

    def outcomes(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """The same, where weights sum to 1 less what is on tokens that are not stored."""
        return self.distributions(own_ids, kept, scores)

    def lost(self, scores: Mapping[Reading, Support]) -> NDArray[np.float64]:
        """(N,) the share of each step's target that is not stored, so left out; empty where none can be."""
        return np.zeros(0)

    def remark(self, lost: NDArray[np.float64]) -> str | None:
        """What to say of the `lost` shares at kept steps (K,), where any of them is large."""
        too_little = int((lost > MOST_LEFT_OUT).sum())
        if not too_little:
            return None
        return (
            f"at {too_little:,} of {len(lost):,} kept steps the target is over the likeliest tokens alone, "
            f"which leaves out more than {MOST_LEFT_OUT:.0%} of their probability; a higher "
            "divergence.alpha, or a more certain expert, leaves out less"
        )

    def refusal(self, lost: NDArray[np.float64]) -> str | None:
        """Why nothing should be learnt from a target that loses so much (K,); None where it may."""
        return None


class OwnToken(Target):
    """All weight on the token that the rollout itself has."""

    word: ClassVar[str] = "own_token"

    use: Literal["own_token"] = "own_token"

    @property
    def own_share(self) -> float:
        """All of it."""
        return 1.0

    @property
    def identity(self) -> Mapping[str, Any]:
        """Its name."""
        return {"target": self.word}

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """One token each."""
        return own_token(own_ids)


class Contrast(Target):
    """What the first model prefers to the second (paper, equations 4 and 5): softmax of log p_E - log p_A.

    It is over the tokens that are plausible to `of`, which have at least `alpha` of its largest probability
    (null: `divergence.alpha`). `minus` is the model that they are set against. With `leave_out_odd` nothing
    is learnt where its favourite is a token that the writer of the rollouts hardly ever writes there.
    """

    word: ClassVar[str] = "contrast"

    use: Literal["contrast"] = "contrast"
    of: str = EXPERT
    minus: str = AMATEUR
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    leave_out_odd: bool = False

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        written = super()._shortest(handler)
        # Without its defaults a record would not say which target has this.
        return {"use": self.use} | written if self.leave_out_odd else written

    @property
    def leaves_out_odd(self) -> bool:
        """Where it is asked for."""
        return self.leave_out_odd

    @property
    def contrasts(self) -> bool:
        """It does."""
        return True

    @property
    def plausible_from(self) -> float | None:
        """As completed."""
        return self.alpha

    @property
    def readings(self) -> frozenset[Reading]:
        """Of its two models."""
        return frozenset({(self.of, self.minus)})

    @property
    def thresholds(self) -> frozenset[str]:
        """The plausibility threshold, where it has none of its own."""
        return frozenset() if self.alpha is not None else frozenset({"alpha"})

    @property
    def identity(self) -> Mapping[str, Any]:
        """The threshold, and its models where they are not the pair."""
        models = {} if (self.of, self.minus) == PAIR else {"of": self.of, "minus": self.minus}
        odd = {"odd": "left out"} if self.leave_out_odd else {}
        return {"target": self.word, "alpha": self.alpha} | models | odd

    def completed(self, alpha: float) -> Contrast:
        """With the recipe's threshold."""
        return self.model_copy(update={"alpha": alpha}) if self.alpha is None else self

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """Over the plausible tokens."""
        return contrast(scores[self.of, self.minus], kept, _known(self.alpha))

    def lost(self, scores: Mapping[Reading, Support]) -> NDArray[np.float64]:
        """What plausible tokens have that are beyond the most that are stored."""
        return left_out(scores[self.of, self.minus], _known(self.alpha))


class Plausible(Target):
    """The same weight on every token that is plausible to the expert: a control without an amateur.

    A token is plausible with at least `alpha` of the largest probability (null: `divergence.alpha`).
    """

    word: ClassVar[str] = "plausible"

    use: Literal["plausible"] = "plausible"
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None

    @property
    def plausible_from(self) -> float | None:
        """As completed."""
        return self.alpha

    @property
    def readings(self) -> frozenset[Reading]:
        """Of the pair, though only what the expert thinks is used."""
        return frozenset({PAIR})

    @property
    def thresholds(self) -> frozenset[str]:
        """The plausibility threshold, where it has none of its own."""
        return frozenset() if self.alpha is not None else frozenset({"alpha"})

    @property
    def identity(self) -> Mapping[str, Any]:
        """The threshold."""
        return {"target": self.word, "alpha": self.alpha}

    def completed(self, alpha: float) -> Plausible:
        """With the recipe's threshold."""
        return self.model_copy(update={"alpha": alpha}) if self.alpha is None else self

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """Flat over the plausible tokens."""
        return flat(scores[PAIR], kept, _known(self.alpha))

    def lost(self, scores: Mapping[Reading, Support]) -> NDArray[np.float64]:
        """What plausible tokens have that are beyond the most that are stored."""
        return left_out(scores[PAIR], _known(self.alpha))


class Soft(Target):
    """A model's own distribution at `temperature`, over the tokens of it that are stored.

    `of` is the model; of what is stored the `top_k` likeliest tokens are taken (null: all). The rest is left
    out and said; where it is more than a tenth on average, `truncate: true` has to ask for it.
    """

    word: ClassVar[str] = "soft"

    use: Literal["soft"]
    of: str = EXPERT
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_k: Annotated[int, Field(ge=1)] | None = None
    truncate: bool = False

    @property
    def _reading(self) -> Reading:
        return PAIR if self.of == EXPERT else (self.of, EXPERT)

    @property
    def label(self) -> str:
        """Whose distribution it is."""
        return f"soft of {self.of}"

    @property
    def covers(self) -> bool:
        """A model gives every token something."""
        return True

    @property
    def readings(self) -> frozenset[Reading]:
        """The one that stores what is likeliest to its model."""
        return frozenset({self._reading})

    @property
    def identity(self) -> Mapping[str, Any]:
        """The model's role, the temperature, and how many tokens."""
        return {
            "target": self.word,
            "of": self.of,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "truncate": self.truncate,
        }

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """p^(1/T), renormalised over what is stored."""
        return soft(scores[self._reading], kept, self.temperature, self.top_k)

    def outcomes(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """p^(1/T), renormalised over what is stored and all else as one outcome."""
        support, rest = scores[self._reading], self.lost(scores)
        return soft(support, kept, self.temperature, self.top_k, rest)

    def lost(self, scores: Mapping[Reading, Support]) -> NDArray[np.float64]:
        """The model's probability of the tokens that are not taken, at temperature 1."""
        support = scores[self._reading]
        taken = likeliest(support, self.top_k)
        probability = np.exp(support.support_log_p_expert.astype(np.float64)) * taken
        sums = np.add.reduceat(probability, support.offsets[:-1]) if len(support) else np.zeros(0)
        lost: NDArray[np.float64] = np.clip(1.0 - sums, 0.0, 1.0)
        return lost

    def remark(self, lost: NDArray[np.float64]) -> str | None:
        """How much of the model's probability is left out, where it is any to speak of."""
        if not len(lost) or lost.max() < 0.001:
            return None
        return (
            f"what is not stored of {self.of}, on average {lost.mean():.1%} of its probability and at most "
            f"{lost.max():.1%}, is left out"
        )

    def refusal(self, lost: NDArray[np.float64]) -> str | None:
        """More than a tenth on average has to be asked for."""
        if self.truncate or not len(lost) or lost.mean() <= MOST_LEFT_OUT:
            return None
        return (
            f"what is stored of {self.of} lacks {lost.mean():.1%} of its probability on average, and a soft "
            f"target that lacks more than {MOST_LEFT_OUT:.0%} is another target. A lower "
            "divergence.alpha_min stores more, a higher top_k takes more, and `truncate: true` asks for it "
            "as it is"
        )


PARTS: tuple[type[Target], ...] = (OwnToken, Contrast, Plausible, Soft)
Part = Annotated[Target, Family(PARTS, by="use", base=Target)]


class Mixture(Target):
    """Several targets, each with its `weight`; the weights sum to 1."""

    word: ClassVar[str] = "mixture"

    # Written as the list itself: the mark keeps the field's name out of the paths that messages show.
    parts: Annotated[
        tuple[Part, ...], Field(min_length=1, strict=False, validation_alias=f"{CLASS_MARK}parts")
    ]

    @model_validator(mode="before")
    @classmethod
    def _list_alone(cls, value: object) -> object:
        return {f"{CLASS_MARK}parts": value} if isinstance(value, list | tuple) else value

    @model_serializer(mode="wrap")
    def _shortest(self, handler: Any) -> Any:
        return [part.model_dump(mode="json") for part in self.parts]

    @property
    def label(self) -> str:
        """Every part with its share."""
        return " + ".join(f"{part.weight:g} {part.label}" for part in self.parts)

    @property
    def own_share(self) -> float:
        """Of all parts."""
        return math.fsum(part.weight * part.own_share for part in self.parts)

    @property
    def leaves_out_odd(self) -> bool:
        """Where a part does: the favourite is that of all parts together."""
        return any(part.leaves_out_odd for part in self.parts)

    @property
    def covers(self) -> bool:
        """Where a part does."""
        return any(part.covers for part in self.parts)

    @property
    def readings(self) -> frozenset[Reading]:
        """Of all parts."""
        return frozenset().union(*(part.readings for part in self.parts))

    @property
    def thresholds(self) -> frozenset[str]:
        """Of all parts."""
        return frozenset().union(*(part.thresholds for part in self.parts))

    @property
    def identity(self) -> Mapping[str, Any]:
        """Every part's own, with its weight."""
        return {"target": [{**part.identity, "weight": part.weight} for part in self.parts]}

    @property
    def weights(self) -> float:
        """What the weights sum to."""
        return math.fsum(part.weight for part in self.parts)

    def completed(self, alpha: float) -> Mixture:
        """Every part completed."""
        return self.model_copy(update={"parts": tuple(part.completed(alpha) for part in self.parts)})

    def distributions(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """The weighted sum of the parts' distributions."""
        return mixed([(part.distributions(own_ids, kept, scores), part.weight) for part in self.parts])

    def outcomes(
        self, own_ids: NDArray[np.int32], kept: NDArray[np.bool_], scores: Mapping[Reading, Support]
    ) -> Targets:
        """The weighted sum of theirs."""
        return mixed([(part.outcomes(own_ids, kept, scores), part.weight) for part in self.parts])

    def lost(self, scores: Mapping[Reading, Support]) -> NDArray[np.float64]:
        """The weighted sum over the parts that can lose any."""
        found = [part.weight * lost for part in self.parts if len(lost := part.lost(scores))]
        total: NDArray[np.float64] = np.sum(found, axis=0) if found else np.zeros(0)
        return total

    def refusal(self, lost: NDArray[np.float64]) -> str | None:
        """That of a part that refuses as much."""
        return next((told for part in self.parts if (told := part.refusal(lost))), None)


TARGETS: tuple[type[Target], ...] = PARTS
TARGET = Family(TARGETS, by="use", listed=Mixture, base=Target)
AnyTarget = Annotated[Target, TARGET]


def _known(alpha: float | None) -> float:
    assert alpha is not None, "a target is completed before it is used"
    return alpha


def plausible(scores: Support, alpha: float) -> NDArray[np.bool_]:
    """(M,) True where a support token has p_E >= alpha * max p_E (paper, equation 3).

    Exact for any alpha not below the alpha_min the scores were stored with.
    """
    if len(scores) == 0:
        return np.zeros(0, dtype=bool)
    top = np.maximum.reduceat(scores.support_log_p_expert, scores.offsets[:-1])
    lengths = np.diff(scores.offsets)
    mask: NDArray[np.bool_] = scores.support_log_p_expert >= np.repeat(
        top + np.float32(math.log(alpha)), lengths
    )
    return mask


def left_out(scores: Support, alpha: float) -> NDArray[np.float64]:
    """(N,) at most which share of the expert's probability of the alpha-plausible tokens is not stored.

    What is stored are the likeliest; where the least of them is not plausible, none that is was dropped.
    """
    if scores.dropped is None:
        return np.zeros(len(scores))
    mask = plausible(scores, alpha)
    probability = np.exp(scores.support_log_p_expert.astype(np.float64)) * mask
    stored = np.add.reduceat(probability, scores.offsets[:-1])
    full = np.logical_and.reduceat(mask, scores.offsets[:-1])
    share: NDArray[np.float64] = np.where(full, scores.dropped / (stored + scores.dropped), 0.0)
    return share


def contrast(scores: Support, kept: NDArray[np.bool_], alpha: float) -> Targets:
    """The `contrast` target of every kept step (paper, equations 4 and 5).

    v = softmax over the alpha-plausible tokens that are stored of log p_E - log p_A; `kept` is (N,).
    """
    lengths = np.diff(scores.offsets)
    mask = plausible(scores, alpha) & np.repeat(kept, lengths)
    counts = _counts(lengths, mask, kept)
    advantage = (scores.support_log_p_expert[mask] - scores.support_log_p_amateur[mask]).astype(np.float64)
    return Targets(_offsets(counts), scores.support_ids[mask], _softmax(advantage, counts))


def own_token(token_ids: NDArray[np.int32]) -> Targets:
    """The `own_token` target: all weight on the token the rollout itself has; `token_ids` is (N,)."""
    return Targets(
        offsets=np.arange(len(token_ids) + 1, dtype=np.int64),
        ids=token_ids,
        weights=np.ones(len(token_ids), dtype=np.float32),
    )


def flat(scores: Support, kept: NDArray[np.bool_], alpha: float) -> Targets:
    """The same weight on every alpha-plausible token of every kept step; `kept` is (N,)."""
    lengths = np.diff(scores.offsets)
    mask = plausible(scores, alpha) & np.repeat(kept, lengths)
    counts = _counts(lengths, mask, kept)
    weights = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
    return Targets(_offsets(counts), scores.support_ids[mask], weights)


def likeliest(scores: Support, top_k: int | None) -> NDArray[np.bool_]:
    """(M,) True for the `top_k` likeliest stored tokens of each step, equals by the smaller id; None: all."""
    lengths = np.diff(scores.offsets)
    if top_k is None:
        return np.ones(int(lengths.sum()), dtype=bool)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((scores.support_ids, -scores.support_log_p_expert, owner))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(scores.offsets[:-1], lengths)
    return rank < top_k


def soft(
    scores: Support,
    kept: NDArray[np.bool_],
    temperature: float,
    top_k: int | None,
    rest: NDArray[np.float64] | None = None,
) -> Targets:
    """p^(1/T) of the reading's first model, renormalised over the tokens taken; `kept` is (N,).

    With `rest` (N,), the probability of all other tokens, they are one outcome more, which is no token's and
    which the weights lack.
    """
    lengths = np.diff(scores.offsets)
    mask = likeliest(scores, top_k) & np.repeat(kept, lengths)
    counts = _counts(lengths, mask, kept)
    scaled = scores.support_log_p_expert[mask].astype(np.float64) / temperature
    if rest is None:
        return Targets(_offsets(counts), scores.support_ids[mask], _softmax(scaled, counts))
    with np.errstate(divide="ignore"):
        others = np.log(rest[kept]) / temperature
    ends = np.cumsum(counts)
    whole = _softmax(np.insert(scaled, ends, others), counts + 1)
    return Targets(
        _offsets(counts), scores.support_ids[mask], np.delete(whole, ends + np.arange(len(counts)))
    )


def mixed(parts: Sequence[tuple[Targets, float]]) -> Targets:
    """The weighted sum of distributions over the same N steps, in ascending token id."""
    steps = len(parts[0][0])
    owner = np.concatenate([np.repeat(np.arange(steps), np.diff(part.offsets)) for part, _ in parts])
    ids = np.concatenate([part.ids for part, _ in parts])
    weights = np.concatenate([part.weights.astype(np.float64) * weight for part, weight in parts])
    order = np.lexsort((ids, owner))
    owner, ids, weights = owner[order], ids[order], weights[order]
    first = np.ones(len(ids), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (ids[1:] != ids[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(weights, starts) if len(starts) else weights
    counts = np.bincount(owner[first], minlength=steps)
    return Targets(_offsets(counts), ids[first], sums.astype(np.float32))


def _counts(
    lengths: NDArray[np.int64], mask: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many masked tokens each kept step has."""
    owner = np.repeat(np.arange(len(lengths)), lengths)[mask]
    counts: NDArray[np.int64] = np.bincount(owner, minlength=len(lengths))[kept]
    return counts


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _softmax(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of each step's values, which follow one another."""
    if len(counts) == 0:
        return values.astype(np.float32)
    starts = _offsets(counts)[:-1]
    exponential = np.exp(values - np.repeat(np.maximum.reduceat(values, starts), counts))
    weights: NDArray[np.float32] = (
        exponential / np.repeat(np.add.reduceat(exponential, starts), counts)
    ).astype(np.float32)
    return weights
