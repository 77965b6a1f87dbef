"""What a checkpoint brings along and lrbench does not go by: read for arms that do as the public scripts did.

What a generation ends at, what a tokenizer adds to a text of its own accord, where its vocabulary ends
without added tokens, and the settings of generation that change distributions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrbench.errors import ModelError
from lrbench.models.reading import read_object
from lrbench.models.source import LocatedModel
from lrbench.models.template import printable
from lrbench.models.tokenizer_facts import LARGEST_SETTINGS, begins_of, generation_ends

if TYPE_CHECKING:
    from lrbench.models.loading import Tokenizer

GENERATION = "generation_config.json"
# With each, the value at which it does nothing; all but the penalty count only where tokens are drawn.
PROCESSORS: Mapping[str, float] = {
    "repetition_penalty": 1.0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
}
WITHOUT_DRAWING = "repetition_penalty"


def checkpoint_ends(model: LocatedModel) -> tuple[int, ...]:
    """The ids that transformers ends a generation of the model at: those of its settings, else of its config.

    Ascending; none where neither says any. Raises `ModelError` where the settings list something else.
    """
    ends = generation_ends(model)
    if not ends and not (model.folder / GENERATION).exists():
        said = read_object(model.name, model.folder / "config.json", LARGEST_SETTINGS, strict=False)
        listed = said.get("eos_token_id")
        found = listed if isinstance(listed, list) else [listed]
        ends = tuple(end for end in found if type(end) is int)
    return tuple(sorted(set(ends)))


def added_beginning(tokenizer: Tokenizer) -> tuple[int, ...]:
    """What the tokenizer puts before a text that a chat template has rendered, as before any other text.

    Nothing for a tokenizer without a template, whose prompts begin so in any case.
    """
    return () if tokenizer.chat_template is None else begins_of(tokenizer)


def size_without_added(tokenizer: Tokenizer) -> int:
    """How many ids the tokenizer has without the tokens added to it: `vocab_size` of transformers."""
    return int(tokenizer.vocab_size)


def shipped_processors(model: LocatedModel) -> dict[str, float]:
    """What the model's settings of generation do to its distributions, by the names of transformers.

    Settings of drawing count only where the model ships with drawing on. Raises `ModelError` for a value that
    is no number.
    """
    path = model.folder / GENERATION
    if not path.exists():
        return {}
    said = read_object(model.name, path, LARGEST_SETTINGS, strict=False)
    names = [name for name in PROCESSORS if said.get("do_sample") is True or name == WITHOUT_DRAWING]
    found: dict[str, Any] = {name: said[name] for name in names if said.get(name) is not None}
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError(
                f"{model.name}: {name} in its {GENERATION} has to be a number, found "
                f"{printable(json.dumps(value), 40)}; mend it in a copy of the model's folder"
            )
    return {name: value for name, value in found.items() if value != PROCESSORS[name]}
