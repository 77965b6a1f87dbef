"""Every `lrbench` and `make` command that a page shows is one: its options, recipes, fields, targets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from lrbench.cli import app
from lrbench.recipe.loading import load_recipe
from lrbench.shipped.places import recipe_names
from tests.commands import ROOT
from tests.documentation.pages import PAGES, blocks, in_sentences, name_of, typed

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MAKEFILES = "".join((ROOT / name).read_text() for name in ("Makefile", "lrbench/shipped/Makefile"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILES, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\([a-z ]*([A-Z]+)\b", MAKEFILES))
ENDS = {"&&", "||", ";", "|", ">"}


def commands_in(line: str) -> list[list[str]]:
    """The commands of lrbench and make in a line, as words; what stands in brackets is left out."""
    lexer = shlex.shlex(re.sub(r"\[[^]]*\]|\.\.\.", "", line), posix=True, punctuation_chars="&|;>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        # A line of what was printed, or of a script.
        return []
    found: list[list[str]] = [[]]
    for word in words:
        found = [*found, []] if word in ENDS else [*found[:-1], [*found[-1], word]]
    named = [[Path(command[0]).name, *command[1:]] for command in found if command]
    return [command for command in named if command[0] in ("lrbench", "make")]


def wrong_on(page: Path) -> dict[str, str]:
    """What is wrong with what a page says to type, in blocks and in sentences, by the command."""
    in_blocks = [command for block in blocks(page) for line in typed(block) for command in commands_in(line)]
    spoken = [command for code in in_sentences(page) for command in commands_in(code)]
    told = {shlex.join(command): wrong_with(command) for command in [*in_blocks, *spoken]}
    # A sentence may speak of an option without all that the command needs.
    forgiven = {shlex.join(command) for command in spoken if command not in in_blocks}
    return {
        command: wrong
        for command, wrong in told.items()
        if wrong and not (command in forgiven and wrong.startswith("Missing"))
    }


def wrong_with(command: list[str]) -> str | None:
    """What a user would be told who types it, or None."""
    try:
        if command[0] == "make":
            _check_make(command[1:])
        elif not command[1:2] or command[1] not in COMMANDS:
            assert not [word for word in command[1:] if not word.startswith("-")], "no such command"
        else:
            _check_lrbench(command[1], command[2:])
    except Exception as error:
        # Errors of the command line put their words together when they are shown.
        return error.format_message() if hasattr(error, "format_message") else str(error)
    return None


def _check_lrbench(name: str, words: list[str]) -> None:
    command = COMMANDS[name]
    command.make_context(name, list(words))
    recipe = next((word for word in words if _is_shipped(word)), None)
    if recipe is not None and any(parameter.name == "overrides" for parameter in command.params):
        load_recipe(recipe, [word for word in words if re.match(r"[a-z][a-z_.0-9]*=", word)])


def _is_shipped(word: str) -> bool:
    if word.startswith("recipes/"):
        assert (ROOT / word).exists(), f"no {word}"
        return True
    return word in recipe_names()


def _check_make(words: list[str]) -> None:
    for word in words:
        variable, is_set, value = word.partition("=")
        if not is_set:
            assert word in TARGETS, f"no target {word}"
            continue
        assert variable in VARIABLES, f"no variable {variable}"
        if variable == "STUDY":
            assert (ROOT / "experiments" / f"{value}.yaml").exists(), f"no study {value}"
        if variable == "RECIPE" and value:
            assert (ROOT / value).exists(), f"no {value}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_shown_is_one(page: Path) -> None:
    assert wrong_on(page) == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lrbench rnu quickstart", "no such command"),
        ("lrbench run quickstart --fast", "No such option"),
        ("lrbench gate", "Missing argument"),
        ("cd work && .venv/bin/lrbench run recipes/quikstart.yaml", "no recipes/quikstart.yaml"),
        ("lrbench run quickstart divergence.beat=0.8", "beat"),
        ("make leaderbord", "no target leaderbord"),
        ("make study STUDY=ablation", "no study ablation"),
        ("make study STUDDY=ablations", "no variable STUDDY"),
    ],
)
def test_a_command_that_is_none_is_seen(line: str, says: str) -> None:
    (command,) = commands_in(line)
    assert says in (wrong_with(command) or "")


def test_a_page_is_read_for_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`lrbench results --fromat csv` and `lrbench run --quiet`\n\n```\n$ lrbench plan\nlrbench pln\n```\n"
    )
    assert list(wrong_on(page)) == ["lrbench plan", "lrbench results --fromat csv"]
