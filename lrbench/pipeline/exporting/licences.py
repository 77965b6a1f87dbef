"""Under which licence a model says it is: its own README, its licence file, or its config."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lrbench.store.files import read_regular

NOT_STATED = "not stated by the source"
LICENCE_FILES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")
LARGEST = 1024 * 1024

_FRONT_MATTER = re.compile(r"---\n(.*?)\n---(\n|$)", re.DOTALL)
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]*")


@dataclass(frozen=True)
class Licence:
    """What a model's own files say: the words, where they stand, and an identifier for a card's header."""

    words: str
    source: str | None
    identifier: str | None


def licence_of(folder: Path) -> Licence:
    """The licence of the model in `folder`; nothing is guessed from its name or family."""
    header = _front_matter(folder / "README.md")
    stated = [str(header[key]) for key in ("license", "license_name", "license_link") if header.get(key)]
    if stated:
        identifier = str(header.get("license"))
        known = identifier if _IDENTIFIER.fullmatch(identifier) else None
        return Licence(", ".join(stated), "README.md", known)
    for path in licence_files(folder):
        lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
        if lines:
            return Licence(lines[0], path.name, None)
    config = _mapping(json.loads, _text(folder / "config.json"))
    if config.get("license"):
        return Licence(str(config["license"]), "config.json", None)
    return Licence(NOT_STATED, None, None)


def licence_files(folder: Path) -> list[Path]:
    """The files of `folder` that a copy of its model has to carry along."""
    found = {path for pattern in LICENCE_FILES for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def _front_matter(path: Path) -> dict[str, Any]:
    match = _FRONT_MATTER.match(_text(path))
    return {} if match is None else _mapping(yaml.safe_load, match.group(1))


def _mapping(parse: Any, text: str) -> dict[str, Any]:
    """What `parse` makes of `text` where that is a mapping; a file we did not write may hold anything."""
    try:
        found = parse(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return read_regular(path, LARGEST).decode(errors="replace")
    except OSError:
        return ""
