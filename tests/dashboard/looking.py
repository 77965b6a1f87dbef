"""A browser's look at a page: what it asked for, what it complained of, and a picture of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Pictures take as long as all else, so they are kept in this folder only where one is named.
SCREENSHOTS = os.environ.get("LRBENCH_SCREENSHOTS")
HEIGHT = 900
TALLEST = 4000
PATIENCE, PAUSE = 180_000, 300
MAIN = "document.querySelector('.stMain')"
# On a page's own address Streamlit first looks there for its server, and then finds it at the root.
PROBES = ("/_stcore/health", "/_stcore/host-config")


@dataclass
class View:
    """An open page and what was noticed since it was opened."""

    page: Any
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, address: str) -> None:
        """Open an address and wait until the page is whole."""
        self.page.goto(address)
        self.settle()

    def wear(self, scheme: str) -> None:
        """Show the open page in another colour scheme, as when the system's changes."""
        self.page.emulate_media(color_scheme=scheme)
        # Nothing is asked of the server.
        self.settle(PAUSE // 3)

    def settle(self, pause: int = PAUSE) -> None:
        """Wait until the script has run and what is drawn stays as it is for so many milliseconds."""
        self.page.wait_for_selector(".stHtml", timeout=PATIENCE)
        before = None
        for _ in range(PATIENCE // pause):
            self.page.wait_for_timeout(pause)
            running = self.page.locator('.stApp[data-test-script-state="notRunning"]').count() == 0
            if not running and self.text == before:
                return
            before = self.text
        raise AssertionError("the page does not come to rest")

    @property
    def text(self) -> str:
        """All that is visible."""
        return str(self.page.inner_text(".stApp"))

    @property
    def background(self) -> str:
        """The colour behind everything."""
        return str(self.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor"))

    @property
    def width_used(self) -> int:
        """How wide the page is, in pixels; more than the window means sideways scrolling."""
        script = (
            "Math.max(document.scrollingElement.scrollWidth, document.querySelector('.stMain').scrollWidth)"
        )
        return int(self.page.evaluate(script))

    @property
    def cut(self) -> list[str]:
        """The boards of which a part is out of sight sideways."""
        script = (
            "[...document.querySelectorAll('.lr-scroll')]"
            ".filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText.slice(0, 80))"
        )
        return list(self.page.evaluate(script))

    def keep_picture(self, name: str) -> None:
        """A picture of the whole page, as far as it is not endless, where pictures are wanted."""
        if not SCREENSHOTS:
            return
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        height = int(self.page.evaluate(f"{MAIN}.scrollHeight")) + 60
        self.page.set_viewport_size({"width": size["width"], "height": max(HEIGHT, min(height, TALLEST))})
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"))
        self.page.set_viewport_size(size)


@contextmanager
def look(browser: Any, width: int = 1280, stranger: bool = False) -> Iterator[View]:
    """A fresh page; requests to any other host, which the browser cannot reach, are remembered.

    All pages share a cache and a profile but those of a `stranger`.
    """
    if stranger or not browser.contexts:
        browser.new_context()
    context = browser.contexts[-1 if stranger else 0]
    view = View(context.new_page())

    def note(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            view.outside.append(request.url)

    def complain(message: Any) -> None:
        probe = urlsplit(message.location.get("url", "")).path.endswith(PROBES)
        if message.type == "error" and not probe:
            view.complaints.append(message.text)

    view.page.set_viewport_size({"width": width, "height": HEIGHT})
    view.page.on("request", note)
    view.page.on("console", complain)
    view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
    view.page.on(
        "dialog", lambda dialog: (view.complaints.append(f"dialog {dialog.message}"), dialog.dismiss())
    )
    try:
        yield view
    finally:
        view.page.close()
        if stranger:
            context.close()
