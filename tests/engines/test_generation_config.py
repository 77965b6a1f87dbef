"""Decoding is declared: what a model's folder says of it changes nothing, silently or otherwise."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lrbench.embedded.assets import model_folder, problems
from lrbench.models.prompt import render_prompt
from lrbench.models.source import locate
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, ModelReference, Runtime
from lrbench.sampling.engines.base import Decoding, TokenRules
from lrbench.sampling.engines.vllm import VllmEngine
from lrbench.store.keys import FileHashes

SHIPPED: list[dict[str, Any]] = [
    {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "repetition_penalty": 1.1},
    {"top_k": 1, "min_p": 0.9, "no_repeat_ngram_size": 2, "min_new_tokens": 40, "max_new_tokens": 3},
    {
        "forced_eos_token_id": 7,
        "suppress_tokens": [20, 21, 22],
        "begin_suppress_tokens": [23],
        "num_beams": 2,
    },
]


def completions(folder: Path, temperature: float) -> list[tuple[int, ...]]:
    """What the model in `folder` writes, loaded and asked as in a run."""
    workspace = Workspace(locate(ModelReference(model=str(folder)), FileHashes()), None, Runtime())
    texts = [row["problem"] for row in problems("multi_step", "test")[:6]]
    prompts = [render_prompt(workspace.expert.tokenizer, text, None) for text in texts]
    with workspace.engines.open(EngineChoice()) as engine:
        return engine.complete(prompts, 32, Decoding(temperature), seeds=list(range(6)))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded expert without any generation settings."""
    folder = shutil.copytree(model_folder("expert"), tmp_path_factory.mktemp("bare") / "expert")
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize("temperature", [0.0, 1.0], ids=["greedy", "sampled"])
@pytest.mark.parametrize("settings", SHIPPED, ids=lambda settings: "-".join(settings))
def test_generation_settings_of_a_models_folder_change_no_completion(
    bare: Path, tmp_path: Path, settings: dict[str, Any], temperature: float
) -> None:
    folder = shutil.copytree(bare, tmp_path / "expert")
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert completions(folder, temperature) == completions(bare, temperature)


def test_generation_settings_are_no_part_of_a_models_identity(bare: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bare, tmp_path / "expert")
    (folder / "generation_config.json").write_text(json.dumps(SHIPPED[0]))
    found = [locate(ModelReference(model=str(path)), FileHashes()).identity for path in (bare, folder)]
    assert found[0] == found[1]


def test_vllm_is_asked_for_the_nucleus_that_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where vLLM is not installed, what it would be asked is."""
    parameters = ModuleType("vllm.sampling_params")
    parameters.RequestOutputKind = SimpleNamespace(FINAL_ONLY="final")  # type: ignore[attr-defined]
    package = ModuleType("vllm")
    package.SamplingParams = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", parameters)
    running: Any = None
    engine = VllmEngine(running, TokenRules((2,), (), 64, 128), None, 4)
    asked = engine._parameters(Decoding(0.7, 0.95), 9)
    assert (asked.temperature, asked.top_p, asked.max_tokens) == (0.7, 0.95, 9)
