"""What a widget shows is in the URL, and what the URL asks for is shown, or said to be missing."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page with one widget of each kind; runs inside the app's own process."""
    import streamlit as st

    from dashboard import state

    state.begin()
    fruit = state.choice("Fruit", {"apple": "Apples", "pear": "Pears"}, key="fruit", default="pear")
    some = state.choices("Some", {"a": "A", "b": "B", "c": "C"}, key="some")
    alpha = state.number("Alpha", 0.1, 0.9, key="alpha", default=0.2, step=0.1)
    updates = state.number("Updates", 1, 9, key="updates", default=5, step=1)
    on = state.switch("On", key="on")
    words = state.phrase("Words", key="words")
    day = state.day("From", key="from")
    tab = state.tab("Tab", {"one": "One", "two": "Two"}, key="tab", default="one")
    st.text(repr((fruit, some, alpha, updates, on, words, day and day.isoformat(), tab)))


def opened(**query: str | list[str]) -> AppTest:
    app = AppTest.from_function(page)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def shown(app: AppTest) -> tuple[object, ...]:
    values: tuple[object, ...] = eval(app.text[0].value)
    return values


def notes(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.get("html") if 'role="status"' in element.proto.body]


def test_a_bare_address_shows_the_defaults_and_writes_those_that_may_move_on() -> None:
    app = opened()
    assert shown(app) == ("pear", [], 0.2, 5, False, "", None, "one")
    assert app.query_params == {"fruit": "pear", "alpha": "0.2", "updates": "5"}
    assert notes(app) == []


def test_an_address_brings_back_everything() -> None:
    query = {
        "fruit": "apple",
        "some": ["a", "c"],
        "alpha": "0.7",
        "updates": "9",
        "on": "1",
        "words": "so \\boxed",
        "from": "2026-03-31",
        "tab": "two",
    }
    app = opened(**query)
    assert shown(app) == ("apple", ["a", "c"], 0.7, 9, True, "so \\boxed", "2026-03-31", "two")
    assert app.query_params == query
    assert notes(app) == []


def test_what_is_changed_is_in_the_address_and_opens_the_same_elsewhere() -> None:
    app = opened()
    app.selectbox[0].select("apple")
    app.multiselect[0].select("b")
    app.slider[0].set_value(0.4)
    app.toggle[0].set_value(True)
    app.text_input[0].input("x y")
    app.run()
    assert notes(app) == []
    assert (
        shown(opened(**app.query_params)) == shown(app) == ("apple", ["b"], 0.4, 5, True, "x y", None, "one")
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"fruit": "durian"}, "Fruit: the link asks for durian"),
        ({"some": ["a", "zebra"]}, "Some: the link asks for zebra"),
        ({"alpha": "lots"}, "Alpha: the link asks for lots, which is not from 0.1 to 0.9; 0.2 is shown."),
        ({"alpha": "nan"}, "Alpha: the link asks for nan"),
        ({"alpha": "7"}, "Alpha: the link asks for 7"),
        ({"updates": "2.5"}, "Updates: the link asks for 2.5"),
        ({"updates": "9" * 5000}, "Updates: the link asks for 9999"),
        ({"on": "yes"}, "On: the link asks for yes"),
        ({"from": "yesterday"}, "From: the link asks for yesterday, which is not a day written as"),
        ({"tab": "three"}, "Tab: the link asks for three"),
        ({"fruit": "<script>alert(1)</script>"}, "asks for &lt;script&gt;alert(1)&lt;/script&gt;"),
        ({"fruit": "\u202e\x1b[31m"}, "asks for \\u202e\\x1b[31m"),
    ],
)
def test_what_cannot_be_shown_is_said_once_and_the_rest_works(
    query: dict[str, str | list[str]], said: str
) -> None:
    app = opened(**query)
    assert not app.exception
    (found,) = notes(app)
    assert said in found
    assert notes(app.run()) == []
