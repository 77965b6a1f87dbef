"""How a page is written: templates that escape whatever they show, one style, one short script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from lrbench.results.rendering.sheet import Best, BestOfRuns, Number, Table
from lrbench.results.web.text import name_html, prose_html, text_html
from lrbench.results.wording import duration_text

INDEX, NUMBERS = "index.html", "numbers.csv"
TEMPLATES = "lrbench.results.site.templates"
LONGEST_NAME = 120
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


@dataclass(frozen=True)
class HtmlTable:
    """A table with its title, written as HTML; the first cell of a line leads to the page of its arm.

    The first `names` columns are words, which stand at the left.
    """

    title: str
    header: list[Markup]
    lines: list[list[Markup]]
    names: int = 1

    @classmethod
    def of(cls, table: Table, links: Mapping[str, str] | None = None) -> HtmlTable:
        """`links` lead from an arm's id to its page."""
        lines = [list(map(_cell, line)) for line in table.lines]
        for line, about in zip(lines, table.abouts, strict=False):
            if about in (links or {}):
                line[0] = Markup('<a href="{}">{}</a>').format((links or {})[about], line[0])
        title = f"{table.title}: {table.note}" if table.note else table.title
        return cls(title, list(map(_cell, table.header)), lines, table.names)


def _cell(cell: str) -> Markup:
    if not isinstance(cell, Number):
        return Markup(name_html(cell, LONGEST_NAME))
    # A line may end before an interval, and not within it.
    shown = Markup(name_html(cell).replace(", ", ",\u00a0"))
    if isinstance(cell, Best):
        return Markup("<strong>{}</strong> {}").format(shown, "(*)" if isinstance(cell, BestOfRuns) else "*")
    return shown


def arm_file(arm_id: str) -> str:
    """The page of an arm's results."""
    return f"arm-{arm_id[:ID_LENGTH]}.html"


def rendered(page: Page, site: str) -> str:
    """The page as HTML, of a `site` of that name."""
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
    environment.filters["said"] = lambda sentence: Markup(prose_html(str(sentence)))
    environment.filters["moment"] = _moment
    environment.filters["duration"] = duration_text
    environment.filters["text"] = lambda text: Markup(text_html(str(text)))
    return environment


def _moment(recorded: str) -> Markup:
    """A moment as records have it, to the second in UTC; what is none, as it is."""
    try:
        moment = datetime.fromisoformat(recorded).astimezone(UTC)
    except (ValueError, OverflowError):
        return Markup(name_html(recorded))
    return Markup(f"{moment:%Y-%m-%d %H:%M:%S}")


@cache
def _read(name: str) -> str:
    return files(TEMPLATES).joinpath(name).read_text(encoding="utf-8")
