"""Throw-away packages that offer components, made of metadata and a module, as an installer leaves them."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from lrbench.methods import plugins
from lrbench.recipe import expanding, fields

# The example of the documentation, word for word.
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
(SELECTING,) = re.findall(r"```python\n(.*?)```", DOCUMENTED, re.DOTALL)
SELECTORS = {"every_second": "stepping:EverySecond", "nth": "stepping:Every"}


def put(site: Path, name: str, version: str, modules: Mapping[str, str], entries: Mapping[str, str]) -> Path:
    """A package in the folder `site`; `entries` maps words to `module:Class`."""
    site.mkdir(parents=True, exist_ok=True)
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text, encoding="utf-8")
    for earlier in site.glob(f"{name.replace('-', '_')}-*.dist-info/*"):
        earlier.unlink()
    for earlier in site.glob(f"{name.replace('-', '_')}-*.dist-info"):
        earlier.rmdir()
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{word} = {target}" for word, target in entries.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[lrbench.methods]", *lines, ""]))
    return site


def stepping(site: Path, version: str = "1.0", module: str = SELECTING) -> Path:
    """The package `lrbench-stepping`, which adds two selectors."""
    return put(site, "lrbench-stepping", version, {"stepping": module}, SELECTORS)


@contextmanager
def installed(*sites: Path) -> Iterator[None]:
    """As a process sees it that starts with what is in `sites` installed, and nothing else that is not."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        for site in sites:
            patch.syspath_prepend(site)
        # A source written twice within a second would otherwise be read from its cache.
        patch.setattr(sys, "dont_write_bytecode", True)
        _forget()
        try:
            yield
        finally:
            roots = tuple(map(str, sites))
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", None) or "").startswith(roots):
                    del sys.modules[name]
            patch.undo()
            _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    plugins.installed.cache_clear()
    fields._recipe_schema.cache_clear()
    expanding._sweepable.cache_clear()
