"""The style of the pages that look into one result, and the few pieces of HTML they share."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

import streamlit as st

STYLE = Path(__file__).with_name("look.css")


def begin_page(title: str, lead: str) -> None:
    """The page's style, title and what it is for."""
    st.html(STYLE)
    st.html(f"<h1>{html.escape(title)}</h1>")
    st.html(f'<p class="lv-lead">{html.escape(lead)}</p>')


def problem_html(message: str) -> str:
    """A problem, escaped already, as the page shows it."""
    return f'<p class="lr-note lr-problem" role="alert">{message}</p>'


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], label: str, kind: str = "") -> str:
    """A table of cells that are HTML already; the first of each row names it. No `head`, no heading.

    `kind` is a class of the style sheet.
    """
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    heading = f"<thead><tr>{columns}</tr></thead>" if head else ""
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="lv-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="lv-table {kind}">{heading}<tbody>{body}</tbody></table></div>'
    )
