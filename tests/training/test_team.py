"""Two processes train the adapter that one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lrbench.models.loading import load_model
from lrbench.models.source import LocatedModel, locate
from lrbench.recipe.schema import Lora, ModelReference, Runtime, Training
from lrbench.sampling.samples import Samples
from lrbench.store.keys import FileHashes
from lrbench.training.adapters import CONFIG_FILE, WEIGHTS_FILE, adapter_state
from lrbench.training.lesson import SAVE_FILE, Course, Lesson, Member
from lrbench.training.supervision import work_together
from tests.training.conftest import VOCABULARY

CPU = torch.device("cpu")
TRAINING = Training(updates=12, rollouts_per_update=5, learning_rate=1e-3, lora=Lora(r=4, dropout=0.1))

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_processes")]


def lesson(samples: Samples) -> Lesson:
    runtime = Runtime(updates_between_saves=5)
    return Lesson(VOCABULARY, samples, TRAINING, 0, runtime, 1e9, samples.rollouts[:3])


def test_two_processes_train_the_adapter_that_one_does(
    tiny_model: Callable[..., Any], samples: Samples, tmp_path: Path
) -> None:
    tiny_model(seed=1).save_pretrained(tmp_path / "expert")
    expert = locate(ModelReference(model=str(tmp_path / "expert")), FileHashes())
    alone = lesson(samples).train(load_model(expert, CPU), save=lambda _: None, resume=None)
    together, told = trained_together(expert, samples, tmp_path / "together")
    assert [update for update, _ in filter(None, told)] == list(range(13))
    assert [place for place, found in enumerate(told) if found is None] == [6, 12]
    weights = load_file(tmp_path / "together" / WEIGHTS_FILE)
    for name, weight in adapter_state(alone.adapted).items():
        assert (weights[name] - weight).abs().max() <= 1e-5
    for (_, one), (_, two) in zip(alone.curves.loss, together.curves["loss"], strict=True):
        assert two == pytest.approx(one, abs=1e-5)
    assert len(together.curves["held_out_perplexity"]) == 13
    assert (together.updates, together.stopped_by) == (12, "updates")
    # The last save is of the tenth update: going on from it gives the same bytes.
    (tmp_path / "resumed").mkdir()
    (tmp_path / "together" / SAVE_FILE).rename(tmp_path / "resumed" / SAVE_FILE)
    resumed, told = trained_together(expert, samples, tmp_path / "resumed")
    assert [update for update, _ in filter(None, told)] == [11, 12]
    assert resumed.curves == together.curves
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "together" / name).read_bytes()


def trained_together(
    expert: LocatedModel, samples: Samples, folder: Path
) -> tuple[Course, list[tuple[int, float] | None]]:
    folder.mkdir(exist_ok=True)
    told: list[tuple[int, Mapping[str, float]] | None] = []
    member = Member(expert, "the expert", lesson(samples), folder)
    return work_together(2, CPU, member, folder, told.append), told
