"""Every widget's state lives in the URL, so that a link shows somebody else the same view.

Each function draws one widget and keeps its value under `key` in the URL's query. What the URL holds
counts when a page is opened, or gone back to; afterwards the widget does. A value that the widget does
not have falls back to the default, and a note above the page says so. Tokens in the URL are short and
lasting (an arm's id, not its label), so that they outlive a change of wording. What widgets keep is
collected while the page is drawn and written at once, since every change of the URL is a step back. What
an opened page adds to the URL by itself is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lrbench.results.web.text import name_html
from lrbench_dashboard import address

FIRST_PAGE = "leaderboard"

Value = TypeVar("Value")
_NOTES = "state.notes"
_TOKENS, _FORGOTTEN = "state.tokens", "state.forgotten"
_BEFORE, _WRITTEN = "state.before.", "state.written."
_CARRIED, _PAGE, _TURNED = "state.carried", "state.page", "state.turned"


def begin() -> None:
    """Make room for notes above the page; once per run of the app, before the page."""
    st.session_state[_NOTES] = st.container()
    st.session_state[_TOKENS] = {}
    context = get_script_run_ctx()
    page = None if context is None else context.page_script_hash
    # What a widget of the same key held on another page, Streamlit still says and does not show.
    st.session_state[_TURNED] = page != st.session_state.get(_PAGE)
    st.session_state[_PAGE] = page


def write(whole: bool) -> None:
    """Write to the URL what the widgets hold; once per run of the app, after the page.

    The URL then holds this page's keys alone; where the page was not drawn to its end, and is not `whole`,
    what else stood there stays. Who went back stays where history led.
    """
    context = get_script_run_ctx()
    if context is not None and context.is_history_navigation:
        return
    before = {key: st.query_params.get_all(key) for key in st.query_params}
    drawn: dict[str, list[str]] = st.session_state[_TOKENS]
    tokens = {key: held for key, held in (drawn if whole else before | drawn).items() if held}
    if st.session_state[_TURNED]:
        address.complete(urlencode(tokens, doseq=True))
    elif tokens != before:
        st.query_params.from_dict(tokens)
    if whole:
        st.session_state.pop(_FORGOTTEN, None)


def carry(tokens: Mapping[str, str]) -> None:
    """Keep these tokens for every page and link from here on."""
    st.session_state[_CARRIED] = dict(tokens)


def carried() -> dict[str, str]:
    """What `carry` was last given in this session."""
    found: dict[str, str] = st.session_state.get(_CARRIED, {})
    return found


def is_given(*keys: str) -> bool:
    """Whether the URL says anything of one of these keys."""
    return any(key in st.query_params for key in keys)


def forget(keys: Iterable[str]) -> None:
    """Let the widgets of these keys begin anew, whatever the URL still holds; for callbacks."""
    for key in keys:
        st.session_state.pop(key, None)
        st.session_state.setdefault(_FORGOTTEN, set()).add(key)


def note(text: str) -> None:
    """Tell the reader something above the page; `text` may hold anything."""
    note_html(name_html(text, 400))


def note_html(said: str) -> None:
    """Tell the reader something above the page that is HTML already."""
    with st.session_state[_NOTES] if _NOTES in st.session_state else st.container():
        st.html(f'<p class="lr-note" role="status">{said}</p>')


def choice(
    label: str,
    options: Mapping[str, str],
    *,
    key: str,
    default: str | None = None,
    aliases: Mapping[str, str] | None = None,
    elsewhere: Callable[[str], str] | None = None,
    **more: Any,
) -> str:
    """One of `options` (token -> label, not empty) in a select box; its token. Labels are shown as text.

    The choice is always written to the URL, since a default (the latest result) may move on. `aliases` are
    other tokens that links may hold, each with the option that it stands for. `elsewhere` says in HTML where
    a token is an option that is none here; empty where it is none anywhere.
    """
    first = next(iter(options)) if default not in options else str(default)
    known = aliases or {}

    def parse(raw: Sequence[str]) -> str:
        if raw[0] not in options and elsewhere and (said := elsewhere(raw[0])):
            note_html(said)
            return first
        return _known(known.get(raw[0], raw[0]), options, label, first)

    _seed(key, first, parse)
    # Another choice took the one away that this widget held, or a page before had another kind of widget.
    if (held := st.session_state[key]) not in list(options):
        if elsewhere and (said := elsewhere(str(held))):
            note_html(said)
        st.session_state[key] = first
    value: str = st.selectbox(
        label, list(options), key=key, format_func=lambda token: options.get(token, token), **more
    )
    _write(key, [value])
    return value


def tab(label: str, options: Mapping[str, str], *, key: str, default: str, **more: Any) -> str:
    """One of a few `options` (token -> label) side by side; labels are Markdown, so they must be our own.

    Always written to the URL, since a default may depend on the results.
    """
    _seed(key, default, lambda raw: _known(raw[0], options, label, default))
    value: str = st.segmented_control(
        label,
        list(options),
        key=key,
        required=True,
        format_func=lambda token: options.get(token, token),
        **more,
    )
    _write(key, [value])
    return value


def choices(label: str, options: Mapping[str, str], *, key: str, **more: Any) -> list[str]:
    """Some of `options` (token -> label) in a multi-select; none chosen means all and is not written."""

    def parse(raw: Sequence[str]) -> list[str]:
        unknown = [token for token in raw if token not in options]
        if unknown:
            note(f"{label}: the link asks for {', '.join(unknown[:5])}, which is not among these results.")
        return [token for token in dict.fromkeys(raw) if token in options]

    everything: list[str] = []
    _seed(key, everything, parse)
    chosen = st.multiselect(
        label, list(options), key=key, format_func=lambda token: options.get(token, token), **more
    )
    _write(key, chosen)
    return chosen


def number(
    label: str, low: float, high: float, *, key: str, default: float, step: float, **more: Any
) -> float:
    """A number of [`low`, `high`] on a slider; always written to the URL. Integers stay integers."""
    kind = int if isinstance(step, int) else float

    def parse(raw: Sequence[str]) -> float:
        try:
            value = kind(raw[0])
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            reason = f"the link asks for {raw[0]}, which is not from {low:g} to {high:g}"
            note(f"{label}: {reason}; {default:g} is shown.")
            return kind(default)
        return value

    _seed(key, kind(default), parse)
    chosen: float = st.slider(label, kind(low), kind(high), step=kind(step), key=key, **more)
    _write(key, [repr(chosen)])
    return chosen


def phrase(label: str, *, key: str, **more: Any) -> str:
    """A line of text; empty is not written to the URL."""
    _seed(key, "", lambda raw: raw[0][:200])
    value: str = st.text_input(label, key=key, max_chars=200, **more)
    _write(key, [value] if value else [])
    return value


def day(label: str, *, key: str, **more: Any) -> date | None:
    """A day, or none, which is not written to the URL."""

    def parse(raw: Sequence[str]) -> date | None:
        try:
            return date.fromisoformat(raw[0])
        except ValueError:
            note(
                f"{label}: the link asks for {raw[0]}, which is not a day written as 2026-03-31; none is set."
            )
            return None

    _seed(key, None, parse)
    value: date | None = st.date_input(label, value=None, key=key, format="YYYY-MM-DD", **more)
    _write(key, [value.isoformat()] if value else [])
    return value


def page_number(pages: int, *, key: str) -> int:
    """Which of `pages` is shown, counting from 1; with one page there is nothing to draw."""
    if pages <= 1:
        _write(key, [])
        return 1

    def parse(raw: Sequence[str]) -> int:
        # More digits would be too many to convert, and no ledger has as many pages.
        asked = int(raw[0]) if raw[0].isascii() and raw[0].isdigit() and len(raw[0]) <= 9 else 0
        if 1 <= asked <= pages:
            return asked
        note(f"The link asks for page {raw[0][:20]}; there are {pages}. The first is shown.")
        return 1

    _seed(key, 1, parse)
    st.session_state[key] = min(max(1, st.session_state[key]), pages)
    value = st.pagination(pages, key=key)
    _write(key, [str(value)] if value > 1 else [])
    return value


def link(page: str, **tokens: str | Sequence[str]) -> str:
    """The relative address of `page` (its file's name) with these tokens in its state, and what is carried.

    The first page has no path of its own: Streamlit serves it at the root.
    """
    kept = {key: token for key, token in carried().items() if key not in tokens}
    query = "&".join(filter(None, (_query(tuple(kept.items())), urlencode(tokens, doseq=True))))
    return f"{'./' if page == FIRST_PAGE else page}?{query}"


# A page has hundreds of links that carry the same.
@lru_cache(maxsize=16)
def _query(tokens: tuple[tuple[str, str], ...]) -> str:
    return urlencode(tokens)


def here(**tokens: str | Sequence[str]) -> str:
    """The relative address of the page being drawn, as its widgets stand so far, with these tokens changed.

    No tokens for a key leave it out.
    """
    drawn: dict[str, list[str]] = st.session_state.get(_TOKENS, {})
    held = {key: found for key, found in {**drawn, **tokens}.items() if found}
    return f"?{urlencode(held, doseq=True)}"


def _seed(key: str, default: Value, parse: Callable[[Sequence[str]], Value]) -> None:
    """Give the widget the URL's value where the URL leads: on opening, and on going back.

    A quick second change arrives with the URL from before the first; that one is not followed.
    """
    raw = st.query_params.get_all(key)
    if key in (forgotten := st.session_state.get(_FORGOTTEN, ())):
        forgotten.discard(key)
        raw = []
    written = st.session_state.get(_WRITTEN + key)
    fresh = key not in st.session_state or st.session_state.get(_TURNED, False)
    context = get_script_run_ctx()
    went_back = context is not None and context.is_history_navigation
    moved = raw != written and (went_back or raw != st.session_state.get(_BEFORE + key))
    if fresh or moved:
        st.session_state[key] = parse(raw) if raw else default


def _write(key: str, tokens: list[str]) -> None:
    raw = st.query_params.get_all(key)
    if raw != tokens:
        st.session_state[_BEFORE + key] = raw
    st.session_state[_WRITTEN + key] = tokens
    st.session_state.setdefault(_TOKENS, {})[key] = tokens


def _known(token: str, options: Mapping[str, Any], label: str, default: str) -> str:
    if token in options:
        return token
    shown = f"; {options[default]} is shown" if default in options else ""
    note(f"{label}: the link asks for {token}, which is not among these results{shown}.")
    return default
