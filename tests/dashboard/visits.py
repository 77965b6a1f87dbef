"""Looking at a page with a browser: what it shows, and that it neither complains nor calls outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Streamlit's own page asks for these beside the page's path first, and finds them at the root then.
PROBES = ("/_stcore/health", "/_stcore/host-config")
SIZES = {"wide": 1280, "narrow": 420}
SCHEMES = ("light", "dark")
PATIENCE_MS = 60_000


@contextmanager
def visit(chromium: Any, address: str, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """A page of a fresh browser, opened at `address` and drawn; at the end nothing must have gone wrong."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    own = (
        "data:",
        "blob:",
        *(f"{kind}://127.0.0.1:{address.split(':')[2].split('/')[0]}" for kind in ("http", "ws")),
    )
    page.on("pageerror", lambda error: wrong.append(f"error {error}"))
    page.on("request", lambda sent: None if sent.url.startswith(own) else wrong.append(f"outside {sent.url}"))
    page.on("console", lambda said: _note(said, wrong))
    page.set_default_timeout(PATIENCE_MS)
    try:
        page.goto(address)
        settled(page)
        yield page
        assert page.evaluate("window.acted") is None, "text of an artifact was run"
        assert not wrong
    finally:
        context.close()


def settled(page: Any) -> None:
    """Wait until the app has run and everything is drawn."""
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stAppViewContainer]:not(:has([data-testid=stSkeleton]))")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def fits(page: Any) -> bool:
    """Whether nothing has to be scrolled sideways to be seen, save within a table or code of its own."""
    wide: bool = page.evaluate(
        "() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth <= main.clientWidth + 1; }"
    )
    return wide


def _note(said: Any, wrong: list[str]) -> None:
    if said.type == "error" and not str(said.location.get("url", "")).endswith(PROBES):
        wrong.append(f"console {said.text}")
