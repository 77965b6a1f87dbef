"""Pages that are written when the site is built: what the schema, the command line and the notebook say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lrbench.recipe.fields import allowed, leaf_paths, schema_at

ROW = re.compile(r"^\| `([^`]+)` \| [^|]* \| ((?:[^|]|\\\|)+) \|$", re.MULTILINE)
# Heading -> what stands below it: names of one module each, of which classes come with what they have.
API = {
    "What you call": {
        "lrbench": [
            "load_recipe", "plan", "run", "leaderboard", "scores", "items", "rollouts", "steps", "curves",
            "compare", "grade",
        ],
    },
    "What the tables hold": {
        "lrbench.results.frames": ["leaderboard", "scores", "items", "rollouts", "steps", "curves"],
    },
    "What you get": {
        "lrbench.pipeline.planning": ["plan_recipe"],
        "lrbench.pipeline.plan": ["Plan"],
        "lrbench.pipeline.run": ["run_recipe", "RunReport"],
        "lrbench.pipeline.failures": ["Failure"],
        "lrbench.results.foreign.comparing": ["compare_files", "FilesCompared"],
        "lrbench.grading.verdict": ["Verdict"],
        "lrbench.errors": ["LrbenchError", "UserError", "RecipeError"],
    },
    "What you can pass": {
        "lrbench": ["LineReporter"],
        "lrbench.pipeline.progress": ["Reporter", "Progress"],
    },
    "What you can add": {
        "lrbench.methods.selector": ["Selector"],
        "lrbench.methods.targets": ["Target"],
        "lrbench.methods.answers": ["Answer"],
        "lrbench.suites.grader": ["Grader", "Answered"],
    },
}  # fmt: skip


def written(docs: Path) -> dict[str, str]:
    """The pages by their names, as Markdown."""
    return {
        "fields": fields(docs / "recipes.md"),
        "commands": commands(),
        "api": api(),
        "notebook": notebook(docs / "notebook.ipynb"),
    }


def fields(recipes: Path) -> str:
    """A table for each section of a recipe: what may stand in a field, its default and its meaning."""
    meanings = dict(ROW.findall(recipes.read_text(encoding="utf-8")))
    sections: dict[str, list[str]] = {}
    for path in leaf_paths():
        names = ["NAME" if part == 0 else str(part) for part in path]
        name = ".".join(names)
        node = schema_at(path) or {}
        cells = [f"`{name}`", _default(node), _meaning(meanings, name) + f"*{_sentence(allowed(path))}*"]
        row = f"| {' | '.join(map(_cell, cells))} |"
        sections.setdefault(names[0] if len(names) > 1 else "", []).append(row)
    parts = [
        "# Fields of a recipe",
        "Written from the schema that `lrbench check` holds recipes against; `lrbench schema` prints it for "
        "editors. [Recipes](recipes.md) says how fields belong together.",
    ]
    for section, rows in sections.items():
        head = ["| field | default | meaning, and *what it may be* |", "| --- | --- | --- |"]
        parts += [f"## `{section}`" if section else "## At the top", "\n".join([*head, *rows])]
    return "\n\n".join(parts) + "\n"


def _default(node: dict[str, Any]) -> str:
    if "default" not in node:
        return "needed"
    default = node["default"]
    # A text of several lines, which a cell has no place for, as one that YAML reads as the same.
    quotes = '"' if "\n" in str(default) else None
    value = yaml.safe_dump(default, default_flow_style=True, default_style=quotes, width=1000)
    shown = value.removesuffix("\n...\n").strip()
    return f"`{shown}`" if default != "" else "empty"


def _meaning(meanings: dict[str, str], name: str) -> str:
    """The sentence of docs/recipes.md, with links that lead there; of what an arm varies, the recipe's."""
    meaning = meanings.get(name) or meanings.get(name.removeprefix("arms.NAME.")) or ""
    if not meaning:
        return ""
    return f"{_sentence(meaning)}<br>".replace("[below](", "[more](").replace("](#", "](recipes.md#")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def commands() -> str:
    """Every command with its options, as typer describes them."""
    told = subprocess.run(
        [sys.executable, "-m", "typer", "lrbench.cli", "utils", "docs", "--name", "lrbench"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    # Typer cuts the sentences of its own list short.
    general, _, each = told.partition("\n## ")
    each = f"## {each}"
    first = re.findall(r"^## `lrbench ([a-z-]+)`\n\n(.+)$", each, re.MULTILINE)
    listed = "\n".join(f"- [`{name}`](#lrbench-{name}): {sentence}" for name, sentence in first)
    general = general.partition("**Commands**")[0].replace("# `lrbench`", "# Commands", 1)
    return f"{general}**Commands**:\n\n{listed}\n\n{each}"


def api() -> str:
    """What Sphinx makes of docstrings, in the order of `API`."""
    used = "[From Python](python.md) shows how these are used. Other modules may change with any version."
    parts = ["# Functions and classes", used]
    for heading, modules in API.items():
        parts.append(f"## {heading}")
        for module, names in modules.items():
            for name in names:
                is_class = name[0].isupper()
                lines = [f".. auto{'class' if is_class else 'function'}:: {module}.{name}"]
                lines += ["   :members:"] if is_class else []
                parts.append("\n".join(["```{eval-rst}", *lines, "```"]))
    return "\n\n".join(parts) + "\n"


def notebook(file: Path) -> str:
    """The notebook's text and code; what it prints is seen where it is run."""
    parts = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    return "\n\n".join([*parts, f"The notebook itself: [{file.name}]({file.name})."]) + "\n"
