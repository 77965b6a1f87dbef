"""What this machine or the expert cannot give is said at `plan`, with its place, and before a run begins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lrbench.cli import app
from lrbench.errors import FieldError, ModelError, RecipeError
from lrbench.pipeline import cuda, requirements
from lrbench.pipeline.estimating import devices
from lrbench.pipeline.holding.machine import Machine
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages import deriving
from lrbench.recipe.loading import telling_where
from lrbench.recipe.schema import Recipe, Runtime
from lrbench.store.store import Store

RECIPE = """\
name: written
pair:
  expert: {model: EXPERT}
  amateur: {derive: {from: expert, layers: 1, distill_updates: 3}}
data: {train: embedded/multi_step, problems: 4}
training: {updates: 2, rollouts_per_update: 2}
arms: [base, lightr]
evaluation: {suite: embedded7, benchmarks: [one_step], limit: 2}
runtime:
  device: cpu
"""


@pytest.fixture
def see_gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes this machine one with so many GPUs, for torch as for the driver."""

    def see(count: int) -> None:
        monkeypatch.setattr(cuda, "torch_knows_cuda", lambda: True)
        monkeypatch.setattr(cuda, "visible_gpus", lambda: ("NVIDIA H200",) * count)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)

    return see


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("EXPERT", "embedded/expert"))
    return path


@pytest.mark.parametrize(
    ("runtime", "gpus", "message"),
    [
        (
            {"device": "cuda"},
            0,
            r"runtime\.device: found cuda, but no CUDA device is visible here; set it to",
        ),
        ({"device": "cuda", "processes": 2}, 1, r"processes: found 2, but 1 CUDA device is .*set it to 1$"),
        ({"device": "cuda", "processes": 5}, 4, r"found 5, but 4 CUDA devices are .*set it to 4 or fewer"),
        ({"device": "auto", "processes": 3}, 2, r"found 3, but 2 CUDA devices are"),
        (
            {"workers": 3},
            2,
            r"workers: found 3, but 2 CUDA devices are .*, and each worker needs one; set it to 2 or",
        ),
        (
            {"workers": 3, "processes": 2},
            4,
            r"workers: found 3, .* each worker needs 2, as runtime.processes says; set it to 2 or fewer$",
        ),
        (
            {"tensor_parallel": 3},
            2,
            r"tensor_parallel: found 3, but 2 .*, and each part of the model needs one",
        ),
        (
            {"workers": 2, "processes": 2, "tensor_parallel": 4},
            4,
            r"workers: found 2, .* each worker needs 4, as runtime.tensor_parallel says; set it to 1$",
        ),
    ],
    ids=str,
)
def test_more_than_there_is_of_cuda_is_refused(
    see_gpus: Callable[[int], None], runtime: dict[str, object], gpus: int, message: str
) -> None:
    see_gpus(gpus)
    missing = cuda.missing_devices(Runtime.model_validate(runtime))
    assert missing is not None
    with pytest.raises(FieldError, match=message):
        raise missing


@pytest.mark.parametrize(
    ("runtime", "gpus"),
    [
        ({"device": "cuda", "processes": 2}, 2),
        ({"device": "auto", "processes": 2}, 0),
        ({"device": "cpu", "processes": 3}, 1),
        ({"workers": 2, "processes": 2}, 4),
        ({"workers": 2, "tensor_parallel": 2}, 4),
    ],
    ids=str,
)
def test_what_there_is_of_cuda_is_not(
    see_gpus: Callable[[int], None], runtime: dict[str, object], gpus: int
) -> None:
    see_gpus(gpus)
    assert cuda.missing_devices(Runtime.model_validate(runtime)) is None


def test_torch_has_the_last_word_when_models_are_placed(see_gpus: Callable[[int], None]) -> None:
    see_gpus(1)
    runtime = Runtime(device="auto", processes=2)
    with pytest.raises(FieldError, match=r"runtime\.processes: found 2, but 1 CUDA device is"):
        _ = Machine(runtime).device


@pytest.mark.parametrize(
    ("chosen", "count"), [(None, 2), ("0,1", 2), ("1", 1), ("", 0), ("-1", 0), ("0,-1,1", 1), ("0,1,2", 2)]
)
def test_as_many_gpus_are_visible_as_the_environment_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str | None, count: int
) -> None:
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
        (tmp_path / bus / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\n")
    monkeypatch.setattr(devices, "GPUS", tmp_path)
    monkeypatch.setattr(devices, "torch_knows_cuda", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert devices.visible_gpus() == ("NVIDIA H200",) * count


@pytest.mark.parametrize("command", ["plan", "run"])
def test_cuda_where_there_is_none_is_told_with_its_place_and_nothing_is_done(
    see_gpus: Callable[[int], None], recipe: Path, tmp_path: Path, command: str
) -> None:
    see_gpus(0)
    recipe.write_text(recipe.read_text().replace("device: cpu", "device: cuda"))
    found = CliRunner().invoke(app, [command, str(recipe), "--runs", str(tmp_path / "runs")])
    assert isinstance(found.exception, RecipeError)
    assert str(found.exception) == (
        f"{recipe}:10:11: runtime.device: found cuda, but no CUDA device is visible here; set it to auto or "
        "cpu\n1 problem; nothing was run."
    )
    assert not list((tmp_path / "runs").glob("*/*/*"))


def test_an_override_is_told_as_what_asks_for_it(
    see_gpus: Callable[[int], None], recipe: Path, tmp_path: Path
) -> None:
    see_gpus(0)
    found = CliRunner().invoke(app, ["plan", str(recipe), "runtime.device=cuda", "--runs", str(tmp_path)])
    assert str(found.exception).startswith("override 'runtime.device=cuda':16: runtime.device: found cuda")


def test_a_plan_for_another_machine_only_notes_what_this_one_has_not(
    see_gpus: Callable[[int], None], recipe: Path, tmp_path: Path
) -> None:
    see_gpus(0)
    arguments = ["runtime.device=cuda", "--device", "h200", "--runs", str(tmp_path)]
    found = CliRunner().invoke(app, ["plan", str(recipe), *arguments], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.exception
    assert "Expected on NVIDIA H200" in found.output
    assert "This machine could not run it: runtime.device: found cuda, but no CUDA device" in found.output
    here = CliRunner().invoke(app, ["plan", str(recipe), "--runs", str(tmp_path)])
    assert "could not run it" not in here.output


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_plan_that_does_not_ask_for_cuda_imports_no_framework(recipe: Path, device: str) -> None:
    code = (
        "import sys; from lrbench.cli import app\n"
        f"app(['plan', {str(recipe)!r}, 'runtime.device={device}', '--runs', {str(recipe.parent)!r}], "
        "standalone_mode=False)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_is_finished_needs_no_device(
    see_gpus: Callable[[int], None], make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch
) -> None:
    see_gpus(0)
    plan = plan_recipe(make_recipe(runtime={"device": "cuda"}), tmp_path)
    store = Store(tmp_path / "store")
    with pytest.raises(FieldError):
        requirements.check_requirements(plan, store)
    monkeypatch.setattr(Store, "exists", lambda *_: True)
    requirements.check_requirements(plan, store)


def test_as_many_layers_as_the_expert_has_are_told_at_plan(recipe: Path, tmp_path: Path) -> None:
    for layers in (4, 7):
        arguments = [f"pair.amateur.derive.layers={layers}", "--device", "h200", "--runs", str(tmp_path)]
        found = CliRunner().invoke(app, ["plan", str(recipe), *arguments])
        message = f"derive.layers: found {layers}, allowed is less than the 4 of embedded/expert"
        assert message in str(found.exception)
    recipe.write_text(recipe.read_text().replace("layers: 1", "layers: 4"))
    found = CliRunner().invoke(app, ["plan", str(recipe), "--runs", str(tmp_path)])
    assert str(found.exception).startswith(f"{recipe}:4:44: pair.amateur.derive.layers: found 4")


def test_too_many_layers_at_a_point_of_a_sweep_are_told_where_the_sweep_says_them(
    recipe: Path, tmp_path: Path
) -> None:
    recipe.write_text(f"{recipe.read_text()}sweep:\n  grid:\n    pair.amateur.derive.layers: [2, 12]\n")
    found = CliRunner().invoke(app, ["plan", str(recipe), "--runs", str(tmp_path)])
    assert str(found.exception).startswith(f"{recipe}:13:37: pair.amateur.derive.layers: found 12")


def test_a_device_whose_driver_is_too_old_is_none(
    see_gpus: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    see_gpus(1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    runtime = Runtime(device="cuda")
    assert cuda.missing_devices(runtime) is not None
    with pytest.raises(FieldError, match="no CUDA device is visible here"):
        _ = Machine(runtime).device


def test_a_published_experts_layers_are_known_before_it_is_here(recipe: Path, tmp_path: Path) -> None:
    changes = ["pair.expert.model=Qwen/Qwen2.5-Math-1.5B", "pair.amateur.derive.layers=28"]
    found = CliRunner().invoke(app, ["plan", str(recipe), *changes, "--runs", str(tmp_path)])
    assert "allowed is less than the 28 of Qwen/Qwen2.5-Math-1.5B" in str(found.exception)


def test_too_many_layers_stop_a_run_before_any_stage_whatever_the_config_says(
    make_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive = {"from": "expert", "layers": 4, "distill_updates": 3}
    pair = {"expert": {"model": "embedded/expert"}, "amateur": {"derive": derive}}
    monkeypatch.setattr(deriving, "layers_of", lambda _model: None)
    with pytest.raises(FieldError, match="layers: found 4, allowed is less than the 4 of embedded/expert"):
        run_recipe(make_recipe(pair=pair), tmp_path)
    assert not list((tmp_path / "store").glob("*/*.draft"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            r"the folder holds no \.safetensors file; other weight formats can run code",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"lm_head.weight": "model-2.safetensors"}})
            ),
            r"names model-2\.safetensors, which the folder does not hold",
        ),
    ],
    ids=["only other formats", "a file is missing"],
)
def test_a_folder_without_all_its_weights_is_told_at_plan(
    make_recipe: Callable[..., Recipe],
    local_pair: tuple[Path, Path],
    tmp_path: Path,
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    folder = shutil.copytree(local_pair[1], tmp_path / "amateur")
    spoil(folder)
    pair = {"expert": {"model": str(local_pair[0])}, "amateur": {"model": str(folder)}}
    with pytest.raises(ModelError, match=message):
        plan_recipe(make_recipe(pair=pair), tmp_path / "runs", fetch=False)


def test_other_errors_pass_through_as_they_are(recipe: Path) -> None:
    with pytest.raises(ModelError, match="as it was"), telling_where(recipe):
        raise ModelError("as it was")
