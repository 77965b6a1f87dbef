"""Small GGUF files of random weights, written with the package that transformers reads them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from transformers import AutoConfig, AutoModelForCausalLM

HIDDEN = 256
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Of the types that the package cannot quantise to: bytes of a block, and where its scales in float16 stand.
BLOCKS = {Type.Q4_K: (144, (0, 2)), Type.Q5_K: (176, (0, 2)), Type.Q6_K: (210, (208,))}
TYPES = (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.F16)


def packed(weights: np.ndarray, kind: Type, random: np.random.Generator) -> np.ndarray:
    """The weights in blocks of `kind`; random blocks, where the package can only read the kind."""
    if kind not in BLOCKS:
        return gguf.quantize(weights, kind)
    size, scales = BLOCKS[kind]
    blocks = random.integers(0, 256, (weights.size // 256, size), dtype=np.uint8)
    for place in scales:
        scale = random.uniform(1e-4, 1e-3, len(blocks)).astype(np.float16)
        blocks[:, place : place + 2] = scale[:, None].view(np.uint8)
    return blocks.reshape(*weights.shape[:-1], -1)


def write_gguf(
    path: Path,
    architecture: str = "qwen2",
    output: str | None = None,
    types: tuple[Type, ...] = TYPES,
    leave_out: str = "",
    extra: dict[str, np.ndarray] | None = None,
    **metadata: Any,
) -> Path:
    """Write a model of two layers. `output` is None for none of its own, `twice` for the embedding in another
    quantisation, `own` for another matrix."""
    random = np.random.default_rng(0)
    letters = sorted(_letters())
    # Of a Qwen3, transformers takes over no size of heads from such a file, and all of them have this one.
    head = 128 if architecture == "qwen3" else HIDDEN // 4
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "Ġt"]
    config = AutoConfig.for_model(
        architecture,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head,
        vocab_size=len(tokens),
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)

    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("Small [one](http://x) <b>")
    writer.add_license("apache-2.0")
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *[1] * (len(tokens) - 3)])
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for key, value in metadata.items():
        writer.add_string(key.replace("__", "."), value)

    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), 2)
    embedding = random.normal(0, 0.05, (len(tokens), HIDDEN)).astype(np.float32)
    for index, (name, weight) in enumerate(model.state_dict().items()):
        stem, _, suffix = name.rpartition(".")
        known = f"{names.get_name(stem)}.{suffix}"
        if known == leave_out or (known == "output.weight" and output is None):
            continue
        weights = random.normal(0, 0.05, tuple(weight.shape)).astype(np.float32)
        kind = types[index % len(types)] if weights.ndim == 2 else Type.F32
        if known == "token_embd.weight" or (known == "output.weight" and output == "twice"):
            weights = embedding
            kind = Type.Q4_0 if known == "token_embd.weight" else Type.Q8_0
        if weights.ndim == 1 and suffix == "weight":
            weights = weights + 1
        writer.add_tensor(known, packed(weights, kind, random), raw_dtype=kind)
    for name, weights in (extra or {}).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return ByteLevel.alphabet()
