"""A browser's look at a page: what it asked for, what it complained of, and a picture of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCREENSHOTS = Path(os.environ.get("LRBENCH_SCREENSHOTS", "build/screenshots"))
HEIGHT = 900
TALLEST = 4000
PATIENCE, PAUSE = 180_000, 600
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

    def settle(self) -> None:
        """Wait until the script has run and what is drawn stays as it is."""
        self.page.wait_for_selector(".stHtml", timeout=PATIENCE)
        before = None
        for _ in range(PATIENCE // PAUSE):
            self.page.wait_for_timeout(PAUSE)
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
    def width_used(self) -> int:
        """How wide the page is, in pixels; more than the window means sideways scrolling."""
        script = (
            "Math.max(document.scrollingElement.scrollWidth, document.querySelector('.stMain').scrollWidth)"
        )
        return int(self.page.evaluate(script))

    def keep_picture(self, name: str) -> Path:
        """A picture of the whole page, as far as it is not endless."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        height = int(self.page.evaluate(f"{MAIN}.scrollHeight")) + 60
        self.page.set_viewport_size({"width": size["width"], "height": max(HEIGHT, min(height, TALLEST))})
        self.page.wait_for_timeout(300)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)
        return path


@contextmanager
def look(browser: Any, width: int = 1280, scheme: str = "light") -> Iterator[View]:
    """A fresh browser context; requests to any other host are refused and remembered."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    view = View(context.new_page())

    def decide(route: Any) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            view.outside.append(route.request.url)
            route.abort()

    def complain(message: Any) -> None:
        probe = urlsplit(message.location.get("url", "")).path.endswith(PROBES)
        if message.type == "error" and not probe:
            view.complaints.append(message.text)

    def refuse(dialog: Any) -> None:
        view.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.route("http://**/*", decide)
    context.route("https://**/*", decide)
    view.page.on("console", complain)
    view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
    view.page.on(
        "dialog", lambda dialog: (view.complaints.append(f"dialog {dialog.message}"), dialog.dismiss())
    )
    try:
        yield view
    finally:
        context.close()
