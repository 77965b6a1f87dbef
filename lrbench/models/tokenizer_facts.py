"""What a tokenizer says of chats: read from its files, or from the tokenizer once it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import ModelError
from lrbench.models.reading import read_object
from lrbench.models.source import LocatedModel
from lrbench.models.template import WHAT_TO_DO, printable

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

LARGEST_SETTINGS = 10_000_000
# What transformers hands to a template by name.
NAMED = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))


@dataclass(frozen=True)
class TokenizerFacts:
    """What a tokenizer says of its chat: `named` is bos_token and the like, `added` all added tokens.

    `special` are those of them that never stand for text; `begins` are the ids that it puts before a text of
    its own accord.
    """

    template: str | None
    named: Mapping[str, str]
    added: Mapping[str, int]
    special: frozenset[str]
    end_of_text: int | None
    begins: tuple[int, ...] = ()


def facts_of(tokenizer: Tokenizer, name: str) -> TokenizerFacts:
    """What a loaded tokenizer says."""
    template = chosen_template(tokenizer.chat_template, name)
    added: dict[str, int] = tokenizer.get_added_vocab()
    end = tokenizer.eos_token_id
    special = frozenset(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    begins = () if template is not None else begins_of(tokenizer)
    return TokenizerFacts(template, tokenizer.special_tokens_map, added, special, end, begins)


def chosen_template(templates: Any, name: str) -> str | None:
    """The template that prompts are rendered with, of a tokenizer that may have several by name."""
    if isinstance(templates, dict):
        if "default" not in templates:
            known = printable(", ".join(map(str, templates)))
            raise ModelError(
                f"{name}: it has several chat templates ({known}) and none called default; name one of them "
                "default in a copy of the model's folder"
            )
        templates = templates["default"]
    if templates is not None and not isinstance(templates, str):
        raise ModelError(f"{name}: its chat template is not a text; {WHAT_TO_DO}")
    return templates


def begins_of(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that the tokenizer puts before every text of its own accord."""
    alone: list[int] = tokenizer.encode("a", add_special_tokens=False)
    whole: list[int] = tokenizer.encode("a", add_special_tokens=True)
    for start in range(len(whole) - len(alone) + 1):
        if alone and whole[start : start + len(alone)] == alone:
            return tuple(whole[:start])
    return ()


def facts_in_files(folder: Path) -> TokenizerFacts | None:
    """What the files of a tokenizer say, where they say all of it; None where only loading it tells.

    Importing what loads a tokenizer takes seconds, and this a hundredth of one.
    """
    try:
        return _facts_in_files(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Files of another kind, or broken ones: what loads them says which.
        return None


def _facts_in_files(folder: Path) -> TokenizerFacts | None:
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    template = config.get("chat_template")
    if (folder / "chat_template.jinja").is_file():
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    decoder = config.get("added_tokens_decoder", {})
    tokens = [*tokenizer["added_tokens"], *({**token, "id": int(id_)} for id_, token in decoder.items())]
    added = {token["content"]: token["id"] for token in tokens}
    special = frozenset(token["content"] for token in tokens if token["special"])
    found = {key: config[key] for key in NAMED if config.get(key) is not None}
    named = {key: token["content"] if isinstance(token, dict) else token for key, token in found.items()}
    legacy = ("special_tokens_map.json", "added_tokens.json")
    unsaid = (
        # One of several templates, or one that a class brings along.
        not isinstance(template, str)
        or (folder / "additional_chat_templates").exists()
        or any(key in template and key not in config for key in NAMED)
        # Tokens that stand elsewhere, or that a class brings along where a config does not say there is none.
        or any(key not in config for key in ("bos_token", "eos_token", "unk_token", "pad_token"))
        or ("added_tokens_decoder" not in config and any((folder / name).exists() for name in legacy))
        or any(token not in added for token in named.values())
        or "eos_token" not in named
        or any(added[token["content"]] != token["id"] for token in tokens)
    )
    return None if unsaid else TokenizerFacts(template, named, added, special, added[named["eos_token"]])


def generation_ends(model: LocatedModel) -> tuple[int, ...]:
    """The ids that generation_config.json lists as ends. Raises `ModelError` where it lists anything else."""
    path = model.folder / "generation_config.json"
    if not path.exists():
        return ()
    listed = read_object(model.name, path, LARGEST_SETTINGS, strict=False).get("eos_token_id")
    ends = listed if isinstance(listed, list) else [] if listed is None else [listed]
    for end in ends:
        if type(end) is not int or end < 0:
            raise ModelError(
                f"{model.name}: eos_token_id in its generation_config.json has to be a token id or a list of "
                f"them, found {printable(json.dumps(end), 40)}; mend it in a copy of the model's folder"
            )
    return tuple(ends)


def output_rows_of(folder: Path) -> int | None:
    """How many ids a model can write, where its config says so as most do."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = config.get("vocab_size", config.get("text_config", {}).get("vocab_size"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return rows if type(rows) is int else None
