"""The divergence microscope: what any alpha and beta would keep and teach, from stored scores alone.

The selectors and targets are those that made the arm's samples; at the arm's own thresholds the view is
what was trained on. No model is needed and nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import StoreError
from lrbench.methods.fidelity import (
    CORRECTED,
    FIELD,
    Fidelity,
    kept_as_scripted,
    read_fidelity,
    why_scripted,
)
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.plugins import lacking
from lrbench.methods.readings import PAIR, Reading
from lrbench.methods.steps import Views
from lrbench.methods.steps import taken as steps_taken
from lrbench.methods.targets import plausible
from lrbench.recipe.schema import Divergence
from lrbench.results.inspection import Inspector, ScoredRollouts
from lrbench.results.records import ArmRecord
from lrbench.sampling.divergence import divergence_statistics
from lrbench.sampling.oddity import Habits
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import build_samples, kept_steps
from lrbench.sampling.scores import Scores, keep_covered, taken

# Nats; eight to a decade. The first bin also holds what lies below it, the last what lies above.
HISTOGRAM_EDGES: NDArray[np.float64] = np.geomspace(1e-4, 1e2, 6 * 8 + 1)


@dataclass(frozen=True)
class Candidate:
    """A token that either model considered at a step.

    Log-probabilities are in nats, and None where the scores do not hold them: the token is less likely to
    the expert than alpha_min times its first choice, and neither written nor, to the amateur, its own first
    choice. `weight` is the token's share of the target.
    """

    token: int
    log_p_expert: float | None
    log_p_amateur: float | None
    plausible: bool
    weight: float

    @property
    def contrast(self) -> float | None:
        """log p_E - log p_A, in nats; None where not stored."""
        if self.log_p_expert is None or self.log_p_amateur is None:
            return None
        return self.log_p_expert - self.log_p_amateur


@dataclass(frozen=True)
class Step:
    """One step under the microscope. Candidates are the most likely to the expert first.

    The target is what would be learnt here; it is learnt when `kept`. `elsewhere_*` is the probability of
    all tokens whose probabilities are not stored. `shared` says whether the pair shares the token written, so
    that it has any; None where the version that made the scores stored no more than the plausible tokens.
    """

    written: int
    kl: float
    kept: bool
    entropy_expert: float
    entropy_amateur: float
    top1_expert: int
    top1_amateur: int
    candidates: tuple[Candidate, ...]
    elsewhere_expert: float
    elsewhere_amateur: float
    shared: bool | None

    def of(self, token: int) -> Candidate:
        """What is known of the token written, or of a first choice."""
        return next(candidate for candidate in self.candidates if candidate.token == token)


@dataclass(frozen=True)
class Summary:
    """Statistics of many steps.

    `divergence` is as `sampling.divergence.divergence_statistics` gives it. The rest are means over kept
    steps of a contrast target, None without any: tokens in the alpha mask; steps with a single plausible
    token, so that the contrast teaches nothing but certainty; steps whose target prefers another token
    than the expert does. `counts` and `counts_kept` are of steps by KL, in the bins of `HISTOGRAM_EDGES`.
    """

    divergence: dict[str, Any]
    plausible_tokens: float | None
    share_single: float | None
    share_overturned: float | None
    counts: NDArray[np.int64]
    counts_kept: NDArray[np.int64]
    # Selected steps whose target prefers an odd token, left out or not; of a whole arm as it was trained.
    share_odd: float | None = None


@dataclass(frozen=True)
class RolloutView:
    """One rollout at some thresholds; `kept` is (T,), `scores` are of its T steps alone.

    `ingredients` are completed with the thresholds, of which `alpha` is one; `least_mass` is that of a pair
    that is aligned by tokens. `others` are the same steps under other readings than the pair's, `continued`
    what became of other tokens at them.
    """

    rollout: Rollout
    scores: Scores
    kept: NDArray[np.bool_]
    summary: Summary
    ingredients: Ingredients
    alpha: float
    least_mass: float | None = None
    fidelity: Fidelity = CORRECTED
    others: Mapping[Reading, Scores] = field(default_factory=dict)
    continued: Views = field(default_factory=dict)

    def _views(self, step: int) -> dict[Reading, Scores]:
        """One step under every reading."""
        views = {PAIR: self.scores, **self.others}
        return {reading: _part(scores, step, step + 1) for reading, scores in views.items()}

    def reason(self, step: int) -> str:
        """Why the step, counted from 0, is kept or not, in a sentence."""
        scores = _part(self.scores, step, step + 1)
        if self.least_mass is not None and not keep_covered(scores, self.least_mass)[0]:
            assert scores.covered is not None
            return (
                f"Not kept: the shared tokens hold {100 * scores.covered[0]:.1f}% of the probability, less "
                f"than {100 * self.least_mass:.4g}%."
            )
        selector, views = self.ingredients.selector, self._views(step)
        scripted = why_scripted(self.fidelity, views, selector.threshold)
        seen: Views = {**views, **steps_taken(self.continued, slice(step, step + 1))}
        return scripted or selector.reason(seen, bool(self.kept[step]))

    def step(self, step: int) -> Step:
        """Everything known of one step, counted from 0."""
        scores = _part(self.scores, step, step + 1)
        written = self.rollout.completion_ids[int(scores.step[0])]
        mask = plausible(scores, self.alpha)
        target = self.ingredients.target.distributions(
            np.array([written], dtype=np.int32), np.ones(1, dtype=bool), self._views(step)
        )
        weights = dict(zip(target.ids.tolist(), target.weights.tolist(), strict=True))
        stored = zip(
            scores.support_ids.tolist(),
            scores.support_log_p_expert.tolist(),
            scores.support_log_p_amateur.tolist(),
            mask.tolist(),
            strict=True,
        )
        candidates = [
            Candidate(token, expert, amateur, inside, weights.get(token, 0.0))
            for token, expert, amateur, inside in stored
        ]
        candidates.sort(key=lambda candidate: (-(candidate.log_p_expert or 0.0), candidate.token))
        known = set(scores.support_ids.tolist())
        first_choices = (int(scores.top1_amateur[0]), int(scores.top1_expert[0]))
        for token in dict.fromkeys((written, *first_choices)):
            if token not in known:
                log_p = _beyond_support(scores, token, written)
                candidates.append(Candidate(token, *log_p, False, weights.get(token, 0.0)))
        return Step(
            written=written,
            kl=float(scores.kl[0]),
            kept=bool(self.kept[step]),
            entropy_expert=float(scores.entropy_expert[0]),
            entropy_amateur=float(scores.entropy_amateur[0]),
            top1_expert=first_choices[1],
            top1_amateur=first_choices[0],
            candidates=tuple(candidates),
            elsewhere_expert=_left_over(candidate.log_p_expert for candidate in candidates),
            elsewhere_amateur=_left_over(candidate.log_p_amateur for candidate in candidates),
            shared=None
            if scores.own_log_p_expert is None
            else not math.isnan(float(scores.own_log_p_expert[0])),
        )


class Microscope:
    """The scored rollouts of an arm, under its selector and target, at any thresholds.

    `alpha_min` is how far down the scores were stored: no alpha below it can be answered. `least_mass` is
    that of a pair that is aligned by tokens.
    """

    def __init__(
        self, found: ScoredRollouts, arm: ArmRecord, alpha_min: float, least_mass: float | None = None
    ) -> None:
        self.rollouts = found.rollouts
        self.scores = found.scores
        self.others = found.others
        self.texts = found.texts
        written = Ingredients.model_validate(
            {word: arm.settings[word] for word in Ingredients.model_fields if word in arm.settings}
        )
        self.ingredients = written.model_copy(update={"selector": written.selector.seeded(arm.seed or 0)})
        lengths = [rollout.steps for rollout in found.rollouts]
        continued = zip(written.continuings, found.continued, strict=True)
        self.continued: Views = {
            continuing.view: verdicts.view(lengths) for continuing, verdicts in continued
        }
        self.trained = Divergence.model_validate(arm.settings["divergence"])
        self.fidelity = read_fidelity(arm.settings.get(FIELD, CORRECTED.written))
        self.alpha_min = alpha_min
        self.least_mass = least_mass

    @cached_property
    def mean_kl(self) -> NDArray[np.float64]:
        """(R,) mean KL of each rollout's steps in nats; 0 without steps."""
        sums = np.bincount(self.scores.rollout, weights=self.scores.kl, minlength=len(self.rollouts))
        counts = np.bincount(self.scores.rollout, minlength=len(self.rollouts))
        means: NDArray[np.float64] = sums / np.maximum(counts, 1)
        return means

    @property
    def largest_kl(self) -> float:
        """In nats; 0 without steps."""
        return float(self.scores.kl.max(initial=0.0))

    def at(self, alpha: float, beta: float) -> Divergence:
        """These thresholds.

        Raises:
            ValueError: alpha is outside [alpha_min, 1], or beta is negative or no number.
        """
        if not (self.alpha_min <= alpha <= 1 and 0 <= beta < math.inf):
            raise ValueError(
                f"alpha {alpha}, beta {beta}: the scores answer for alpha from {self.alpha_min} to 1 and "
                "beta from 0 up"
            )
        return self.trained.model_copy(update={"alpha": alpha, "beta": beta})

    def kept(self, thresholds: Divergence) -> NDArray[np.bool_]:
        """(N,) True for every step that the arm's selector keeps, and that is not left out as odd."""
        kept_N = self._selected(thresholds)
        if self.ingredients.target.leaves_out_odd:
            kept_N[kept_N] = ~self._odd(kept_N, thresholds)
        return kept_N

    def _selected(self, thresholds: Divergence) -> NDArray[np.bool_]:
        selector = self.ingredients.completed(thresholds).selector
        views: Views = {PAIR: self.scores, **self.others, **self.continued}
        kept_N = kept_steps(views, selector, self.least_mass)
        return kept_as_scripted(self.fidelity, kept_N, {PAIR: self.scores}, selector.threshold)

    def share_odd(self, thresholds: Divergence) -> float | None:
        """The share of selected steps whose target prefers an odd token (`sampling/oddity.py`); None of none.

        Where odd steps are left out, it is the share that is.
        """
        selected_N = self._selected(thresholds)
        return float(self._odd(selected_N, thresholds).mean()) if selected_N.any() else None

    def _odd(self, kept_N: NDArray[np.bool_], thresholds: Divergence) -> NDArray[np.bool_]:
        """(K,) which of these steps are odd."""
        views, completed = {PAIR: self.scores, **self.others}, self.ingredients.completed(thresholds)
        return self._habits.odd(build_samples(self.rollouts, views, completed, self.least_mass, kept_N))

    @cached_property
    def _habits(self) -> Habits:
        return Habits.of(self.rollouts)

    def summary(self, thresholds: Divergence) -> Summary:
        """All rollouts at once."""
        return self._summary(self.scores, self.kept(thresholds), thresholds.alpha)

    @cached_property
    def summary_as_trained(self) -> Summary:
        """All rollouts at the arm's own thresholds."""
        summary = self.summary(self.trained)
        if not self.ingredients.target.contrasts:
            return summary
        return replace(summary, share_odd=self.share_odd(self.trained))

    def rollout(self, index: int, thresholds: Divergence) -> RolloutView:
        """One rollout; `index` is its place in `rollouts`."""
        start, stop = np.searchsorted(self.scores.rollout, [index, index + 1])
        scores = _part(self.scores, int(start), int(stop))
        others = {reading: _part(other, int(start), int(stop)) for reading, other in self.others.items()}
        kept = self.kept(thresholds)[start:stop]
        return RolloutView(
            rollout=self.rollouts[index],
            scores=scores,
            kept=kept,
            summary=self._summary(scores, kept, thresholds.alpha),
            ingredients=self.ingredients.completed(thresholds),
            alpha=thresholds.alpha,
            least_mass=self.least_mass,
            fidelity=self.fidelity,
            others=others,
            continued=steps_taken(self.continued, slice(int(start), int(stop))),
        )

    def _summary(self, scores: Scores, kept: NDArray[np.bool_], alpha: float) -> Summary:
        tokens = single = overturned = None
        if self.ingredients.target.contrasts and kept.any():
            tokens, single, overturned = _target_statistics(scores, kept, alpha)
        return Summary(
            divergence=divergence_statistics(scores, kept, self.least_mass),
            plausible_tokens=tokens,
            share_single=single,
            share_overturned=overturned,
            counts=_histogram(scores.kl),
            counts_kept=_histogram(scores.kl[kept]),
        )


def open_microscope(inspector: Inspector, arm: ArmRecord) -> Microscope | None:
    """The microscope over what `arm` learnt from; None for an arm that no amateur had a part in.

    Raises:
        StoreError: the scores or rollouts are gone or damaged, a package that the arm was made with is not
            as it was, or the record does not describe the arm.
    """
    if lacks := lacking(arm.settings):
        raise StoreError(f"what {arm.arm} selects and learns cannot be shown: {'; '.join(lacks)}")
    found = inspector.scored_rollouts(arm)
    if found is None:
        return None
    stored = inspector.artifact("scores", arm.stages["scores"]).identity
    try:
        return Microscope(found, arm, stored["alpha_min"], stored.get("least_mass"))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the record of {arm.arm} (arm id {arm.arm_id}) does not say how it selects and what it "
            f"learns: {error}"
        ) from error


def _target_statistics(scores: Scores, kept: NDArray[np.bool_], alpha: float) -> tuple[float, float, float]:
    """The three means of `Summary`, without the exponentials of the targets themselves."""
    scores = _kept_part(scores, kept)
    starts = scores.offsets[:-1]
    mask = plausible(scores, alpha)
    counts = np.add.reduceat(mask, starts, dtype=np.int64)
    advantage = scores.support_log_p_expert - scores.support_log_p_amateur
    advantage[~mask] = -np.inf
    favourite = np.maximum.reduceat(advantage, starts)
    advantage[scores.support_ids != np.repeat(scores.top1_expert, np.diff(scores.offsets))] = -np.inf
    on_first = np.maximum.reduceat(advantage, starts)
    return float(counts.mean()), float((counts == 1).mean()), float((on_first < favourite).mean())


def _kept_part(scores: Scores, kept: NDArray[np.bool_]) -> Scores:
    """The kept steps alone."""
    lengths = np.diff(scores.offsets)
    offsets = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
    return taken(scores, kept, np.repeat(kept, lengths), offsets)


def _histogram(kl: NDArray[np.float32]) -> NDArray[np.int64]:
    inside = np.clip(kl, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    return np.histogram(inside, HISTOGRAM_EDGES)[0]


def _part(scores: Scores, start: int, stop: int) -> Scores:
    """The steps from `start` to `stop`."""
    offsets = scores.offsets[start : stop + 1]
    support = slice(int(offsets[0]), int(offsets[-1]))
    return taken(scores, slice(start, stop), support, offsets - offsets[0])


def _beyond_support(scores: Scores, token: int, written: int) -> tuple[float | None, float | None]:
    """What expert and amateur give to a token that the support of the one step in `scores` lacks."""
    expert = amateur = None
    if token == written:
        expert, amateur = _stored(scores.own_log_p_expert), _stored(scores.own_log_p_amateur)
    if token == scores.top1_amateur[0]:
        amateur = _stored(scores.top1_log_p_amateur)
    return expert, amateur


def _stored(column: NDArray[np.float32] | None) -> float | None:
    value = math.nan if column is None else float(column[0])
    return None if math.isnan(value) else value


def _left_over(log_probabilities: Iterable[float | None]) -> float:
    return max(0.0, 1.0 - math.fsum(math.exp(log_p) for log_p in log_probabilities if log_p is not None))
