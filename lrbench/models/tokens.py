"""The highest token id that a folder's tokenizer can give, read from its files without building it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrbench.errors import ModelError
from lrbench.models.reading import is_count, read_object

# Those of vocabularies of 260,000 tokens have 40 million bytes.
LARGEST_TOKENIZER = 500_000_000
WHOLE = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
ADDED = "added_tokens.json"
VOCABULARY = "vocab.json"
# What the library sets itself, whatever the settings say.
FOUND_BY_NAME = ("tokenizer_file", "special_tokens_map_file", "added_tokens_file", "chat_template_file")


def check_tokenizer_files(name: str, folder: Path, identified: set[str]) -> None:
    """Raise `ModelError` where the tokenizer would read a file that is not among those `identified`."""
    settings = _object(name, folder / SETTINGS)
    versions = settings.get("fast_tokenizer_files") or []
    if not isinstance(versions, list) or not set(map(str, versions)) <= identified:
        raise _elsewhere(name, "fast_tokenizer_files", versions)
    if settings.get("init_inputs"):
        raise _elsewhere(name, "init_inputs", settings["init_inputs"])
    if WHOLE in identified:
        return
    if settings.get("gguf_file"):
        raise _elsewhere(name, "gguf_file", settings["gguf_file"])
    for key, value in settings.items():
        named = key.endswith("_file") and key not in FOUND_BY_NAME and isinstance(value, str)
        if named and value not in identified:
            raise _elsewhere(name, key, value)
    if (folder / "tekken.json").exists():
        raise ModelError(f"{name}: its tokenizer is tekken.json alone; save it as {WHOLE} first")


def highest_token(name: str, folder: Path) -> tuple[int, str] | None:
    """The highest id that text can become, and its token; None where no file that can be read so says it.

    Special tokens that were added stand only where a template writes them, so a model need not have rows for
    all: Gemma 3 of one billion has none for the image that its tokenizer marks.
    """
    found: dict[int, str] = {}
    whole = _object(name, folder / WHOLE)
    model = whole.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):
        found[len(vocabulary) - 1] = str(vocabulary[-1:])
    for tokens in (vocabulary, _object(name, folder / ADDED)):
        found |= _by_id(tokens)
    if not whole:
        found |= _by_id(_object(name, folder / VOCABULARY))
    added = whole.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict) and is_count(token.get("id")) and not _is_special(token):
            found[token["id"]] = str(token.get("content"))
    decoder = _object(name, folder / SETTINGS).get("added_tokens_decoder")
    for index, token in decoder.items() if isinstance(decoder, dict) else ():
        if index.isdecimal() and len(index) < 19 and not _is_special(token):
            found[int(index)] = str(token.get("content")) if isinstance(token, dict) else str(token)
    return max(found.items()) if found else None


def _is_special(token: object) -> bool:
    return isinstance(token, dict) and token.get("special") is True


def _by_id(tokens: object) -> dict[int, str]:
    """The highest of token -> id as id -> token."""
    if not isinstance(tokens, dict):
        return {}
    highest = max((index for index in tokens.values() if is_count(index)), default=None)
    return {} if highest is None else {highest: next(token for token in tokens if tokens[token] == highest)}


def _object(name: str, path: Path) -> dict[str, Any]:
    """The JSON object of a file; that of one that is not there is empty."""
    return read_object(name, path, LARGEST_TOKENIZER, strict=False) if path.is_file() else {}


def _elsewhere(name: str, key: str, value: object) -> ModelError:
    return ModelError(
        f"{name}: {SETTINGS}: {key} names {value!r:.80}, which is not among the files that identify the "
        f"model; save the tokenizer as {WHOLE} and remove the field"
    )
