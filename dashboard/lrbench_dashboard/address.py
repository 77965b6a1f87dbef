"""The address of a page that was opened, completed in the browser without another step back.

Whatever the server writes to an address is a step of its own in the browser's history. What a page adds to
the address that it was opened with, what it is about and what its widgets hold, is none: nobody did anything.
"""

from __future__ import annotations

import secrets

from streamlit.components.v2 import component

NAME = "lrbench_address"
# Once for every opening: what is drawn again later must not take back what a widget has written since.
REPLACE = """
export default function ({ data }) {
  if (window.lrbenchOpened === data.opened) return;
  window.lrbenchOpened = data.opened;
  const address = window.location.pathname + (data.query ? "?" + data.query : "");
  window.history.replaceState(window.history.state, "", address);
}
"""


def complete(query: str) -> None:
    """Have the address of the page, just opened, end in this query, in the place of the one it has."""
    component(NAME, js=REPLACE)(key=NAME, data={"query": query, "opened": secrets.token_hex(8)}, height=1)
