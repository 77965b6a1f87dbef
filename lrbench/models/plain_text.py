"""What a user writes is text, also where it is spelt like a control token.

A tokenizer turns `<|im_end|>` into the token that ends a turn wherever it stands, so a problem that holds
those letters would end its own turn. A text without such letters is encoded as ever. One with them is
encoded by a copy of the tokenizer whose control tokens are spelt otherwise: the template's own are respelt
along with it, the user's are not, and all else (normal forms, pieces, merges across borders) is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer as Backend

from lrbench.errors import ModelError
from lrbench.models.loading import Tokenizer

# Code points that Unicode sets aside for a program's own use; no text holds them.
OPEN, CLOSE = "\ufdd0", "\ufdd1"
# What the copy has to read as the tokenizer does.
SAMPLE = "Find $x_1 < 12$ for  3 caf\N{LATIN SMALL LETTER E WITH ACUTE}s.\n\nAn answer"
# Letters of nobody's, which only tokenizers that know every byte can write.
UNKNOWN = "\U0010fffd\uf8fe"


class ControlTextError(ModelError):
    """A text is spelt like a control token, and the model's tokenizer cannot read it as text."""


@dataclass(frozen=True)
class Scaffold:
    """What a template writes around texts: `text` with the words `places` where the texts go."""

    text: str
    places: tuple[str, ...]

    @cached_property
    def parts(self) -> list[str]:
        """The template's own text and the places in it, in order."""
        return re.split(f"({'|'.join(map(re.escape, self.places))})", self.text)


def encode_prompt(tokenizer: Tokenizer, text: str, scaffold: Scaffold, texts: Sequence[str]) -> list[int]:
    """Token ids of a rendered prompt in which `texts` stand at the scaffold's places.

    Raises `ControlTextError` when `texts` hold what cannot be encoded as text.
    """
    controls = _controls_of(tokenizer)
    ids = controls.encode(text)
    written = controls.written_by(scaffold.text)
    if controls.among(ids, written) == written:
        return ids
    respelt = controls.respelt(scaffold, text, texts)
    if respelt is not None:
        found = controls.encode_respelt(respelt)
        if found is not None and controls.among(found, written) == written:
            return found
    named = controls.named_in(texts, written)
    if not named:
        # The template treats this text in a way of its own; nothing of it became a control token.
        return ids
    raise _unreadable(named)


def encode_plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of `text`, none of them a control token. Raises `ControlTextError` when that cannot be."""
    controls = _controls_of(tokenizer)
    ids = controls.encode(text)
    if not controls.among(ids):
        return ids
    found = controls.encode_respelt(text) if OPEN not in text else None
    if found is None or controls.among(found):
        raise _unreadable(controls.named_in([text]))
    return found


def _unreadable(named: str) -> ControlTextError:
    return ControlTextError(
        f"the text holds {named}, which the model's tokenizer reads as a control token and cannot read as "
        "text; write it otherwise, or leave the text out"
    )


class _Controls:
    """The control tokens of one tokenizer: those that are special, and those that a template writes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        decoder = tokenizer.added_tokens_decoder
        self._added = {str(token): index for index, token in decoder.items() if str(token).strip()}
        special = {index for index, token in decoder.items() if token.special}
        # What a letter that the tokenizer does not know becomes controls nothing.
        self._special = special.difference(self.encode(UNKNOWN))
        self._written: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of a text as the tokenizer reads it."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def written_by(self, scaffold: str) -> tuple[int, ...]:
        """The control tokens in a template's own text, in order."""
        if scaffold not in self._written:
            marks = self._special.union(self._added.values())
            self._written[scaffold] = tuple(index for index in self.encode(scaffold) if index in marks)
        return self._written[scaffold]

    def among(self, ids: Iterable[int], written: Sequence[int] = ()) -> tuple[int, ...]:
        """Those of `ids` that are special or that the template has `written`, in order."""
        known = self._special.union(written)
        return tuple(index for index in ids if index in known)

    def named_in(self, texts: Iterable[str], written: Sequence[int] = ()) -> str:
        """What the control tokens are called that `texts` turn into by themselves; empty for none."""
        found = [index for text in texts for index in self.among(self.encode(text), written)]
        return ", ".join(map(str, self._tokenizer.convert_ids_to_tokens(list(dict.fromkeys(found)))))

    def respelt(self, scaffold: Scaffold, text: str, texts: Sequence[str]) -> str | None:
        """`text` with the template's own control tokens respelt; None where these cannot be told apart."""
        if any(OPEN in written for written in texts):
            return None
        # Templates may leave out white space around what they show.
        for shown in product(*((written, written.strip()) for written in texts)):
            at_place = dict(zip(scaffold.places, shown, strict=True))
            if "".join(at_place.get(part, part) for part in scaffold.parts) == text:
                return "".join(
                    at_place[part] if part in at_place else self._respell(part) for part in scaffold.parts
                )
        return None

    def _respell(self, part: str) -> str:
        longest_first = sorted(self._added, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        return re.sub(pattern, lambda found: _respelling(self._added[found[0]]), part) if pattern else part

    def encode_respelt(self, text: str) -> list[int] | None:
        """Ids of a text whose control tokens are respelt; None when no copy of the tokenizer reads it."""
        return None if self._copy is None else _encode(*self._copy, text)

    @cached_property
    def _copy(self) -> tuple[Backend, dict[int, int]] | None:
        """The tokenizer with its added tokens respelt, and the ids that they have in the tokenizer."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Backend):
            return None
        description = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
        respelt = {}
        for token in description["added_tokens"]:
            if token["content"] in self._added:
                index = self._added[token["content"]]
                token |= {"content": _respelling(index), "normalized": False}
                respelt[token["content"]] = index
            else:
                respelt[token["content"]] = token["id"]
        copy = Backend.from_str(json.dumps(description))
        real = {
            found: index
            for spelling, index in respelt.items()
            if (found := copy.token_to_id(spelling)) is not None
        }
        mark = next(iter(self._added), "")
        alike = _encode(copy, real, self._respell(mark) + SAMPLE) == self.encode(mark + SAMPLE)
        return (copy, real) if alike else None


def _encode(backend: Backend, real: Mapping[int, int], text: str) -> list[int]:
    ids: list[int] = backend.encode(text, add_special_tokens=False).ids
    return [real.get(index, index) for index in ids]


def _respelling(index: int) -> str:
    return f"{OPEN}{index}{CLOSE}"


_KNOWN: WeakKeyDictionary[Tokenizer, _Controls] = WeakKeyDictionary()


def _controls_of(tokenizer: Tokenizer) -> _Controls:
    found = _KNOWN.get(tokenizer)
    if found is None:
        found = _KNOWN[tokenizer] = _Controls(tokenizer)
    return found
