"""How a page is written: templates that escape whatever they show, one style, one short script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from lrbench.results.layout import Cells, Script
from lrbench.results.web.text import name_html, text_html

INDEX, NUMBERS = "index.html", "numbers.csv"
TEMPLATES = "lrbench.results.site.templates"
LONGEST_NAME, LONGEST_SENTENCE = 120, 1000
_TYPED = re.compile("`([^`]+)`")
# So many characters of an arm's id are in the name of its page.
ID_LENGTH = 12


@dataclass(frozen=True)
class Page:
    """One page: its `file`, the `template` and what that is told; `about` is the id of its arm."""

    file: str
    title: str
    template: str
    told: Mapping[str, Any]
    about: str = ""


SCRIPT = Script(
    text=lambda text: name_html(text, LONGEST_NAME),
    # A line may end before an interval, and not within it.
    number=lambda text: name_html(text).replace(", ", ",\u00a0"),
    best=lambda text: f"<strong>{text}</strong> *",
    best_of_runs=lambda text: f"<strong>{text}</strong> (*)",
)


@dataclass(frozen=True)
class Table:
    """A table with its title; the first cell of a line leads to `links`, by what stands in it."""

    title: str
    header: list[Markup]
    lines: list[list[Markup]]

    @classmethod
    def of(cls, title: str, cells: Cells, links: Mapping[str, str] | None = None) -> Table:
        """Cells that were written with `SCRIPT`."""
        links = links or {}
        lines = [[Markup(cell) for cell in line] for line in cells.lines]
        for line in lines:
            if line[0] in links:
                line[0] = Markup('<a href="{}">{}</a>').format(links[line[0]], line[0])
        return cls(title, [Markup(cell) for cell in cells.header], lines)


def rendered(page: Page, site: str, pages: Sequence[Page]) -> str:
    """The page as HTML. `pages` are those of the site, of which some stand in its head."""
    script = _read("site.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template(page.template)
    content: str = template.render(
        page=page,
        site=site,
        index=INDEX,
        numbers=NUMBERS,
        style=Markup(_read("site.css")),
        script=Markup(script),
        script_hash=digest,
        token_pages=[other for other in pages if other.template == "microscope.html.jinja"],
        **page.told,
    )
    return content


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True, loader=FunctionLoader(_read), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["name"] = lambda text, longest=LONGEST_NAME: Markup(name_html(str(text), longest))
    environment.filters["said"] = _said
    environment.filters["text"] = lambda text: Markup(text_html(str(text)))
    return environment


def _said(sentence: str) -> Markup:
    """A sentence of lrbench's own, with what it quotes to be typed as such."""
    return Markup(_TYPED.sub(r"<code>\1</code>", name_html(sentence, LONGEST_SENTENCE)))


@cache
def _read(name: str) -> str:
    return files(TEMPLATES).joinpath(name).read_text(encoding="utf-8")
