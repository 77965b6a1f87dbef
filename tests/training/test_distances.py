"""Reverse, Jensen-Shannon and tempered divergences against what they are over the whole vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.methods.component import EXPERT
from lrbench.methods.ingredients import Ingredients
from lrbench.methods.objectives import BETAS, Distance
from lrbench.methods.readings import PAIR
from lrbench.models.pieces import Pieces
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.recipe.schema import Lora
from lrbench.sampling.rollouts import Rollout
from lrbench.sampling.samples import Samples, build_samples
from lrbench.sampling.scoring import LoadedPair, score_rollouts
from lrbench.training.distances import LEAST_REST, distances, summed_distance
from lrbench.training.loss import batch_losses
from lrbench.training.output_gradient import mean_divergence
from tests.oracles.training import whole_divergence
from tests.training.conftest import VOCABULARY, random_rollouts
from tests.training.test_learning_from_oneself import EVERYTHING, MENTOR, soft
from tests.training.test_loop import assert_identical, run
from tests.training.test_loss import adapted, chunks_of, loss_and_gradients

KINDS = ("forward", "reverse", "js")
SIZE = 9


@st.composite
def positions(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (3, V) of a model and of a teacher, some far below others."""
    logits = st.lists(st.floats(-30, 30, width=32), min_size=3 * SIZE, max_size=3 * SIZE)
    student, teacher = (torch.tensor(draw(logits), dtype=torch.float64).reshape(3, SIZE) for _ in range(2))
    return student, teacher


def stored(teacher: torch.Tensor, temperature: float, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids and weights of the likeliest tokens, where all others are one outcome more."""
    log_p = teacher.log_softmax(-1)
    found, ids = log_p.topk(top)
    rest = torch.log1p(-found.exp().sum(-1).clamp(max=1 - 1e-15))
    if top == SIZE:
        rest = torch.full_like(rest, -math.inf)
    outcomes = (torch.cat([found, rest[:, None]], dim=1) / temperature).softmax(-1)
    return ids, outcomes[:, :-1]


def apart(student: torch.Tensor, teacher: torch.Tensor, distance: Distance, top: int = SIZE) -> torch.Tensor:
    ids, weights = stored(teacher, distance.temperature, top)
    whole = torch.full((3,), top == SIZE)
    return distances(student, torch.zeros(3, dtype=torch.int64), ids, weights, whole, distance)


@settings(max_examples=40)
@given(positions(), st.sampled_from(KINDS), st.sampled_from([0.5, 1.0, 2.0]))
def test_where_every_token_is_stored_it_is_the_divergence_over_the_vocabulary(
    logits: tuple[torch.Tensor, torch.Tensor], kind: Any, temperature: float
) -> None:
    student, teacher = logits
    gradients = []
    for find in (apart, lambda s, t, _: whole_divergence(s, t, kind, temperature)):
        student = student.detach().requires_grad_()
        found = find(student, teacher, Distance(BETAS[kind], temperature, 0.0))
        gradients.append((found.detach(), *torch.autograd.grad(found.sum(), student)))
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-9)


@settings(max_examples=60)
@given(positions(), st.sampled_from(KINDS), st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, SIZE))
def test_it_is_never_negative_and_at_temperature_1_at_most_that_over_the_vocabulary(
    logits: tuple[torch.Tensor, torch.Tensor], kind: Any, temperature: float, top: int
) -> None:
    student, teacher = logits
    found = apart(student, teacher, Distance(BETAS[kind], temperature, 0.0), top)
    assert torch.isfinite(found).all()
    assert (found >= -1e-9).all()
    if temperature == 1:
        # What is taken for no rest would have been worth up to x log x.
        whole = whole_divergence(student, teacher, kind, 1.0)
        assert (found <= whole - 2 * LEAST_REST * math.log(LEAST_REST)).all()
    same = apart(teacher, teacher, Distance(BETAS[kind], temperature, 0.0), top)
    assert same.abs().max() < 1e-4


@pytest.mark.parametrize("share", [0.0, 0.25])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(
    tiny_model: Callable[..., Any], kind: Any, share: float
) -> None:
    lora = Lora(r=2, dropout=0.0, target_modules=("lm_head",))
    model = adapted(tiny_model, lora).double()
    learning = [weight for weight in model.lm_head.parameters() if weight.requires_grad]
    chunks = chunks_of([1, 4, 2, 1, 3], size=2)
    own_P = torch.tensor([int(ids) for chunk in chunks for ids in first_of_each(chunk)])
    for chunk in chunks:
        # A fifth of each is on tokens that are not stored, but what is on the own token is all there.
        chunk.weights.mul_(0.8 * (1 - share))
        chunk.weights[np.concatenate([[0], np.cumsum(chunk.counts)[:-1]])] += share
    hidden_PD = torch.randn(5, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    summed = partial(summed_distance, distance=Distance(BETAS[kind], 2.0, share), own_P=own_P)

    def divergence(hidden_PD: torch.Tensor, *_learning: torch.Tensor) -> torch.Tensor:
        return mean_divergence(model, VOCABULARY, hidden_PD, chunks, 7, summed)

    assert torch.autograd.gradcheck(divergence, (hidden_PD.requires_grad_(), *learning))


def first_of_each(chunk: Any) -> list[int]:
    starts = np.concatenate([[0], np.cumsum(chunk.counts)[:-1]])
    return chunk.ids[starts].tolist()


@pytest.fixture(scope="module")
def rollouts() -> list[Rollout]:
    return random_rollouts(6)


def taught(
    teacher: Any, rollouts: list[Rollout], objective: Any, target: Any, least: float = EVERYTHING
) -> tuple[Samples, Distance | None]:
    scores = score_rollouts(LoadedPair(teacher, teacher, VOCABULARY), rollouts, alpha_min=least)
    written = {"source": "greedy", "selector": "all", "target": target, "objective": objective}
    ingredients = Ingredients.model_validate(written)
    views = {PAIR: scores, (MENTOR, EXPERT): scores}
    return build_samples(rollouts, views, ingredients), ingredients.distance


def losses(model: Any, taught: tuple[Samples, Distance | None], **options: Any) -> torch.Tensor:
    samples, distance = taught
    batch = range(len(samples))
    return sum(batch_losses(model, VOCABULARY, samples, batch, distance=distance, **options), torch.zeros(()))


@pytest.mark.parametrize("least", [EVERYTHING, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_identity_20_a_teacher_that_is_the_student_is_at_no_distance_however_little_is_stored(
    tiny_model: Callable[..., Any], rollouts: list[Rollout], kind: str, least: float
) -> None:
    objective = {"divergence": kind, "temperature": 2.0}
    target = soft(MENTOR, 2.0) | {"truncate": True}
    model = adapted(tiny_model)
    lessons = taught(model, rollouts, objective, target, least)
    assert (len(lessons[0].targets.ids) < 50 * len(lessons[0])) == (least == 0.3)
    loss, gradient = loss_and_gradients(model, lambda: losses(model, lessons))
    assert loss == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() < 1e-6
    other = taught(tiny_model(seed=2), rollouts, objective, target, least)
    assert losses(model, other).item() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_however_it_is_cut_it_is_the_mean_over_all_steps(
    tiny_model: Callable[..., Any], rollouts: list[Rollout], kind: str
) -> None:
    """Chunks, packed rows and the shares of two processes."""
    model, teacher = adapted(tiny_model), tiny_model(seed=2)
    lessons = taught(teacher, rollouts, {"divergence": kind, "temperature": 2.0}, soft(MENTOR, 2.0))
    expected = loss_and_gradients(model, lambda: by_prefix(model, teacher, rollouts, kind))

    def shared(**options: Any) -> torch.Tensor:
        halves = (losses(model, lessons, share=slice(rank, None, 2), **options) for rank in range(2))
        return sum(halves, torch.zeros(()))

    for find in (partial(shared, pieces=Pieces(40, 7), pack=True), partial(losses, model, lessons)):
        found = loss_and_gradients(model, find)
        assert found[0] == pytest.approx(expected[0], rel=1e-4)
        assert expected[1].abs().max() > 1e-3
        torch.testing.assert_close(found[1], expected[1], rtol=1e-3, atol=1e-5)


def by_prefix(model: Any, teacher: Any, rollouts: list[Rollout], kind: str) -> torch.Tensor:
    allowed = [token for token in range(VOCABULARY.size) if token not in VOCABULARY.unused]
    rows = []
    for rollout in rollouts:
        for step in range(rollout.steps):
            ids = torch.tensor([rollout.token_ids[: len(rollout.prompt_ids) + step]])
            with torch.no_grad():
                theirs = teacher(input_ids=ids).logits[0, -1:, allowed]
            rows.append(whole_divergence(model(input_ids=ids).logits[0, -1:, allowed], theirs, kind, 2.0))
    return torch.cat(rows).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_own_tokens_are_learnt_by_their_cross_entropy_beside_it(
    tiny_model: Callable[..., Any], rollouts: list[Rollout], kind: str
) -> None:
    """As in Mentor-KD, whose labels have no temperature; without the mentor it is the loss of the labels."""
    model, teacher = adapted(tiny_model), tiny_model(seed=2)
    objective = {"divergence": kind, "temperature": 2.0}
    parts = [{"use": "own_token", "weight": 0.75}, soft(MENTOR, 2.0) | {"weight": 0.25}]
    alone = taught(teacher, rollouts, "forward", "own_token")
    mentor = taught(teacher, rollouts, objective, soft(MENTOR, 2.0))
    both = losses(model, taught(teacher, rollouts, objective, parts)).item()
    label, mentored = losses(model, alone).item(), losses(model, mentor).item()
    assert both == pytest.approx(0.75 * label + 0.25 * mentored, rel=1e-5)
    without = (mentor[0], Distance(BETAS[kind], 2.0, 1.0 - 1e-9))
    only = Samples(rollouts, alone[0].rollout, alone[0].step, alone[0].kl, alone[0].targets)
    assert losses(model, (only, without[1])).item() == pytest.approx(label, rel=1e-6)


def test_a_target_without_a_rest_is_at_a_finite_distance(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    lessons = taught(tiny_model(seed=2), rollouts, {"divergence": "js"}, {"use": "plausible", "alpha": 0.5})
    assert 0 < losses(tiny_model(seed=1), lessons).item() < math.log(2)


def test_training_with_it_and_dropout_resumes_exactly(
    tiny_model: Callable[..., Any], rollouts: list[Rollout]
) -> None:
    samples, distance = taught(tiny_model(seed=2), rollouts, {"divergence": "reverse"}, soft(MENTOR))
    whole, trained, saved = run(tiny_model(seed=1), samples, distance=distance)
    resumed, again, _ = run(tiny_model(seed=1), samples, distance=distance, resume=saved[0])
    assert_identical(whole, resumed)
    assert again.curves == trained.curves
    assert trained.curves.loss[-1][1] < trained.curves.loss[0][1]
    forward = run(tiny_model(seed=1), samples)[0]
    assert any(not torch.equal(whole[name], forward[name]) for name in whole)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(("kind", "beta"), [("forward", 0.0), ("js", 0.5), ("reverse", 1.0)])
def test_trl_has_the_same_loss_and_gradient(kind: Any, beta: float, temperature: float) -> None:
    reason = "TRL is in none of our environments; `pip install --no-deps --target FOLDER trl==1.16.0`"
    trainer = pytest.importorskip("trl.experimental.gkd", reason=reason).GKDTrainer
    random = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(3, SIZE, generator=random) for _ in range(2))
    student.requires_grad_()
    ours = apart(student, teacher, Distance(BETAS[kind], temperature, 0.0)).mean()
    theirs = trainer.generalized_jsd_loss(
        student[None], teacher[None], torch.zeros(1, 3), beta=beta, temperature=temperature
    )
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    gradients = [torch.autograd.grad(loss, student)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-5)


def test_positions_where_everything_is_stored_have_no_rest() -> None:
    """Rounding leaves a little of 1, which a temperature would make much of."""
    vocabulary = SharedVocabulary(size=61, unused=(7,), identity="test")
    (chunk,) = chunks_of([3], size=1)
    everything = [token for token in range(61) if token != 7]
    whole = type(chunk)(
        slice(0, 1), np.array([60]), torch.tensor(everything), torch.full((60,), 1 / 60) * (1 - 1e-5)
    )
    logits = torch.zeros(1, 61)
    found = summed_distance(
        logits, vocabulary, whole, 1.0, distance=Distance(1.0, 4.0, 0.0), own_P=torch.tensor([8])
    )
    assert found.item() == pytest.approx(0, abs=1e-6)
