"""Two processes train the adapter that one does; one that fails is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.errors import RunError
from lrbench.models.loading import load_model
from lrbench.models.source import locate
from lrbench.recipe.schema import Lora, ModelReference, Runtime, Training
from lrbench.sampling.samples import Samples
from lrbench.store.keys import FileHashes
from lrbench.training.adapters import adapter_state
from lrbench.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from lrbench.training.helper import Helper
from lrbench.training.loop import Trained, train
from lrbench.training.team import Team, team_of
from tests.training.conftest import VOCABULARY
from tests.training.helping import refuse, sleep, vanish

CPU = torch.device("cpu")
TRAINING = Training(updates=12, rollouts_per_update=5, learning_rate=1e-3, lora=Lora(r=4, dropout=0.1))

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_processes")]


def trained_by(
    size: int, folder: Path, samples: Samples, save: Callable[[Checkpoint], None], resume: Path | None = None
) -> Trained:
    expert = locate(ModelReference(model=str(folder)), FileHashes())
    runtime = Runtime(updates_between_saves=5, processes=size)
    helper = Helper(expert, VOCABULARY, samples, TRAINING, 0, runtime, 1e9, resume)
    with team_of(size, CPU, helper) as team:
        return train(
            load_model(expert, CPU),
            VOCABULARY,
            samples,
            TRAINING,
            seed=0,
            runtime=runtime,
            save=save,
            resume=None if resume is None else read_checkpoint(resume),
            seconds=1e9,
            held_out=samples.rollouts[:3],
            team=team,
        )


def test_two_processes_train_the_adapter_that_one_does(
    tiny_model: Callable[..., Any], samples: Samples, tmp_path: Path
) -> None:
    tiny_model(seed=1).save_pretrained(tmp_path / "expert")
    saved: list[Path] = []

    def save(checkpoint: Checkpoint) -> None:
        saved.append(tmp_path / f"{checkpoint.update}.safetensors")
        write_checkpoint(saved[-1], checkpoint)

    one = trained_by(1, tmp_path / "expert", samples, lambda _: None)
    two = trained_by(2, tmp_path / "expert", samples, save)
    resumed = trained_by(2, tmp_path / "expert", samples, lambda _: None, saved[0])
    states = [adapter_state(run.adapted) for run in (one, two, resumed)]
    for name, weight in states[0].items():
        assert (states[1][name] - weight).abs().max() <= 1e-5
        assert torch.equal(states[1][name], states[2][name])
    for (_, alone), (_, together) in zip(one.curves.loss, two.curves.loss, strict=True):
        assert together == pytest.approx(alone, abs=1e-5)
    assert len(two.curves.held_out_perplexity) == 13


def sum_until_it_fails(does: Callable[[Team, torch.device], None]) -> None:
    with team_of(2, CPU, does) as team:
        for _ in range(100):
            team.sum([torch.ones(3)])


@pytest.mark.parametrize(
    ("does", "message"),
    [(refuse, "there is no more room"), (vanish, "it ended with exit code 7")],
)
def test_a_process_that_fails_stops_the_training_with_its_reason(
    does: Callable[[Team, torch.device], None], message: str
) -> None:
    with pytest.raises(RunError, match=f"a process of runtime.processes failed: {message}"):
        sum_until_it_fails(does)


def test_an_error_of_the_first_process_ends_the_others() -> None:
    with pytest.raises(ValueError, match="mine"), team_of(2, CPU, sleep):
        raise ValueError("mine")
