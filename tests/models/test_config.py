"""What a config says is judged before anything is built: no crash, no download, no memory without bounds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lrbench.embedded.assets import model_folder
from lrbench.errors import ModelError
from lrbench.models.attention import WITHOUT_KERNEL
from lrbench.models.config import read_config
from lrbench.models.loading import check_architecture
from lrbench.models.source import locate, model_identity
from lrbench.recipe.schema import ModelReference
from lrbench.store.keys import FileHashes

HUGE = 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(model_folder("amateur"), tmp_path / "model")


def located(folder: Path) -> Any:
    return locate(ModelReference(model=str(folder)), FileHashes())


def nested(levels: int) -> Any:
    return {"deeper": nested(levels - 1)} if levels else 1


SAID_AT_PLAN: dict[str, tuple[dict[str, Any], str]] = {
    "layers": ({"num_hidden_layers": HUGE}, r"num_hidden_layers is 1000000000: the most is|weights are"),
    "layers within reason": ({"num_hidden_layers": 100}, "num_hidden_layers is 100: the weights are"),
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers is 0: it is a whole number of at least 1"),
    "layers below zero": ({"num_hidden_layers": -2}, "num_hidden_layers is -2: it is a whole number"),
    "layers as text": ({"num_hidden_layers": "4"}, "num_hidden_layers is '4': it is a whole number"),
    "half a layer": ({"num_hidden_layers": 1.5}, "num_hidden_layers is 1.5: it is a whole number"),
    "layers that are true": ({"num_hidden_layers": True}, "num_hidden_layers is True: it is a whole number"),
    "endless layers": ({"num_hidden_layers": float("inf")}, "num_hidden_layers is inf: it is a whole"),
    "width": ({"hidden_size": 9 * 10**7}, "hidden_size is 90000000: the longest side of a weight is"),
    "a width of others": ({"hidden_size": 93}, "hidden_size is 93: no weight has a side of that size"),
    "no width": ({"hidden_size": 0}, "hidden_size is 0: it is a whole number"),
    "inner width": ({"intermediate_size": 10**8}, "intermediate_size is 100000000: the longest side"),
    "tokens": ({"vocab_size": HUGE}, "vocab_size is 1000000000: the most is"),
    "no tokens": ({"vocab_size": 0}, "vocab_size is 0: it is a whole number"),
    "tokens of others": ({"vocab_size": 641}, "vocab_size is 641: "),
    "positions": ({"max_position_embeddings": 10**12}, "max_position_embeddings is 1000000000000: the most"),
    "positions as text": ({"max_position_embeddings": "512"}, "max_position_embeddings is '512'"),
    "heads": ({"num_attention_heads": 10**8}, "num_attention_heads is 100000000: the longest side"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads is 0: it is a whole number"),
    "groups that divide nothing": (
        {"num_key_value_heads": 2},
        "num_key_value_heads is 2: 3 heads cannot be shared",
    ),
    "experts": ({"num_experts": 10**8}, "num_experts is 100000000: no weight has a side of that size"),
    "labels": ({"num_labels": 10**8}, "num_labels is 100000000: the longest side"),
    "widths in a part": ({"vision_config": {"hidden_size": 10**8}}, "hidden_size is 100000000: the longest"),
    "rope as text": (
        {"rope_scaling": "linear"},
        "rope_scaling is 'linear': it is an object with a rope_type",
    ),
    "rope of numbers": ({"rope_scaling": [1, 2]}, "rope_scaling is .*: it is an object"),
    "rope without sense": ({"rope_scaling": {"type": 7}}, "rope_scaling is .*: its type is a name"),
    "rope by a word": ({"rope_scaling": {"type": "linear", "factor": "x"}}, "its factor is a number"),
    "rope backwards": ({"rope_scaling": {"type": "linear", "factor": -1}}, "its factor is a positive number"),
    "rope by nothing": ({"rope_scaling": {"type": "linear", "factor": 0}}, "its factor is a positive number"),
    "rope in a part": (
        {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": "x"}}},
        "rope_parameters is .*: its rope_theta is a number",
    ),
    "base of rope": ({"rope_theta": "many"}, "rope_theta is 'many': it is a number"),
    "norm": ({"rms_norm_eps": -1}, "rms_norm_eps is -1: it is a number of at least 0"),
    "activation of no name": ({"hidden_act": 3}, "hidden_act is 3: it is a name"),
    "a kernel of the hub": (
        {"_attn_implementation": "kernels-community/flash-attn"},
        "_attn_implementation is 'kernels-community/flash-attn': kernels of the hub are code from elsewhere",
    ),
    "a kernel in a part": (
        {"attn_implementation": {"text_config": "someone/kernel"}},
        "attn_implementation is .*kernels of the hub",
    ),
    "kernels": ({"use_kernels": True}, "use_kernels is True: kernels of the hub"),
    "kernels of experts": (
        {"experts_implementation": "someone/kernel"},
        "experts_implementation is .*kernels",
    ),
    "fused layers": ({"fusion_config": {"patch_embeddings": True}}, "fusion_config is "),
    "a dtype of no name": ({"torch_dtype": 32}, "torch_dtype is 32: it is the type of the weights"),
    "a dtype of nonsense": ({"dtype": "float33.nonsense"}, "dtype is 'float33.nonsense': it is the type"),
    "a function for a dtype": ({"dtype": "load"}, "dtype is 'load': it is the type"),
    "another head": (
        {"architectures": ["BertForSequenceClassification"]},
        "architectures is .*: that is no model which continues text",
    ),
    "architectures of numbers": ({"architectures": 3}, "architectures is 3: it is a list of names"),
    "no architecture": ({"model_type": None}, "does not say model_type"),
    "an architecture of no name": ({"model_type": ["qwen2"]}, "model_type is .*: it is a name"),
    "quantised": ({"quantization_config": {"quant_method": "mxfp4"}}, "quantised weights are not supported"),
    "a text part of text": ({"text_config": "qwen2"}, "text_config is 'qwen2'"),
    "tied by a word": ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no': it is true or false"),
    "nested too deeply": (nested(200), "is nested deeper than 32 levels"),
}


@pytest.mark.parametrize(("fields", "message"), SAID_AT_PLAN.values(), ids=SAID_AT_PLAN)
def test_a_config_that_cannot_be_is_refused_from_its_files(
    folder: Path, fields: dict[str, Any], message: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(ModelError, match=message) as refused:
        located(folder)
    assert str(refused.value).startswith(f"{folder}: config.json")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as JSON"),
        (b"[]", "cannot be read as JSON: it is no object"),
        (b"\xff\xfe{}", "cannot be read as JSON"),
        (b'{"model_type": "qwen2", "vocab_size": NaN}', "cannot be read as JSON: it holds NaN"),
        (
            b'{"vocab_size": 1, "vocab_size": 2}',
            "cannot be read as JSON: the key 'vocab_size' is there twice",
        ),
        (b'{"a":' * 100_000, "cannot be read as JSON: it is nested too deeply"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "cannot be read as JSON: "),
        (b"{" + b" " * 10_000_001, "has 10000002 bytes, more than the 10000000 that lrbench reads"),
    ],
    ids=["empty", "a list", "no text", "NaN", "a key twice", "brackets", "a long number", "large"],
)
def test_a_config_that_is_no_object_of_sense_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=f"config.json {message}"):
        located(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_act": "nonesuch"}, "nonesuch"),
        ({"rope_parameters": {"rope_type": "nonesuch", "rope_theta": 10_000.0}}, "nonesuch"),
        ({"model_type": "nonesuch"}, "nonesuch"),
        ({"model_type": "nonesuch", "auto_map": {"AutoConfig": "code.Config"}}, "custom code"),
        ({"model_type": "clip"}, "CLIPConfig"),
        ({"layer_types": ["nonesuch"] * 2}, "layer_types"),
        ({"layer_types": ["full_attention"] * 9}, "layer_types"),
        ({"num_attention_heads": 1}, r"it makes the weight model\.layers\.0\.self_attn"),
        ({"num_attention_heads": 5}, r"it makes the weight model\.layers\.0\.self_attn|divi"),
        ({"head_dim": 10**8}, r"it makes the weight model\.layers\.0\.self_attn"),
        ({"head_dim": 0}, ""),
        ({"head_dim": "wide"}, ""),
        ({"head_dim": 8}, r"it makes the weight model\.layers\.0\.self_attn"),
        ({"intermediate_size": 5}, r"it makes the weight model\.layers\.0\.mlp"),
    ],
    ids=str,
)
def test_what_only_a_library_knows_to_be_wrong_is_refused_before_any_work(
    folder: Path, fields: dict[str, Any], message: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    with pytest.raises(ModelError, match=rf"config\.json cannot be used: .*{message}"):
        check_architecture(located(folder))


def test_a_limit_without_end_and_code_that_is_not_needed_are_no_fault(folder: Path) -> None:
    path = folder / "config.json"
    more = {"time_step_limit": [0.0, float("inf")], "auto_map": {"AutoModelForCausalLM": "code.Model"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | more | {"_attn_implementation": "eager"}))
    check_architecture(located(folder))


def test_attention_is_part_of_the_identity_where_it_is_not_the_usual(folder: Path) -> None:
    assert model_identity(located(folder)).keys() == {"weights", "dtype"}
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "gptj"}))
    assert model_identity(located(folder))["attention"] == "eager"


@pytest.mark.slow
def test_no_architecture_of_the_library_has_a_config_that_is_refused(tmp_path: Path) -> None:
    from huggingface_hub.errors import StrictDataclassError
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    read = 0
    for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        try:
            config = CONFIG_MAPPING[kind]()
        except StrictDataclassError:
            # Some are of parts that have to be named.
            continue
        for short in (True, False):
            (tmp_path / "config.json").write_text(config.to_json_string(use_diff=short))
            assert read_config(kind, tmp_path)["model_type"]
            read += 1
    assert read > 300


@pytest.mark.slow
def test_the_architectures_without_the_kernel_for_attention_are_those_of_the_library() -> None:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    without = {
        kind
        for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()
        if not getattr(transformers, name)._supports_sdpa
    }
    assert without == WITHOUT_KERNEL
