"""Loading models and tokenizers: safetensors only, no remote code, nothing picked up silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from lrbench.errors import ModelError
from lrbench.models.source import LocatedModel, check_unchanged

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
    check_unchanged(model)
    try:
        return AutoTokenizer.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # what a broken tokenizer raises is up to three libraries
        raise ModelError(f"{model.name}: its tokenizer cannot be loaded: {_first_line(error)}") from error


def load_model(model: LocatedModel, device: torch.device) -> Model:
    """The model in evaluation mode on `device`, in the dtype its recipe declares.

    The generation settings a model ships with are dropped: decoding is declared by lrbench.
    Raises `ModelError` for missing, extra or non-finite weights.
    """
    transformers.utils.logging.disable_progress_bar()
    # Its remarks on lengths are about limits that the engines keep already.
    transformers.utils.logging.set_verbosity_error()
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
    except Exception as error:  # what a broken checkpoint raises is up to four libraries
        raise ModelError(f"{model.name}: its weights cannot be loaded: {_first_line(error)}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(kind):
            names = ", ".join(sorted(str(name) for name in report[kind])[:5])
            raise ModelError(f"{model.name}: the checkpoint has {kind.replace('_', ' ')}: {names}")
    for name, parameter in loaded.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ModelError(f"{model.name}: the weight {name} holds NaN or infinite values")
    check_unchanged(model)
    loaded.generation_config = GenerationConfig()
    loaded.requires_grad_(False)
    return loaded.to(device).eval()


def output_rows(model: LocatedModel) -> int:
    """Number of rows of the model's output layer: its vocabulary, padding included."""
    return int(_text_config(model).vocab_size)


def context_length(model: LocatedModel) -> int:
    """How many tokens, prompt and completion together, the model has positions for.

    Raises `ModelError` when its config does not say.
    """
    length = getattr(_text_config(model), "max_position_embeddings", None)
    if length is None:
        raise ModelError(f"{model.name}: its config.json does not say max_position_embeddings")
    return int(length)


def check_target_modules(model: LocatedModel, target_modules: Sequence[str]) -> None:
    """Raise `ModelError` unless every target of an adapter is the name of linear layers of the model.

    Builds the architecture without its weights.
    """
    linear = sorted(
        {
            name.rpartition(".")[2]
            for name, module in empty_model(model).named_modules()
            if isinstance(module, torch.nn.Linear)
        }
    )
    missing = [name for name in target_modules if name not in linear]
    if missing:
        raise ModelError(
            f"training.lora.target_modules: {model.name} has no linear layers named {missing[0]!r}; "
            f"it has {', '.join(linear)}"
        )


def empty_model(model: LocatedModel) -> Model:
    """The model's architecture without weights: every tensor has a shape and no content."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(_config(model), trust_remote_code=False)


def _text_config(model: LocatedModel) -> Any:
    return _config(model).get_text_config()


def _config(model: LocatedModel) -> Any:
    try:
        return AutoConfig.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # an unknown or broken config raises whatever its reader meets first
        raise ModelError(f"{model.name}: its config.json cannot be used: {_first_line(error)}") from error


def end_of_turn_id(tokenizer: Tokenizer) -> int:
    """The token that ends an answer: ChatML's where the tokenizer has it, else the end of text.

    Raises `ModelError` when it has neither.
    """
    chatml = tokenizer.get_added_vocab().get("<|im_end|>")
    end = tokenizer.eos_token_id if chatml is None else chatml
    if end is None:
        raise ModelError("the tokenizer has no token that ends a turn, so solutions cannot be ended")
    return int(end)


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device."""
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
