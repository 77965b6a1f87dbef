"""The dashboard's frame: navigation, style, notes, and what is shown when a page cannot go on."""

from __future__ import annotations

import streamlit as st

from lrbench.errors import LrbenchError
from lrbench.results.web.text import text_html
from lrbench_dashboard import state, theme

PAGES = {
    "leaderboard": "Leaderboard",
    "runs": "Runs",
    "sweep": "Sweeps",
    "compare": "Compare two",
    "microscope": "Divergence microscope",
    "cost": "Cost and quality",
    "calibration": "Calibration",
    "provenance": "Provenance",
}


def main() -> None:
    """Show the page that the URL asks for."""
    st.set_page_config(page_title="lrbench", layout="wide", initial_sidebar_state="auto")
    theme.apply()
    first = f"pages/{state.FIRST_PAGE}.py"
    # Served at the root; under its own name it is there too, for who guesses that address.
    pages = [st.Page(first, title=PAGES[state.FIRST_PAGE], url_path="first", default=True)]
    pages += [
        st.Page(
            f"pages/{name}.py",
            title=title,
            url_path=name,
            visibility="hidden" if name == state.FIRST_PAGE else "visible",
        )
        for name, title in PAGES.items()
    ]
    # Whoever reads the name in the bar may type it so.
    pages.append(st.Page("pages/sweep.py", title=PAGES["sweep"], url_path="sweeps", visibility="hidden"))
    page = st.navigation(pages, position="top")
    state.begin()
    whole = False
    try:
        page.run()
        whole = True
    except LrbenchError as error:
        st.html(f'<p class="lr-note lr-problem" role="alert">{text_html(str(error))}</p>')
    state.write(whole)


main()
