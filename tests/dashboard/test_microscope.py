"""The microscope's page: what is looked at, what sliders change, and tokens that nothing can act through."""

from __future__ import annotations

import math
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrbench_dashboard import rollout_view
from lrbench_dashboard.microscope_view import statistics_html
from lrbench_dashboard.rollout_choice import labels, rollouts_in
from lrbench_dashboard.rollout_view import DEEP, DEEPEST, HOTTEST, content, heat
from lrbench_dashboard.step_view import step_html
from streamlit.testing.v1 import AppTest

from lrbench.results.inspection import Inspector
from lrbench.results.ledger import Ledger
from lrbench.results.microscope import Microscope, RolloutView, open_microscope
from lrbench.results.records import ArmRecord
from lrbench.results.web.tokens import token_name, token_text
from tests.dashboard.made_up import HOSTILE, MEGABYTE, PLAIN, write_runs

OpenPage = Callable[..., AppTest]
TEXT_TAGS = {"section", "h3", "p", "div", "span", "code", "sub"}
OUR_TAGS = TEXT_TAGS | {"table", "thead", "tbody", "tr", "th", "td"}


def bodies(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def asked(app: AppTest, key: str) -> str:
    """The value in the URL."""
    value = app.query_params[key]
    return value if isinstance(value, str) else value[0]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path)
    return tmp_path


def lightr_of(runs: Path) -> ArmRecord:
    return next(arm for arm in Ledger(runs / "ledger").read().arms if "scores" in arm.stages)


def microscope_of(runs: Path) -> Microscope:
    microscope = open_microscope(Inspector(runs), lightr_of(runs))
    assert microscope is not None
    return microscope


def test_it_opens_at_the_most_divergent_step_of_the_most_divergent_rollout(
    runs: Path, open_page: OpenPage
) -> None:
    app = open_page(runs, "microscope")
    assert not app.exception
    microscope = microscope_of(runs)
    place = int(microscope.mean_kl.argmax())
    step = int(microscope.rollout(place, microscope.trained).scores.kl.argmax())
    assert asked(app, "rollout") == microscope.rollouts[place].problem_id
    assert asked(app, "step") == str(step)
    assert f"Step {step}:" in bodies(app)
    assert "Not what was trained" not in bodies(app)


def test_a_link_shows_the_same_step_at_the_same_thresholds(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "microscope", rollout="problem-1 lightr", step="4", alpha="0.5", beta="1.5")
    assert "Step 4:" in bodies(app)
    assert "Not what was trained: this arm was made with α 0.2, β 0.4" in bodies(app)
    summary = microscope_of(runs).summary(microscope_of(runs).at(0.5, 1.5))
    assert f"<td>{summary.divergence['kept_steps']}</td>" in bodies(app)
    assert "all, as trained" in bodies(app)
    app.button[0].click().run()
    assert "Not what was trained" not in bodies(app)
    assert (asked(app, "alpha"), asked(app, "beta")) == ("0.2", "0.4")


def test_a_pair_aligned_by_tokens_shows_what_these_cover(runs: Path) -> None:
    summary = microscope_of(runs).summary_as_trained
    assert "shared tokens" not in statistics_html({"all": summary}, contrasted=False)
    covered = summary.divergence | {"mean_covered": 0.984, "share_covered_too_little": 0.031}
    shown = statistics_html({"all": replace(summary, divergence=covered)}, contrasted=False)
    assert re.search(r"probability on shared tokens</t.><td>98\.4%<", shown)
    assert re.search(r"left out, too little on shared tokens</t.><td>3\.1%<", shown)


def beyond_alpha_min(view: RolloutView) -> int:
    """A step at which the amateur's first choice is one that the expert finds implausible."""
    spans = zip(view.scores.offsets[:-1], view.scores.offsets[1:], strict=True)
    return next(
        step
        for step, (start, stop) in enumerate(spans)
        if view.scores.top1_amateur[step] not in view.scores.support_ids[start:stop]
    )


def test_the_amateurs_own_first_choice_and_the_token_written_have_their_probabilities(runs: Path) -> None:
    microscope = microscope_of(runs)
    view = microscope.rollout(0, microscope.trained)
    number = beyond_alpha_min(view)
    step = view.step(number)
    found = view.scores
    assert found.top1_log_p_amateur is not None
    assert found.own_log_p_expert is not None
    assert found.own_log_p_amateur is not None
    shown = step_html(step, number, microscope.texts, "rule", masked=True)
    first = f"{math.exp(found.top1_log_p_amateur[number]):.3f}"
    assert re.search(rf"the amateur <code[^>]*>[^<]+</code> \({first}\)\.", shown)
    gives = [math.exp(column[number]) for column in (found.own_log_p_expert, found.own_log_p_amateur)]
    expert, amateur = ("&lt;0.001" if value < 0.001 else f"{value:.3f}" for value in gives)
    assert f"To the token written the expert gives {expert}, the amateur {amateur}." in shown
    hovered = content(view, microscope.texts, 0)["tokens"][number]["lines"][2]
    assert f" {math.exp(found.top1_log_p_amateur[number]):.2f} (first choice)" in hovered


def test_what_an_earlier_version_did_not_store_is_said_to_be_missing(runs: Path) -> None:
    microscope = microscope_of(runs)
    whole = microscope.rollout(0, microscope.trained)
    later = ("kl_reverse", "top1_log_p_amateur", "own_log_p_expert", "own_log_p_amateur")
    view = replace(whole, scores=replace(whole.scores, **dict.fromkeys(later)))
    number = beyond_alpha_min(view)
    shown = step_html(view.step(number), number, microscope.texts, "rule", masked=True)
    assert "</code> (not stored by the version that scored it)." in shown
    supports = np.split(view.scores.support_ids, view.scores.offsets[1:-1])
    unlikely = next(
        step for step, token in enumerate(view.rollout.completion_ids) if token not in supports[step]
    )
    shown = step_html(view.step(unlikely), unlikely, microscope.texts, "rule", masked=True)
    assert "What they give to the token written is not stored by the version that scored it." in shown
    unshared = replace(whole.step(unlikely), shared=False)
    assert "The models do not share the token written" in step_html(unshared, 0, microscope.texts, "", True)
    hovered = content(view, microscope.texts, 0)["tokens"][number]["lines"][2]
    first = token_name(microscope.texts[int(view.scores.top1_amateur[number])], 20)
    assert f"{first} (first choice)" in hovered


def test_moving_beta_changes_what_is_kept_at_once(runs: Path, open_page: OpenPage) -> None:
    app = open_page(runs, "microscope")
    app.slider(key="beta").set_value(app.slider(key="beta").max).run()
    assert "not kept" in bodies(app)
    assert "if it were kept" in bodies(app)
    app.slider(key="beta").set_value(0.0).run()
    assert "if it were kept" not in bodies(app)


def test_next_and_previous_go_through_the_rollouts_in_the_order_chosen(
    runs: Path, open_page: OpenPage
) -> None:
    app = open_page(runs, "microscope", order="sampled")
    seen = [asked(app, "rollout")]
    for _ in range(2):
        next(button for button in app.button if button.label == "Next").click().run()
        seen.append(asked(app, "rollout"))
    assert seen == [f"problem-{place} lightr" for place in range(3)]
    buttons = {button.label: button for button in app.button}
    assert buttons["Next"].disabled
    buttons["Previous"].click().run()
    assert asked(app, "rollout") == "problem-1 lightr"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("beta", "nan", "β"),
        ("alpha", "0.01", "the link asks for 0.01"),
        ("step", "400", "the link asks for 400"),
        ("rollout", "<script>", "the link asks for &lt;script&gt;"),
        ("arm", "x" * 5000, "the link asks for xxx"),
    ],
)
def test_a_link_that_asks_for_what_is_not_there_is_told_so(
    runs: Path, open_page: OpenPage, key: str, value: str, said: str
) -> None:
    app = open_page(runs, "microscope", **{key: value})
    assert not app.exception
    assert said in bodies(app)
    assert "Step " in bodies(app)


def test_runs_without_scored_rollouts_say_what_to_do(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path, arms=("base",))
    app = open_page(tmp_path, "microscope")
    assert not app.exception
    assert "No arm here has scored rollouts" in bodies(app)


def test_scores_that_are_gone_or_damaged_are_said_to_be(runs: Path, open_page: OpenPage) -> None:
    folder = runs / "store" / "scores" / lightr_of(runs).stages["scores"]
    (folder / "tokens.json").write_text((folder / "tokens.json").read_text().replace("First", "Fists"))
    app = open_page(runs, "microscope")
    assert not app.exception
    assert "is damaged: the content of tokens.json has changed" in bodies(app)
    shutil.rmtree(folder)
    app = open_page(runs, "microscope")
    assert not app.exception
    assert "Running the recipe again makes it anew" in bodies(app)


def test_nothing_is_written(runs: Path, open_page: OpenPage) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    open_page(runs, "microscope", beta="2")
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


def test_hostile_tokens_and_names_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path, tokens=(*HOSTILE, MEGABYTE, *PLAIN), names=" ".join(HOSTILE))
    app = open_page(tmp_path, "microscope")
    assert not app.exception
    shown = bodies(app)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown) < 100_000
    assert all(len(asked(app, key)) < 200 for key in app.query_params)
    microscope = microscope_of(tmp_path)
    view = microscope.rollout(0, microscope.trained)
    for step in range(view.rollout.steps):
        drawn = step_html(view.step(step), step, microscope.texts, "rule", masked=True)
        assert set(re.findall(r"</?([a-z0-9]+)", drawn)) <= OUR_TAGS
    sent = content(view, microscope.texts, 0)
    for token in sent["tokens"]:
        assert all(len(text) < 400 for text in (token["text"], *token["lines"]))


def test_a_choice_from_the_browser_that_is_no_step_is_ignored(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microscope = microscope_of(runs)
    view = microscope.rollout(0, microscope.trained)
    drawn: dict[str, Any] = {}
    chosen: list[int] = []
    monkeypatch.setattr(rollout_view, "_draw", lambda **given: drawn.update(given))
    for sent in (3, 2.0, -1, 10**6, "4", None, float("nan"), True):
        monkeypatch.setattr(rollout_view.st, "session_state", {"rollout_view": {"chosen": sent}})
        rollout_view.show_rollout(view, microscope.texts, 0, chosen.append)
        drawn["on_chosen_change"]()
    assert chosen == [3, 2, 1]


def test_rollouts_have_short_lasting_names_and_their_problem_to_be_chosen_by(runs: Path) -> None:
    microscope = microscope_of(runs)
    for order in ("divergent", "sampled"):
        places = rollouts_in(order, microscope)
        assert sorted(places.values()) == [0, 1, 2]
        assert all(
            re.fullmatch(r"problem-\d lightr · .*KL \d\.\d\d", label)
            for label in labels(places, microscope).values()
        )
    divergences = [microscope.mean_kl[place] for place in rollouts_in("divergent", microscope).values()]
    assert divergences == sorted(divergences, reverse=True)


@given(st.text(max_size=200), st.integers(1, 80))
def test_a_token_is_shown_on_one_line_without_anything_invisible(text: str, longest: int) -> None:
    for shown in (token_text(text, longest), token_name(text, longest)):
        assert all(character == " " or unicodedata.category(character)[0] != "C" for character in shown)
        assert not {"\n", "\t", "\u2028", "\u202e"} & set(shown)
        assert len(shown) <= 10 * longest + 40
    assert " " not in token_name(text, longest).split("… (")[0]


@pytest.mark.parametrize(
    ("text", "alone", "within"),
    [
        (" ", "␣", "␣"),
        ("\n\n", "↵↵", "↵↵"),
        (" The", "␣The", " The"),
        ("\t", "⇥", "⇥"),
        ("\u0301", "◌\u0301", "◌\u0301"),
        ("", "", ""),
        ("x" * 61, "x" * 60 + "… (61 characters)", "x" * 60 + "… (61 characters)"),
    ],
)
def test_white_space_has_marks_of_its_own(text: str, alone: str, within: str) -> None:
    assert token_name(text) == alone
    assert token_text(text) == within


@given(st.floats(0, 50), st.floats(0, 50))
def test_a_larger_divergence_is_never_cooler(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0 <= heat(np.float32(low)) <= heat(np.float32(high)) <= 1
    assert heat(np.float32(HOTTEST)) == 1


def test_text_on_every_colour_of_the_scale_is_readable_in_light_and_dark() -> None:
    style = (Path(rollout_view.__file__).with_name("rollout_view.css")).read_text()
    colors = {
        name: re.search(rf"--{name}: light-dark\((#\w{{6}}), (#\w{{6}})\)", style)
        for name in ("warm", "hot", "ink")
    }
    assert all(colors.values())
    for dark, page in ((0, "#ffffff"), (1, "#14161a")):
        warm, hot, ink = (colors[name].group(dark + 1) for name in ("warm", "hot", "ink"))  # type: ignore[union-attr]
        for at in np.linspace(0, 1, 101):
            ground = _mixed(page, warm, 2 * at) if at <= 0.5 else _mixed(warm, hot, 2 * at - 1)
            text = ("#ffffff", "#0c0a09")[dark] if at >= DEEPEST else "#0c0a09" if at >= DEEP else ink
            assert _contrast(ground, _linear(text)) >= 4.4, (at, dark)


# sRGB to linear light and Oklab, as CSS Color 4 defines both.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
)


def _linear(color: str) -> np.ndarray:
    parts = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _mixed(first: str, second: str, share: float) -> np.ndarray:
    labs = [_TO_LAB @ np.cbrt(_TO_CONES @ _linear(color)) for color in (first, second)]
    mixed = labs[0] * (1 - share) + labs[1] * share
    return np.clip(np.linalg.solve(_TO_CONES, np.linalg.solve(_TO_LAB, mixed) ** 3), 0, 1)


def _contrast(first: np.ndarray, second: np.ndarray) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted((float(weights @ first), float(weights @ second)))
    return (high + 0.05) / (low + 0.05)
