"""How a model computes attention: by torch's own kernel where its architecture has it, else step by step.

Kernels of the hub, which a config may name, are code from elsewhere and never used.
"""

from __future__ import annotations

from typing import Any

from lrbench.models.config import text_config

USUAL = "sdpa"
STEP_BY_STEP = "eager"
# Architectures without the kernel; a test holds this against the library that builds them.
WITHOUT_KERNEL = frozenset(
    {
        "big_bird",
        "bigbird_pegasus",
        "bloom",
        "codegen",
        "cpmant",
        "deepseek_v4",
        "falcon_mamba",
        "git",
        "got_ocr2",
        "gpt_neo",
        "gpt_neox_japanese",
        "gpt_oss",
        "gptj",
        "granite_swa",
        "granitemoe_swa",
        "hy_v4",
        "mamba",
        "mamba2",
        "megatron-bert",
        "mimo_v2_flash",
        "mpt",
        "mvp",
        "openai-gpt",
        "prophetnet",
        "reformer",
        "rembert",
        "roformer",
        "rwkv",
        "trocr",
        "xglm",
        "xlm",
        "xlnet",
        "xlstm",
    }
)


def attention_of(config: dict[str, Any]) -> str:
    """The implementation that a model with this `config.json` is built with."""
    kinds = {config.get("model_type"), text_config(config).get("model_type")}
    return STEP_BY_STEP if kinds & WITHOUT_KERNEL else USUAL
