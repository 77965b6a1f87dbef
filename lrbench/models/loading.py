"""Loading models and tokenizers: safetensors only, no remote code, nothing picked up silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from lrbench.errors import LrbenchError, ModelError
from lrbench.models import layers
from lrbench.models.folder import check_rows
from lrbench.models.source import LocatedModel, check_unchanged
from lrbench.models.weights import weight_shapes

# Without any of them transformers would silently build an empty tokenizer.
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "vocab.txt")
UNUSABLE = "its config.json cannot be used"

Model = Any
Tokenizer = Any


def load_tokenizer(model: LocatedModel) -> Tokenizer:
    """The model's own tokenizer. Raises `ModelError` when its files are missing or unreadable."""
    if not any((model.folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(
            f"{model.name}: its tokenizer cannot be loaded: none of {', '.join(TOKENIZER_FILES)}"
        )
    check_unchanged(model)
    with _told_as(f"{model.name}: its tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(
            model.folder, local_files_only=True, trust_remote_code=False
        )
        names = type(tokenizer).vocab_files_names.values()
        # Settings of a wrong kind come to light only when it reads something.
        tokenizer("2 + 3")
    for name in sorted(set(names) - model.files):
        if (model.folder / name).exists():
            raise ModelError(
                f"{model.name}: its tokenizer reads {name}, which is not among the files that identify a "
                "model; save it as tokenizer.json first"
            )
    return tokenizer


def check_tokens(model: LocatedModel, tokenizer: Tokenizer) -> None:
    """Raise `ModelError` unless the model has an embedding for every token that is ever read.

    Those are the tokens that text can become, and what the tokenizer begins, ends and fills texts with.
    """
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special -= {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    tokens = ((token, index) for token, index in tokenizer.get_vocab().items() if index not in special)
    token, index = max(tokens, key=lambda item: item[1])
    check_rows(model.name, index, token, output_rows(model))


def load_model(model: LocatedModel, device: torch.device) -> Model:
    """The model in evaluation mode on `device`, in the dtype its recipe declares.

    The generation settings a model ships with are dropped: decoding is declared by lrbench.
    Raises `ModelError` for missing, extra or non-finite weights.
    """
    transformers.utils.logging.disable_progress_bar()
    # Its remarks on lengths are about limits that the engines keep already.
    transformers.utils.logging.set_verbosity_error()
    with _told_as(f"{model.name}: its weights cannot be loaded"):
        loaded, report = AutoModelForCausalLM.from_pretrained(
            model.folder,
            dtype=getattr(torch, model.dtype),
            attn_implementation=model.attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
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
    return reading_rows_at_once(loaded.to(device).eval())


def reading_rows_at_once(model: Model) -> Model:
    """The model, whose output layer takes the last positions of many rows as one matrix.

    They lie apart in memory, and torch would multiply each row for itself. In half precision on a processor
    it copies the layer's weights for every row to do so, and where memory has no room for that it leaves the
    processor's instructions for such numbers unused until the process ends.
    """
    layer = model.get_output_embeddings()
    if layer is not None and model.device.type == "cpu" and model.dtype != torch.float32:
        layer.register_forward_pre_hook(_side_by_side)
    return model


def _side_by_side(_: torch.nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    hidden, *others = given
    return hidden.contiguous(), *others


def output_rows(model: LocatedModel) -> int:
    """Number of rows of the model's output layer: its vocabulary, padding included."""
    rows = getattr(_text_config(model), "vocab_size", None)
    if rows is None:
        raise ModelError(f"{model.name}: its config.json does not say vocab_size")
    return int(rows)


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
    layers.check_target_modules(model.name, empty_model(model), target_modules)


def check_closing_layer(model: LocatedModel) -> None:
    """Raise `ModelError` unless every layer has an MLP that steering vectors can be added to.

    Builds the architecture without its weights.
    """
    layers.closing_layer(model.name, empty_model(model))


def empty_model(model: LocatedModel) -> Model:
    """The model's architecture without weights: every tensor has a shape and no content.

    Raises `ModelError` where the config asks for what no library here can build.
    """
    with _told_as(f"{model.name}: {UNUSABLE}"), torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            _config(model), trust_remote_code=False, attn_implementation=model.attention
        )


def check_architecture(model: LocatedModel) -> None:
    """Raise `ModelError` unless the config's architecture can be built, and the weights are of its sizes.

    Reads the headers of the weights. A weight may lie transposed, as libraries turn some when they load them.
    """
    shapes = weight_shapes(model.name, model.folder)
    for name, weight in empty_model(model).state_dict().items():
        found, meant = shapes.get(name), tuple(weight.shape)
        if found is not None and sorted(found) != sorted(meant):
            raise ModelError(
                f"{model.name}: {UNUSABLE}: it makes the weight {name} {meant}, the checkpoint has {found}"
            )


def _text_config(model: LocatedModel) -> Any:
    with _told_as(f"{model.name}: {UNUSABLE}"):
        return _config(model).get_text_config()


def _config(model: LocatedModel) -> Any:
    with _told_as(f"{model.name}: {UNUSABLE}"):
        return AutoConfig.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Tell of whatever a library raises as a `ModelError` that begins with `what`.

    What a broken model makes them raise is up to four libraries, and the panics of those written in Rust are
    no `Exception`.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, LrbenchError):
        raise
    except BaseException as error:
        raise ModelError(f"{what}: {_first_line(error)}") from error


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Some say who complains first, and what about on the next line.
    whole = lines[:2] if lines and lines[0].endswith(":") else lines[:1]
    return " ".join(whole) or type(error).__name__
