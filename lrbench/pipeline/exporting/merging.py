"""Merging an adapter into its expert in float32, and writing the model that comes of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from lrbench.models.layers import adapts_output, untie
from lrbench.models.loading import (
    Model,
    Tokenizer,
    choose_device,
    context_length,
    load_model,
    load_tokenizer,
)
from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import turn_marks
from lrbench.pipeline.exporting.gate import (
    ADAPTER_ALONE,
    FLOAT32_BOUNDS,
    Yardstick,
    build_probes,
    compare_logits,
    probe_logits,
    require,
    weight_hashes,
)
from lrbench.store.files import give_usual_mode, writing_errors
from lrbench.training.adapters import check_mergeable, load_adapter

MERGED_IN = "float32"
TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "*.model",
)
# What `render_prompt` writes for a model without a template of its own.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_merged(
    expert: LocatedModel,
    adapter: Path,
    folder: Path,
    dtype: str,
    items: Sequence[Mapping[str, Any]],
    system_prompt: str | None,
) -> Yardstick:
    """Write expert and adapter as one model of `dtype` into `folder`.

    Returns what the model as written has to be measured with. One model is in memory at a time. Raises
    `RunError` when the merge itself is not expert and adapter.
    """
    device = choose_device("auto")
    tokenizer = load_tokenizer(expert)
    longest = context_length(expert)
    probes = build_probes(tokenizer, items, system_prompt, longest)
    exact = replace(expert, dtype=MERGED_IN)

    expert_cast = None
    if dtype != MERGED_IN:
        exact_NV = probe_logits(load_model(exact, device), probes)
        cast_NV = probe_logits(load_model(replace(expert, dtype=dtype), device), probes)
        expert_cast = compare_logits(exact_NV, cast_NV)

    adapted = load_adapter(load_model(exact, device), adapter)
    check_mergeable(adapted, adapter)
    expected_NV = probe_logits(adapted, probes)
    if adapts_output(adapted.get_base_model()):
        untie(adapted.get_base_model())
    merged = adapted.merge_and_unload(safe_merge=True)
    if dtype != MERGED_IN:
        # A cast is allowed differences that a small mistake of the merge could hide in.
        found = compare_logits(expected_NV, probe_logits(merged, probes))
        require(found, FLOAT32_BOUNDS, "before its cast", ADAPTER_ALONE)
    merged = merged.to(getattr(torch, dtype))
    weights = weight_hashes(merged)
    write_model(merged, tokenizer, expert.folder, folder, turn_marks(expert).stops)
    return Yardstick(items, system_prompt, longest, probes, expected_NV, weights, expert_cast)


def write_model(
    merged: Model, tokenizer: Tokenizer, source: Path, folder: Path, stop_ids: Sequence[int]
) -> None:
    """Write config, safetensors, generation settings, and the tokenizer's files as `source` has them.

    Decoding is greedy and ends at `stop_ids`, as in the evaluation, whatever the expert shipped with.
    """
    merged.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=list(stop_ids),
        pad_token_id=tokenizer.pad_token_id,
    )
    with writing_errors(folder):
        merged.save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):
            give_usual_mode(weights)
        for path in sorted({path for pattern in TOKENIZER_FILES for path in source.glob(pattern)}):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        if tokenizer.chat_template is None:
            (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
