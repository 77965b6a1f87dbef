"""`lrbench convert`: a GGUF file becomes a folder that every library reads, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.errors import InterruptedRunError, ModelError, first_line
from lrbench.models.conversion.card import NOTHING_KNOWN, Origin, card
from lrbench.models.conversion.gguf_file import GgufFile, open_gguf
from lrbench.models.conversion.weights import StoredTwice, find_weights
from lrbench.store.files import writing_errors
from lrbench.store.keys import FileHashes, hash_file
from lrbench.store.outside import check_target, publish, working_beside


@dataclass(frozen=True)
class Converted:
    """What was written; `stored_twice` says of an embedding that is the output too which copy was kept."""

    folder: Path
    architecture: str
    parameters: int
    tensors: int
    dtype: str
    stored_twice: StoredTwice | None

    def __str__(self) -> str:
        text = (
            f"{self.folder}: a {self.architecture} of {self.parameters / 1e6:,.1f} million parameters, "
            f"{self.tensors} tensors of {self.dtype}"
        )
        if self.stored_twice is not None:
            kept = self.stored_twice.kept
            text += f"; embedding and output are one matrix that was stored twice, {kept} is kept for both"
        return f"{text}."


def convert_file(
    source: Path, to: Path, dtype: str, say: Callable[[str], None] = lambda _message: None
) -> Converted:
    """Write the model in the GGUF file `source` into the new folder `to`, its weights as `dtype`.

    It appears by one rename. What a killed conversion has left beside it is removed by the next. Raises
    `ModelError` for a file that cannot be converted, `UserError` for a folder that holds something or where
    the package gguf is missing, and `StoreError` where the folder cannot be written.
    """
    to = to.absolute()
    check_target(to)
    file = open_gguf(source)
    try:
        with working_beside(to) as unfinished, writing_errors(unfinished / "README.md"):
            check_target(to)
            written = write_folder(file, unfinished / "model", dtype, say=say)
            publish(unfinished / "model", to)
    except KeyboardInterrupt:
        raise InterruptedRunError(f"Stopped; there is no {to} yet. Run the command again.") from None
    return Converted(
        to, written.architecture, written.parameters, written.tensors, dtype, written.stored_twice
    )


def write_folder(
    file: GgufFile,
    folder: Path,
    dtype: str,
    origin: Origin = NOTHING_KNOWN,
    say: Callable[[str], None] = lambda _message: None,
) -> Converted:
    """Write the model of `file` into the new folder `folder`, with its card, and prove that it can be used.

    Raises `ModelError` where the file's config, tokenizer or weights make no model.
    """
    import torch
    from transformers import GenerationConfig

    from lrbench.models.conversion.shards import write_shards

    folder.mkdir()
    say(f"reading {file.path.name}")
    config, tokenizer = _config_and_tokenizer(file)
    weights = find_weights(file, config)
    config.tie_word_embeddings = weights.tied
    config.dtype = getattr(torch, dtype)
    shapes = {name: weights.shape(name) for name in sorted(weights.sources)}
    say(f"writing {len(shapes)} tensors")
    write_shards(folder, shapes, config.dtype, lambda name: weights.read(name, config.dtype))
    config.save_pretrained(folder)
    GenerationConfig.from_model_config(config).save_pretrained(folder)
    if origin.chat_template is not None:
        tokenizer.chat_template = origin.chat_template
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(
        card(weights, hash_file(file.path), dtype, folder, origin), encoding="utf-8"
    )
    _check_written(file, folder, dtype)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return Converted(folder, file.architecture, parameters, len(shapes), dtype, weights.stored_twice)


def _config_and_tokenizer(file: GgufFile) -> tuple[Any, Any]:
    import transformers
    from transformers import AutoConfig, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    named: dict[str, Any] = {"gguf_file": file.path.name, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(file.path.absolute().parent, **named)
        tokenizer = AutoTokenizer.from_pretrained(file.path.absolute().parent, **named)
    except Exception as error:  # what strange metadata raise is up to three libraries
        raise ModelError(
            f"{file.path}: its config or tokenizer cannot be read: {first_line(error)}"
        ) from error
    config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[config.model_type]]
    return config, tokenizer


def _check_written(file: GgufFile, folder: Path, dtype: str) -> None:
    from lrbench.models.source import locate
    from lrbench.recipe.schema import ModelReference

    try:
        locate(ModelReference.model_validate({"model": str(folder), "dtype": dtype}), FileHashes())
    except ModelError as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise ModelError(f"{file.path}: what is in it makes no model that can be used: {reason}") from error
