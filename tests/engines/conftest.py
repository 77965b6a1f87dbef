"""The embedded expert as `hf`, `vllm` and `server` run it; started once, and only where vLLM is installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.embedded.assets import model_folder, problems
from lrbench.methods.answers import OWN
from lrbench.models.prompt import render_prompt
from lrbench.models.source import LocatedModel, locate
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, Lora, ModelReference, Runtime
from lrbench.store.keys import FileHashes
from lrbench.suites.suite import shipped_suite
from tests.engines.lockstep import SEEDS
from tests.engines.serving_vllm import KEY, vllm_serving

PROMPTS = 50


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `vllm` need it."""
    if item.get_closest_marker("vllm") and importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed in this environment; `make test-vllm` runs these tests in its own")


@pytest.fixture(scope="session")
def expert(tmp_path_factory: pytest.TempPathFactory) -> LocatedModel:
    """The embedded expert, with generation settings of its own that no engine may pick up."""
    folder = tmp_path_factory.mktemp("models") / "expert"
    shutil.copytree(model_folder("expert"), folder)
    settings = {"repetition_penalty": 5.0, "temperature": 3.0, "do_sample": True, "eos_token_id": [20]}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return locate(ModelReference(model=str(folder)), FileHashes())


@pytest.fixture(scope="session")
def workspace(expert: LocatedModel) -> Workspace:
    """All engines are asked through the workspace, as in a run."""
    return Workspace(expert, None, Runtime(batch_size=PROMPTS), largest_rank=8)


@pytest.fixture(scope="session")
def prompts(workspace: Workspace) -> list[list[int]]:
    """Problems of all seven embedded benchmarks in turn."""
    texts = [
        problems(name, "test")[place]["problem"]
        for place in range(PROMPTS)
        for name in shipped_suite("embedded7").names
    ]
    return [render_prompt(workspace.expert.tokenizer, text, None) for text in texts[:PROMPTS]]


@pytest.fixture(scope="session")
def adapter(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an adapter strong enough to change what is written."""
    import torch

    from lrbench.training import adapters

    folder = tmp_path_factory.mktemp("adapters") / ("a" * 64)
    folder.mkdir()
    lora = Lora(r=8, dropout=0.0)
    adapted = adapters.attach_adapter(workspace.expert.weights, lora, seed=0)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1, generator=random)
    adapters.write_adapter_config(folder / adapters.CONFIG_FILE, lora, "embedded/expert")
    adapters.write_adapter_weights(folder / adapters.WEIGHTS_FILE, adapted)
    workspace.expert.detach(adapted)
    return folder


@pytest.fixture(scope="session")
def server_url(expert: LocatedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a `vllm serve` of the expert that wants a key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_API_KEY", KEY)
        with vllm_serving(expert.folder, tmp_path_factory.mktemp("server") / "log.txt") as url:
            yield url


@pytest.fixture(scope="session", params=["vllm", "server"])
def choice(request: pytest.FixtureRequest) -> EngineChoice:
    """Each engine that vLLM is behind."""
    url = request.getfixturevalue("server_url") if request.param == "server" else None
    return EngineChoice(name=request.param, url=url)


@pytest.fixture(scope="module")
def models(tiny_model: Callable[..., Any]) -> dict[str, Any]:
    """Random models by name; the arm's own is the expert."""
    found = {name: tiny_model(seed=seed) for name, seed in SEEDS.items()}
    return found | {OWN: found["expert"]}


@pytest.fixture(params=[True, False], ids=["refilled", "whole batches"])
def refilled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every promise of what is written in lockstep holds for both ways of writing."""
    refilled: bool = request.param
    if not refilled:
        monkeypatch.setattr("lrbench.sampling.engines.lockstep.can_refill", lambda _: False)
    return refilled
