"""Loading models and tokenizers: safetensors only, no remote code, nothing picked up silently."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from lrbench.errors import ModelError
from lrbench.models.source import LocatedModel

# Without any of them transformers would silently build an empty tokenizer.
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "vocab.txt")

Model = Any
Tokenizer = Any


def load_tokenizer(model: LocatedModel) -> Tokenizer:
    """The model's own tokenizer. Raises `ModelError` when its files are missing or unreadable."""
    if not any((model.folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(
            f"{model.name}: its tokenizer cannot be loaded: none of {', '.join(TOKENIZER_FILES)}"
        )
    try:
        return AutoTokenizer.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{model.name}: its tokenizer cannot be loaded: {_first_line(error)}") from error


def load_model(model: LocatedModel, device: torch.device) -> Model:
    """The model in evaluation mode on `device`, in the dtype its recipe declares.

    The generation settings a model ships with are dropped: decoding is declared by lrbench.
    Raises `ModelError` for missing, extra or non-finite weights.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        loaded, report = AutoModelForCausalLM.from_pretrained(
            model.folder,
            dtype=getattr(torch, model.dtype),
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{model.name}: its weights cannot be loaded: {_first_line(error)}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(kind):
            names = ", ".join(sorted(str(name) for name in report[kind])[:5])
            raise ModelError(f"{model.name}: the checkpoint has {kind.replace('_', ' ')}: {names}")
    for name, parameter in loaded.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ModelError(f"{model.name}: the weight {name} holds NaN or infinite values")
    loaded.generation_config = GenerationConfig()
    loaded.requires_grad_(False)
    return loaded.to(device).eval()


def output_rows(model: LocatedModel) -> int:
    """Number of rows of the model's output layer: its vocabulary, padding included."""
    config = AutoConfig.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
    return int(config.get_text_config().vocab_size)


def context_length(model: LocatedModel) -> int:
    """How many tokens, prompt and completion together, the model has positions for.

    Raises `ModelError` when its config does not say.
    """
    config = AutoConfig.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    if length is None:
        raise ModelError(f"{model.name}: its config.json does not say max_position_embeddings")
    return int(length)


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device. Raises `ModelError` for CUDA where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError("runtime.device is cuda, but no CUDA device is visible here; set it to auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def stop_token_ids(tokenizer: Tokenizer) -> list[int]:
    """Token ids that end a turn or a text, in ascending order."""
    ends = {"<|im_end|>", "<|endoftext|>", "</s>"}
    special = {token: index for token, index in tokenizer.get_added_vocab().items() if token in ends}
    ids = set(special.values())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return sorted(ids)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
