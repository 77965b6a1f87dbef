"""What makes a folder a model that can be trusted: proven from its files before they are hashed or loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lrbench.errors import ModelError
from lrbench.models.config import CONFIG, check_sizes, read_config, text_config
from lrbench.models.reading import require_ordinary
from lrbench.models.tokens import check_tokenizer_files, highest_token
from lrbench.models.weights import weight_shapes

ADAPTER_CONFIG = "adapter_config.json"
# Read by libraries, and no part of what a model is: lrbench declares how it decodes.
UNIDENTIFIED = ("generation_config.json",)


def check_folder(name: str, folder: Path, identified: Iterable[str]) -> dict[str, Any]:
    """Prove that the folder is one whole model that its `identified` files tell all of; returns its config.

    `identified` are paths below the folder. Reads configs, headers of weights and the tokenizer's files, no
    weights. Raises `ModelError` for anything else.
    """
    files = set(identified)
    for file in sorted(files) + [file for file in UNIDENTIFIED if (folder / file).exists()]:
        require_ordinary(name, folder / file)
    if (folder / ADAPTER_CONFIG).exists():
        raise ModelError(
            f"{name}: the folder holds {ADAPTER_CONFIG}, an adapter that would be applied "
            "silently; merge it into the weights, or move it elsewhere"
        )
    config = read_config(name, folder)
    check_sizes(name, config, weight_shapes(name, folder))
    check_tokenizer_files(name, folder, files)
    rows = text_config(config).get("vocab_size", config.get("vocab_size"))
    highest = highest_token(name, folder)
    if highest is not None and isinstance(rows, int):
        check_rows(name, *highest, rows)
    return config


def check_rows(name: str, index: int, token: str, rows: int) -> None:
    """Raise `ModelError` unless the embedding of `rows` rows has one for the token with the highest id."""
    if index >= rows:
        raise ModelError(
            f"{name}: its tokenizer gives ids up to {index} ({token!r:.80}), and its embedding has {rows} "
            f"rows (vocab_size in {CONFIG}); resize it, or use the tokenizer that the model was made with"
        )
