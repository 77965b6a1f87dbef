"""What a widget shows is in the URL, and what the URL asks for is shown, or said to be missing."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from streamlit.runtime.state.query_params import QueryParams
from streamlit.testing.v1 import AppTest


def page() -> None:
    """A page with one widget of each kind; runs inside the app's own process."""
    import streamlit as st
    from lrbench_dashboard import state

    state.begin()
    fruit = state.choice("Fruit", {"apple": "Apples", "pear": "Pears"}, key="fruit", default="pear")
    some = state.choices("Some", {"a": "A", "b": "B", "c": "C"}, key="some")
    alpha = state.number("Alpha", 0.1, 0.9, key="alpha", default=0.2, step=0.1)
    updates = state.number("Updates", 1, 9, key="updates", default=5, step=1)
    words = state.phrase("Words", key="words")
    day = state.day("From", key="from")
    tab = state.tab("Tab", {"one": "One", "two": "Two"}, key="tab", default="one")
    st.text(repr((fruit, some, alpha, updates, words, day and day.isoformat(), tab)))
    state.write(whole=True)


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
    assert shown(app) == ("pear", [], 0.2, 5, "", None, "one")
    assert app.query_params == {"fruit": "pear", "alpha": "0.2", "updates": "5", "tab": "one"}
    assert notes(app) == []


def test_an_address_brings_back_everything() -> None:
    query = {
        "fruit": "apple",
        "some": ["a", "c"],
        "alpha": "0.7",
        "updates": "9",
        "words": "so \\boxed",
        "from": "2026-03-31",
        "tab": "two",
    }
    app = opened(**query)
    assert shown(app) == ("apple", ["a", "c"], 0.7, 9, "so \\boxed", "2026-03-31", "two")
    assert app.query_params == query
    assert notes(app) == []


def test_what_is_changed_is_in_the_address_and_opens_the_same_elsewhere() -> None:
    app = opened()
    app.selectbox[0].select("apple")
    app.multiselect[0].select("b")
    app.slider[0].set_value(0.4)
    app.text_input[0].input("x y")
    app.run()
    assert notes(app) == []
    assert shown(opened(**app.query_params)) == shown(app) == ("apple", ["b"], 0.4, 5, "x y", None, "one")


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


def test_an_opened_page_completes_its_address_without_another_step_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    completed: list[str] = []
    written: list[str] = []
    send = QueryParams._send_query_param_msg

    def noted(self: QueryParams) -> None:
        written.append(str(self))
        send(self)

    monkeypatch.setattr("lrbench_dashboard.address.complete", completed.append)
    monkeypatch.setattr(QueryParams, "_send_query_param_msg", noted)
    app = opened(some=["a", "b"], unknown="x")
    assert completed == ["fruit=pear&some=a&some=b&alpha=0.2&updates=5&tab=one"]
    # As the browser then has it.
    app.query_params.clear()
    app.query_params.update(parse_qs(completed[0]))
    app.run()
    assert (len(completed), written) == (1, [])
    app.selectbox[0].select("apple").run()
    assert len(written) == 1, "what a reader changes is one step"


def test_numbers_keep_all_their_digits() -> None:
    app = opened(alpha="0.123456789")
    assert shown(app)[2] == 0.123456789
    assert app.query_params["alpha"] == "0.123456789"


def pages() -> None:
    from lrbench_dashboard import state

    state.begin()
    state.page_number(3, key="page")
    state.write(whole=True)


@pytest.mark.parametrize("asked", ["9" * 5000, "1" + "0" * 5000, "0000000001" * 500, "0", "4", "²", "-1"])
def test_a_page_that_is_not_there(asked: str) -> None:
    app = AppTest.from_function(pages)
    app.query_params["page"] = asked
    app.run()
    assert not app.exception
    assert "; there are 3. The first is shown." in notes(app)[0]
    assert "page" not in app.query_params


def forgetful() -> None:
    import streamlit as st
    from lrbench_dashboard import state

    state.begin()
    fruit = state.choice("Fruit", {"apple": "", "pear": ""}, key="fruit")
    st.button("Anew", on_click=state.forget, args=(("fruit", "gone"),))
    st.text(fruit)
    state.write(whole=True)


def test_what_is_forgotten_begins_anew_whatever_the_address_holds() -> None:
    app = AppTest.from_function(forgetful)
    app.query_params["fruit"] = "pear"
    app.run()
    assert app.text[0].value == "pear"
    app.button[0].click().run()
    assert app.text[0].value == "apple"
    assert app.query_params == {"fruit": "apple"}


def interrupted() -> None:
    from lrbench_dashboard import state

    state.begin()
    state.choice("Fruit", {"apple": "", "pear": ""}, key="fruit")
    state.write(whole=False)


def test_a_page_not_drawn_to_its_end_leaves_the_rest_of_the_address() -> None:
    app = AppTest.from_function(interrupted)
    app.query_params["alpha"] = "0.4"
    app.run()
    assert app.query_params == {"alpha": "0.4", "fruit": "apple"}
