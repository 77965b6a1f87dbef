"""The site's pages that are written when it is built say all that there is, and nothing else is replaced."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from lrbench.cli import app
from lrbench.recipe.fields import leaf_paths
from tests.commands import ROOT
from tests.documentation.pages import DOCS


def module_of_site(name: str) -> ModuleType:
    """A file of .make/site, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".make" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


written = module_of_site("written")


def test_every_field_has_a_row_with_what_it_may_be() -> None:
    page = written.fields(DOCS / "recipes.md")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE))
    assert set(rows) == {
        ".".join("NAME" if part == 0 else str(part) for part in path) for path in leaf_paths()
    }
    assert rows["divergence.beta"] == (
        "`0.4` | A step is kept when KL(expert, amateur) > beta, in nats.<br>*A number of at least 0.*"
    )
    # Where an arm varies what the recipe has, the recipe's sentence stands.
    assert "A step is kept when" in rows["arms.NAME.divergence.beta"]


def test_every_command_has_a_section_and_a_line() -> None:
    page = written.commands()
    names = [
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    for name in names:
        assert f"\n## `lrbench {name}`\n" in page
        assert re.search(rf"^- \[`{name}`\]\(#lrbench-{name}\): .*[^.]\.$", page, re.MULTILINE)


def test_what_is_meant_for_users_is_there() -> None:
    for modules in written.API.values():
        for module, names in modules.items():
            found = importlib.import_module(module)
            assert all(getattr(found, name).__doc__ for name in names)
    import lrbench

    named = {name for modules in written.API.values() for name in modules.get("lrbench", [])}
    assert named == set(lrbench.__all__) - {"__version__"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_text("results")
    assert module_of_site("build").main(tmp_path) == 2
    assert "holds something else than this documentation; move it away first" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "results"
