"""Distillation: nearer with every update, the same after an interruption, and by the slow formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import NonFiniteLossError, RunError
from lrbench.models.deriving import keep_layers
from lrbench.models.vocabulary import SharedVocabulary
from lrbench.sampling.rollouts import Rollout
from lrbench.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from lrbench.training.distilling import Distilled, distill

VOCABULARY = SharedVocabulary(60, (7,), "")
ROLLOUTS = [
    Rollout(f"p{index}", 0, tuple(range(3, 6 + index % 4)), tuple(range(10 + index, 16 + 2 * index)))
    for index in range(11)
]


@pytest.fixture
def teacher(tiny_model: Callable[..., Any]) -> Any:
    return tiny_model(layers=4, scale=0.1)


def distilled(teacher: Any, updates: int = 6, **settings: Any) -> tuple[Any, Distilled]:
    student = keep_layers(teacher, 2)
    fields: dict[str, Any] = {
        "learning_rate": 3e-3, "seed": 0, "updates_between_saves": 100, "save": lambda _state: None,
    }  # fmt: skip
    result = distill(teacher, student, VOCABULARY, ROLLOUTS, updates=updates, **(fields | settings))
    return student, result


def divergence(teacher: Any, student: Any, rollouts: list[Rollout]) -> float:
    """Mean KL in nats per step: one rollout and one position after the other, from whole logits."""
    found = []
    for rollout in rollouts:
        ids = torch.tensor([[*rollout.prompt_ids, *rollout.completion_ids]])
        p, q = (
            model(input_ids=ids).logits[0, :, :60].index_fill(1, torch.tensor([7]), -torch.inf).softmax(-1)
            for model in (teacher, student)
        )
        for position in range(len(rollout.prompt_ids) - 1, ids.shape[1] - 1):
            real = [token for token in range(60) if token != 7]
            one, other = p[position, real].double(), q[position, real].double()
            found.append((one * (one / other).log()).sum().item())
    return sum(found) / len(found)


def test_the_first_divergence_is_that_of_the_formula(teacher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrbench.training.distilling.ROLLOUTS_PER_UPDATE", len(ROLLOUTS))
    _, result = distilled(teacher, updates=1)
    expected = divergence(teacher, keep_layers(teacher, 2), ROLLOUTS)
    assert result.divergence[0][1] == pytest.approx(expected, rel=1e-4)


def test_the_student_comes_nearer_and_the_teacher_stays(teacher: Any) -> None:
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    student, _ = distilled(teacher, updates=20)
    cut = keep_layers(teacher, 2)
    assert divergence(teacher, student, ROLLOUTS) < 0.5 * divergence(teacher, cut, ROLLOUTS)
    for name, weight in teacher.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)
    embeddings = student.get_input_embeddings().weight
    torch.testing.assert_close(embeddings, teacher.get_input_embeddings().weight, rtol=0, atol=0)


def test_small_forwards_give_the_same_student(teacher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = distilled(teacher, updates=3)
    monkeypatch.setattr("lrbench.training.distilling.TOKENS_PER_FORWARD", {"cpu": 30})
    monkeypatch.setattr("lrbench.training.distilling.chunk_size", lambda _vocabulary: 5)
    cut, _ = distilled(teacher, updates=3)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        # Adam's first updates have the size of the learning rate whatever the gradient's.
        torch.testing.assert_close(one, other, rtol=0, atol=3e-4)


def test_an_interruption_changes_no_byte(teacher: Any, tmp_path: Path) -> None:
    saves: list[Checkpoint] = []

    def save(state: Checkpoint) -> None:
        write_checkpoint(tmp_path / f"{state.update}", state)
        saves.append(read_checkpoint(tmp_path / f"{state.update}"))

    whole, first = distilled(teacher, save=save, updates_between_saves=2)
    assert [state.update for state in saves] == [2, 4]
    for state in saves:
        told: list[int] = []
        resumed, second = distilled(
            teacher, resume=state, progress=lambda update, _divergence, told=told: told.append(update)
        )
        assert told == list(range(state.update + 1, 7))
        assert second.divergence == first.divergence
        for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(one, other)


def test_the_seed_decides_the_order(teacher: Any) -> None:
    first, again, other = (distilled(teacher, updates=2, seed=seed)[1].divergence for seed in (0, 0, 1))
    assert first == again != other


def test_no_rollouts_and_no_numbers_are_told(teacher: Any) -> None:
    with pytest.raises(RunError, match="no rollout was written"):
        distill(
            teacher, keep_layers(teacher, 1), VOCABULARY, [], updates=1, learning_rate=1e-3, seed=0,
            updates_between_saves=1, save=lambda _state: None,
        )  # fmt: skip
    with pytest.raises(NonFiniteLossError, match=r"lower pair\.amateur\.derive\.learning_rate"):
        distilled(teacher, learning_rate=1e30)
