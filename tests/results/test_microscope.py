"""Under the microscope at the arm's own thresholds lies what was trained on; at others, what would be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import StoreError
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.samples import kept_samples
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Divergence
from lrbench.results.inspection import Inspector, ScoredRollouts
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import HISTOGRAM_EDGES, Microscope, open_microscope
from lrbench.results.records import ArmRecord
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples
from lrbench.sampling.scores import NO_SCORES, Scores

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
CONTRASTED = "lightr"
SELECTING = {
    "random": "{signal: random, match: lightr}",
    "entropy": "{signal: entropy, top: 0.2}",
    "surprising": "{signal: surprise, match: entropy}",
}
# An arm that leaves out what the public scripts leave out.
SKIPPING = "skipping"
# One that learns nothing where its target is odd.
USUAL = "usual"
ARMS = (CONTRASTED, "no_selection", "no_contrast", *SELECTING, SKIPPING, USUAL)
SMALL = [
    "data.problems=8",
    "training.updates=1",
    "evaluation.limit=1",
    "evaluation.benchmarks=[one_step]",
    f"arms=[base, {', '.join(name for name in ARMS if name not in (*SELECTING, SKIPPING, USUAL))}, neither, "
    + ", ".join(f"{{name: {name}, like: lightr, selector: {rule}}}" for name, rule in SELECTING.items())
    + f", {{name: {SKIPPING}, like: lightr, fidelity: [first_step_skipped, beta_included]}}"
    + f", {{name: {USUAL}, like: lightr, target: {{use: contrast, leave_out_odd: true}}}}]",
    "seed=3",
    "runtime.workers=1",
    "divergence.beta=0.3",
    "divergence.alpha=0.1",
]
ALPHA_MIN = 0.05


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        run_recipe(load_recipe(QUICKSTART, SMALL), runs)
    return runs


def arm_of(runs: Path, name: str) -> ArmRecord:
    return next(arm for arm in Ledger(runs / "ledger").read().arms if arm.arm == name)


@pytest.mark.parametrize("name", ARMS)
def test_at_its_own_thresholds_an_arm_shows_exactly_the_steps_and_targets_it_was_trained_on(
    finished: Path, name: str
) -> None:
    arm = arm_of(finished, name)
    inspector = Inspector(finished)
    artifact = inspector.artifact("samples", arm.stages["samples"])
    samples = kept_samples(artifact, inspector.artifact(*arm.addresses["rollouts"]))
    microscope = open_microscope(inspector, arm)
    assert microscope is not None
    assert (microscope.alpha_min, microscope.trained.alpha, microscope.trained.beta) == (ALPHA_MIN, 0.1, 0.3)

    shown = []
    for index in range(len(microscope.rollouts)):
        view = microscope.rollout(index, microscope.trained)
        for step in np.flatnonzero(view.kept).tolist():
            seen = view.step(step)
            shown.append((index, step, {c.token: c.weight for c in seen.candidates if c.weight}))
    assert shown == list(_trained(samples))
    assert len(shown) > 0
    assert "Kept" in microscope.rollout(shown[0][0], microscope.trained).reason(shown[0][1])
    summary = microscope.summary(microscope.trained)
    recorded = dict(artifact.statistics["divergence"])
    shown_statistics = dict(summary.divergence)
    assert shown_statistics.pop("kl_histogram") == recorded.pop("kl_histogram")
    # Sums over parts of the scores may round otherwise.
    assert shown_statistics == pytest.approx(recorded)
    assert summary.divergence["kept_steps"] == artifact.statistics["kept_steps"] == len(shown)
    # Of a contrast what is odd among the selected steps is recorded, whether it is learnt or left out.
    assert microscope.summary_as_trained.share_odd == artifact.statistics.get("share_odd")
    left_out = artifact.statistics["odd_steps"] if name == USUAL else 0
    share = artifact.statistics.get("share_odd", 0.0)
    assert artifact.statistics.get("odd_steps", 0) == round(share * (len(shown) + left_out))
    assert (left_out > 0) == (name == USUAL)


def _trained(samples: Samples) -> Any:
    targets = samples.targets
    for index in range(len(samples)):
        span = slice(targets.offsets[index], targets.offsets[index + 1])
        weights = dict(zip(targets.ids[span].tolist(), targets.weights[span].tolist(), strict=True))
        yield int(samples.rollout[index]), int(samples.step[index]), weights


def test_random_steps_are_as_many_as_the_arm_s_that_they_control(finished: Path) -> None:
    kept = {}
    for name in (CONTRASTED, "random", "entropy", "surprising"):
        microscope = open_microscope(Inspector(finished), arm_of(finished, name))
        assert microscope is not None
        views = [microscope.rollout(i, microscope.trained) for i in range(len(microscope.rollouts))]
        kept[name] = [int(view.kept.sum()) for view in views]
    assert kept["random"] == kept[CONTRASTED] != kept["entropy"] == kept["surprising"]


def test_a_step_with_too_little_on_shared_tokens_says_so() -> None:
    one = np.zeros(1, dtype=np.int32)
    number = np.array([0.9], dtype=np.float32)
    scores = Scores(
        one, one, number, number, number, one, one, np.array([0, 1]), one, number - 1, number - 1, number / 2
    )
    found = ScoredRollouts([Rollout("p", 0, (0,), (0,))], scores, {0: "a"})
    arm = ArmRecord.model_construct(
        seed=0, settings={"source": "greedy", "selector": "kl", "target": "contrast", "divergence": {}}
    )
    view = Microscope(found, arm, ALPHA_MIN, 0.5).rollout(0, Divergence())
    assert view.reason(0) == "Not kept: the shared tokens hold 45.0% of the probability, less than 50%."


def test_an_arm_without_an_amateur_has_nothing_to_look_at(finished: Path) -> None:
    for name in ("base", "neither"):
        assert open_microscope(Inspector(finished), arm_of(finished, name)) is None


def test_a_record_that_does_not_say_how_it_selects_is_refused_in_one_sentence(finished: Path) -> None:
    arm = arm_of(finished, CONTRASTED)
    for settings in ({}, arm.settings | {"divergence": {"alpha": 7}}, arm.settings | {"divergence": None}):
        record = arm.model_copy(update={"settings": settings})
        with pytest.raises(StoreError, match=r"record of lightr .* does not say how it selects"):
            open_microscope(Inspector(finished), record)


@st.composite
def scored(draw: st.DrawFn) -> ScoredRollouts:
    """Rollouts of a few steps; ten tokens, both models' distributions drawn, cut at ALPHA_MIN."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    rollouts, rows = [], []
    for index, length in enumerate(lengths):
        written = []
        for step in range(length):
            expert, amateur = (random.dirichlet(np.full(10, 0.3)) + 1e-9 for _ in range(2))
            stored = np.flatnonzero(expert >= ALPHA_MIN * expert.max())
            written.append(int(random.choice(10, p=expert / expert.sum())))
            rows.append((index, step, expert, amateur, stored))
        rollouts.append(Rollout(f"problem-{index}", 0, (0, 1), tuple(written)))
    pick = [(stored, expert, amateur) for _, _, expert, amateur, stored in rows]
    own = [token for rollout in rollouts for token in rollout.completion_ids]
    later = {
        "top1_log_p_amateur": np.log([a.max() for _, _, a in pick]),
        "own_log_p_expert": np.log([e[token] for (_, e, _), token in zip(pick, own, strict=True)]),
        "own_log_p_amateur": np.log([a[token] for (_, _, a), token in zip(pick, own, strict=True)]),
    }
    scores = Scores(
        rollout=np.array([row[0] for row in rows], dtype=np.int32),
        step=np.array([row[1] for row in rows], dtype=np.int32),
        kl=np.array([float(e @ np.log(e / a)) for _, e, a in pick], dtype=np.float32).clip(0),
        entropy_expert=np.array([float(-e @ np.log(e)) for _, e, _ in pick], dtype=np.float32),
        entropy_amateur=np.array([float(-a @ np.log(a)) for _, _, a in pick], dtype=np.float32),
        top1_expert=np.array([e.argmax() for _, e, _ in pick], dtype=np.int32),
        top1_amateur=np.array([a.argmax() for _, _, a in pick], dtype=np.int32),
        offsets=np.cumsum([0, *(len(s) for s, _, _ in pick)]).astype(np.int64),
        support_ids=np.concatenate([[], *(s for s, _, _ in pick)]).astype(np.int32),
        support_log_p_expert=np.concatenate([[], *(np.log(e[s]) for s, e, _ in pick)]).astype(np.float32),
        support_log_p_amateur=np.concatenate([[], *(np.log(a[s]) for s, _, a in pick)]).astype(np.float32),
    )
    if draw(st.booleans()):
        scores = replace(scores, **{name: column.astype(np.float32) for name, column in later.items()})
    return ScoredRollouts(rollouts, scores, {token: str(token) for token in range(10)})


def microscope_over(found: ScoredRollouts, **parts: str) -> Microscope:
    settings = {"source": "greedy", "selector": "kl", "target": "contrast"} | parts
    arm = ArmRecord.model_construct(seed=0, settings=settings | {"divergence": {"alpha": 0.2, "beta": 0.4}})
    return Microscope(found, arm, ALPHA_MIN)


thresholds = st.tuples(st.floats(ALPHA_MIN, 1), st.floats(0, 5))


@given(scored(), thresholds)
def test_targets_are_distributions_over_the_plausible_tokens_as_the_paper_defines_them(
    found: ScoredRollouts, chosen: tuple[float, float]
) -> None:
    alpha, beta = chosen
    microscope = microscope_over(found)
    for index, rollout in enumerate(found.rollouts):
        view = microscope.rollout(index, microscope.at(alpha, beta))
        assert len(view.kept) == rollout.steps
        for step in range(rollout.steps):
            seen = view.step(step)
            assert seen.written == rollout.completion_ids[step]
            assert seen.kept == (seen.kl > np.float32(beta))
            assert {seen.written, seen.top1_expert, seen.top1_amateur} <= {c.token for c in seen.candidates}
            best = max(c.log_p_expert for c in seen.candidates if c.log_p_expert is not None)
            mask = [c for c in seen.candidates if c.plausible]
            for candidate in seen.candidates:
                if candidate.log_p_expert is None:
                    assert not candidate.plausible
                    assert candidate.token != seen.written or seen.shared is None
                    assert candidate.contrast is None
                elif not math.isclose(candidate.log_p_expert, best + math.log(alpha), abs_tol=1e-5):
                    assert candidate.plausible == (candidate.log_p_expert > best + math.log(alpha))
                if not candidate.plausible:
                    assert candidate.weight == 0
            exponentials = [math.exp(c.contrast or 0.0) for c in mask]
            for candidate, exponential in zip(mask, exponentials, strict=True):
                assert candidate.weight == pytest.approx(exponential / sum(exponentials), rel=1e-4)
            assert 0 <= seen.elsewhere_expert <= 1
            assert 0 <= seen.elsewhere_amateur <= 1
            assert sum(math.exp(c.log_p_amateur) for c in seen.candidates if c.log_p_amateur is not None) + (
                seen.elsewhere_amateur
            ) == pytest.approx(1, abs=1e-5)


@given(scored())
def test_the_written_token_and_the_amateurs_first_choice_have_probabilities_where_these_are_stored(
    found: ScoredRollouts,
) -> None:
    microscope = microscope_over(found)
    scores, number = found.scores, 0
    for index, rollout in enumerate(found.rollouts):
        view = microscope.rollout(index, microscope.trained)
        for step in range(rollout.steps):
            seen = view.step(step)
            written, first = seen.of(seen.written), seen.of(seen.top1_amateur)
            if scores.own_log_p_expert is None:
                assert seen.shared is None
            else:
                assert seen.shared
                assert scores.own_log_p_amateur is not None
                assert scores.top1_log_p_amateur is not None
                assert written.log_p_expert == pytest.approx(scores.own_log_p_expert[number], abs=1e-5)
                assert written.log_p_amateur == pytest.approx(scores.own_log_p_amateur[number], abs=1e-5)
                assert first.log_p_amateur == pytest.approx(scores.top1_log_p_amateur[number], abs=1e-5)
            number += 1


@given(scored(), thresholds)
def test_all_rollouts_together_are_the_sum_of_each(
    found: ScoredRollouts, chosen: tuple[float, float]
) -> None:
    microscope = microscope_over(found)
    at = microscope.at(*chosen)
    whole = microscope.summary(at)
    views = [microscope.rollout(index, at) for index in range(len(found.rollouts))]
    assert whole.divergence["kept_steps"] == sum(int(view.kept.sum()) for view in views)
    assert whole.counts.tolist() == np.sum([view.summary.counts for view in views], axis=0).tolist()
    assert whole.counts.sum() == len(found.scores)
    assert whole.counts_kept.sum() == whole.divergence["kept_steps"]
    assert np.array_equal(np.concatenate([view.kept for view in views]), microscope.kept(at))
    seen = [view.step(step) for view in views for step in np.flatnonzero(view.kept).tolist()]
    if seen:
        masks = [[c for c in step.candidates if c.plausible] for step in seen]
        assert whole.plausible_tokens == pytest.approx(np.mean([len(mask) for mask in masks]))
        assert whole.share_single == pytest.approx(np.mean([len(mask) == 1 for mask in masks]))
    else:
        assert whole.plausible_tokens is whole.share_single is whole.share_overturned is None


@given(scored(), st.floats(0, 4), st.floats(0, 4))
def test_a_higher_beta_keeps_no_step_that_a_lower_one_does_not(
    found: ScoredRollouts, first: float, second: float
) -> None:
    microscope = microscope_over(found)
    low, high = sorted((first, second))
    assert not (microscope.kept(microscope.at(0.2, high)) & ~microscope.kept(microscope.at(0.2, low))).any()


@given(scored(), st.data())
def test_what_a_habit_of_the_public_scripts_decides_is_said_so(
    found: ScoredRollouts, data: st.DataObject
) -> None:
    microscope = microscope_over(found, fidelity="reference")
    kls = found.scores.kl[np.isfinite(found.scores.kl)].tolist()
    beta = data.draw(st.sampled_from(kls or [0.4]))
    for index, rollout in enumerate(found.rollouts):
        view = microscope.rollout(index, microscope.at(0.2, beta))
        for step in range(rollout.steps):
            kl = view.scores.kl[step]
            assert view.kept[step] == (step > 0 and kl >= np.float32(beta))
            assert view.reason(step).startswith("Kept: " if view.kept[step] else "Not kept: ")
            assert ("skips the first step" in view.reason(step)) == (step == 0)
            assert ("is exactly" in view.reason(step)) == (step > 0 and kl == np.float32(beta))


@given(scored())
def test_the_mean_of_a_rollout_is_that_of_its_steps(found: ScoredRollouts) -> None:
    microscope = microscope_over(found)
    for index in range(len(found.rollouts)):
        own = found.scores.kl[found.scores.rollout == index]
        assert microscope.mean_kl[index] == pytest.approx(float(own.mean()) if len(own) else 0.0, abs=1e-6)


def test_a_target_overturned_prefers_another_token_than_the_expert() -> None:
    log_p = np.log(np.array([0.6, 0.4, 0.6, 0.4], dtype=np.float32))
    amateur = np.log(np.array([0.9, 0.1, 0.5, 0.5], dtype=np.float32))
    two = np.zeros(2, dtype=np.int32)
    scores = Scores(
        rollout=two,
        step=np.array([0, 1], dtype=np.int32),
        kl=np.array([0.5, 0.6], dtype=np.float32),
        entropy_expert=np.ones(2, dtype=np.float32),
        entropy_amateur=np.ones(2, dtype=np.float32),
        top1_expert=two + 3,
        top1_amateur=two + 3,
        offsets=np.array([0, 2, 4]),
        support_ids=np.array([3, 4, 3, 4], dtype=np.int32),
        support_log_p_expert=log_p,
        support_log_p_amateur=amateur,
    )
    found = ScoredRollouts([Rollout("p", 0, (0,), (3, 3))], scores, {3: "a", 4: "b"})
    microscope = microscope_over(found)
    summary = microscope.summary(microscope.trained)
    assert summary.share_overturned == 0.5
    # The second step prefers what was written after the same token, the first what nobody wrote.
    assert microscope.summary_as_trained.share_odd == microscope.share_odd(microscope.trained) == 0.5
    assert summary.share_odd is None
    view = microscope.rollout(0, microscope.trained)
    assert view.step(0).shared is None
    assert [max(view.step(t).candidates, key=lambda c: c.weight).token for t in (0, 1)] == [4, 3]


def test_thresholds_the_scores_cannot_answer_for_are_refused() -> None:
    found = ScoredRollouts([], NO_SCORES, {})
    microscope = microscope_over(found)
    for alpha, beta in [
        (0.04, 0.4),
        (1.1, 0.4),
        (0.2, -1),
        (0.2, math.inf),
        (math.nan, 0.4),
        (0.2, math.nan),
    ]:
        with pytest.raises(ValueError, match=r"the scores answer for alpha from 0\.05 to 1"):
            microscope.at(alpha, beta)


def test_no_rollouts_at_all_are_summed_up_without_numbers_that_are_not_there() -> None:
    microscope = microscope_over(ScoredRollouts([], NO_SCORES, {}))
    summary = microscope.summary(microscope.trained)
    assert summary.divergence["steps"] == 0
    assert summary.divergence["share_kept"] is None
    assert summary.counts.shape == (len(HISTOGRAM_EDGES) - 1,)
    assert microscope.largest_kl == 0
