"""Where lm-eval keeps the tasks of a name: which folders to look into, so that not all of them are read.

lm-eval finds a name by parsing every task file that it has, which are some fifteen thousand; a name is one
line of its file, and looking for lines takes a tenth of that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lrbench.errors import DataError
from lrbench.recipe.messages import did_you_mean, excerpt
from lrbench.recipe.references import local_path

_NAMED = re.compile(r"^(?:task|group):[ \t]*[\"']?([^\s\"'#]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)
_TAG = re.compile(r"^tag:[ \t]*(.*(?:\n[ \t]*-.*)*)$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z0-9][\w.+-]*")
# Below `task:` of a group, the names of what is in it.
_MEMBER = re.compile(
    r"^[ \t]*-[ \t]*(?:(?:task|group):[ \t]*)?[\"']?([^\s\"'#:]+)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE
)


def folders_of(name: str, include_path: str | None) -> list[Path]:
    """The folders that hold the task, group or tag called `name`, and everything that it is made of.

    Those of a folder of the user's own come last: what it names is meant. Raises `DataError` where none has
    it.
    """
    homes = [_names(_shipped()), *([] if include_path is None else [_names(local_path(include_path))])]
    found: list[dict[Path, None]] = [{} for _ in homes]
    waiting, seen = [name], {name}
    while waiting:
        wanted = waiting.pop()
        for names, folders in zip(homes, found, strict=True):
            for file in names.get(wanted, ()):
                folders[file.parent] = None
                members = [member for member in _MEMBER.findall(_text(file)) if member not in seen]
                seen.update(members)
                waiting += members
    if not any(found):
        hint = did_you_mean(name, [known for names in homes for known in names])
        where = f"neither lm-eval nor `{include_path}` has a" if include_path else "lm-eval has no"
        raise DataError(
            f"evaluation.lm_eval.tasks: {where} task, group or tag `{excerpt(name)}`"
            f"{hint or '; `lm_eval ls tasks` lists them'}"
        )
    return [folder for folders in found for folder in _outermost(folders)]


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Without those that are within another one, which is looked through to its bottom."""
    folders = list(folders)
    return [folder for folder in folders if not any(other in folder.parents for other in folders)]


def _shipped() -> Path:
    spec = find_spec("lm_eval")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "tasks"


@cache
def _names(folder: Path) -> Mapping[str, list[Path]]:
    """Files by the names that they have, of tasks, groups and tags."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(folder.rglob("*.yaml")):
        for name in _names_in(_text(file)):
            found[name].append(file)
    return found


def _names_in(text: str) -> Iterator[str]:
    yield from _NAMED.findall(text)
    for tags in _TAG.findall(text):
        yield from _words(tags.splitlines())


def _words(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from _WORD.findall(line.partition("#")[0])


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
