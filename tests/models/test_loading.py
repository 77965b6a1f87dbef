"""Models are identified by their files, loaded from safetensors alone, and refused by name when broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError, RunError
from lrbench.models.forward import check_output_layer
from lrbench.models.loading import check_target_modules, choose_device, load_model, load_tokenizer
from lrbench.models.source import locate
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_model: Callable[..., Any], tmp_path: Path) -> Path:
    tiny_model(seed=4).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def located(folder: Path) -> Any:
    return locate(ModelReference(model=str(folder)), FileHashes())


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_copies_have_one_identity_and_changed_weights_another(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert located(copy).identity == located(folder).identity
    change_weights(copy, lambda tensors: tensors["model.norm.weight"].add_(1e-3))
    assert located(copy).identity != located(folder).identity


def test_generation_settings_a_model_ships_with_change_nothing(folder: Path) -> None:
    before = located(folder)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, "temperature": 0.7}))
    assert located(folder).identity == before.identity
    assert load_model(before, CPU).generation_config.do_sample in (None, False)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder there \(config.json is missing\)"):
        located(tmp_path)


def test_weights_that_are_not_safetensors_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds no \.safetensors file"):
        located(folder)


def test_not_a_number_in_the_weights_is_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors["model.norm.weight"].fill_(float("nan")))
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds NaN"):
        load_model(located(folder), CPU)


def test_missing_weights_are_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.pop("model.norm.weight"))
    with pytest.raises(ModelError, match=r"missing keys: model\.norm\.weight"):
        load_model(located(folder), CPU)


def test_extra_weights_are_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.update(surplus=torch.ones(1)))
    with pytest.raises(ModelError, match="unexpected keys: surplus"):
        load_model(located(folder), CPU)


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        load_tokenizer(located(folder))


def test_a_tokenizer_that_loads_and_cannot_read_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder("expert"), tmp_path / "model"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["model_max_length"] = {"type": "linear"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        load_tokenizer(located(folder))


def test_an_unreachable_hub_model_is_refused_with_its_name() -> None:
    with pytest.raises(ModelError, match="nobody/nothing: cannot be fetched from the hub"):
        locate(ModelReference(model="nobody/nothing"), FileHashes())


@pytest.mark.parametrize(("available", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_device_is_chosen_by_what_there_is(
    monkeypatch: pytest.MonkeyPatch, available: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device("auto").type == device
    assert choose_device("cpu").type == "cpu"


def test_an_architecture_that_changes_logits_afterwards_is_refused(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model(seed=4)
    check_output_layer(model, "plain")
    forward = model.forward

    def capped(*args: Any, **options: Any) -> Any:
        output = forward(*args, **options)
        output.logits = 2 * torch.tanh(output.logits / 2)
        return output

    model.forward = capped
    with pytest.raises(ModelError, match="changes logits after its output layer"):
        check_output_layer(model, "capped")


def test_a_wrong_target_module_is_named_with_those_there_are(folder: Path) -> None:
    check_target_modules(located(folder), ["q_proj", "v_proj"])
    for wrong in ("query", "mlp"):
        with pytest.raises(ModelError, match=rf"no linear layers named '{wrong}'.*; it has .*q_proj"):
            check_target_modules(located(folder), ["v_proj", wrong])


def test_a_folder_that_changes_after_it_was_identified_is_refused(folder: Path) -> None:
    before = located(folder)
    change_weights(folder, lambda tensors: tensors["model.norm.weight"].add_(1e-3))
    with pytest.raises(RunError, match="its files changed while the run was going on"):
        load_model(before, CPU)


def test_an_adapter_lying_in_the_folder_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="an adapter that would be applied silently"):
        located(folder)


def test_an_index_of_weights_elsewhere_is_refused(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"names \.\./other\.safetensors, which is outside"):
        located(folder)


def shard(folder: Path) -> list[Path]:
    """Cut the checkpoint into several files with an index, as larger models are."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {f"model-{part}.safetensors": names[part::3] for part in range(3)}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map})
    )
    return [folder / file for file in parts]


def test_a_checkpoint_in_several_files_is_that_of_one(folder: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(folder, tmp_path / "whole")
    shard(folder)
    cut, one = load_model(located(folder), CPU), load_model(located(whole), CPU)
    assert cut.state_dict().keys() == one.state_dict().keys()
    assert all(torch.equal(weight, one.state_dict()[name]) for name, weight in cut.state_dict().items())


def test_an_index_that_names_a_missing_file_is_refused_before_anything_is_loaded(folder: Path) -> None:
    parts = shard(folder)
    parts[1].unlink()
    with pytest.raises(
        ModelError, match=r"index\.json names model-1\.safetensors, which the folder does not hold; copy or"
    ):
        located(folder)
    parts[2].unlink()
    with pytest.raises(ModelError, match=r"names model-1\.safetensors and 1 more, which"):
        located(folder)


def test_missing_and_extra_weights_of_several_files_are_refused_by_name(folder: Path) -> None:
    part = shard(folder)[0]
    tensors = load_file(part)
    lost = sorted(tensors)[0]
    save_file({name: tensors[name] for name in tensors if name != lost}, part, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=lost.replace(".", r"\.")):
        load_model(located(folder), CPU)
    save_file(tensors | {"surplus": torch.ones(1)}, part, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["surplus"] = part.name
    index.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="unexpected keys: surplus"):
        load_model(located(folder), CPU)


def test_a_truncated_checkpoint_is_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(
        ModelError, match=r"model\.safetensors is no whole safetensors file: its tensors take"
    ):
        located(folder)


def test_an_unknown_architecture_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nonesuch"}))
    with pytest.raises(ModelError, match=r"its config\.json cannot be used"):
        check_target_modules(located(folder), ["q_proj"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_last_positions_of_many_rows_reach_the_output_layer_as_one_matrix(
    folder: Path, dtype: str
) -> None:
    model = load_model(locate(ModelReference(model=str(folder), dtype=dtype), FileHashes()), CPU)
    seen: list[bool] = []
    model.get_output_embeddings().register_forward_pre_hook(
        lambda _, given: seen.append(given[0].is_contiguous())
    )
    ids = torch.arange(12).reshape(3, 4)
    last = model(input_ids=ids, logits_to_keep=1).logits
    # In float32 each row is multiplied for itself, as it always was: the other way rounds otherwise.
    assert seen == [dtype == "bfloat16"]
    assert torch.allclose(last, model(input_ids=ids).logits[:, -1:], atol=1e-2)
