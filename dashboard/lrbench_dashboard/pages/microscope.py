"""The divergence microscope: a rollout token by token, and what any alpha and beta would keep and teach."""

from __future__ import annotations

import math

import streamlit as st
from lrbench_dashboard import state
from lrbench_dashboard.context import choose_context
from lrbench_dashboard.loading import inspector, load_results
from lrbench_dashboard.look import begin_page, problem_html
from lrbench_dashboard.microscope_view import show_histogram, statistics_html
from lrbench_dashboard.result_names import names_first_of, note_if_outside, result_names
from lrbench_dashboard.rollout_choice import ORDERS, labels, most_divergent_step, prompt_text, rollouts_in
from lrbench_dashboard.rollout_view import show_rollout
from lrbench_dashboard.step_view import step_html

from lrbench.errors import StoreError
from lrbench.methods.presets import LEADER, PRESETS
from lrbench.recipe.schema import Divergence
from lrbench.results.microscope import Microscope, open_microscope
from lrbench.results.records import ArmRecord
from lrbench.results.web.text import text_html

SCORED = ", ".join(
    f"<code>{preset.name}</code>"
    for preset in PRESETS
    if preset.ingredients is not None and preset.ingredients.needs_scores
)
OF_AN_ARM = ("rollout", "step", "alpha", "beta")


def main() -> None:
    """Choose an arm, thresholds, a rollout and a step, and look."""
    begin_page(
        "Divergence microscope",
        "Where the expert and the amateur part, step by step: which steps an arm keeps, and what it learns "
        "there. Everything is recomputed from stored scores; no model runs.",
    )
    results = load_results()
    context = choose_context(results, st.query_params.get("arm")) if results.boards else None
    arms = {record.arm_id: record for record in reversed(results.contents.arms) if "scores" in record.stages}
    if not arms:
        st.html(
            '<p class="lr-note">No arm here has scored rollouts. Arms that select steps by divergence or '
            f"contrast two models have them, such as <code>{LEADER.name}</code>. Add one to a recipe and run "
            "it.</p>"
        )
        return
    names = names_first_of(context, result_names(results))
    arm = arms[choose_arm({arm_id: arms[arm_id] for arm_id in names if arm_id in arms}, names)]
    note_if_outside(context, arm.arm_id)
    try:
        microscope = _open(str(results.runs), arm.arm_id, results.stamp, arm)
    except StoreError as error:
        st.html(problem_html(text_html(str(error))))
        return
    if not microscope.rollouts or not len(microscope.scores):
        st.html('<p class="lr-note">This arm has scored rollouts, but not a single step in them.</p>')
        return
    look(microscope, arm)


def choose_arm(arms: dict[str, ArmRecord], all_names: dict[str, str]) -> str:
    """The arm to look at, the latest that is made as the leading preset is unless asked otherwise.

    Another arm has its own rollouts and thresholds.
    """
    names = {arm_id: all_names[arm_id] for arm_id in arms}
    assert LEADER.ingredients is not None
    method = LEADER.ingredients.model_dump(mode="json", include={"selector", "target"})
    own = (arm_id for arm_id, arm in arms.items() if arm.settings.items() >= method.items())
    first = next(own, None)
    return state.choice("Arm", names, key="arm", default=first, on_change=state.forget, args=(OF_AN_ARM,))


def look(microscope: Microscope, arm: ArmRecord) -> None:
    """Everything below the choice of an arm."""
    thresholds = choose_thresholds(microscope)
    whole = microscope.summary(thresholds)
    place = choose_rollout(microscope)
    view = microscope.rollout(place, thresholds)

    st.html(f'<p class="lv-prompt">{text_html(prompt_text(microscope, place), 4000)}</p>')
    last = view.rollout.steps - 1
    if "step" in st.session_state:
        st.session_state["step"] = min(st.session_state["step"], last)
    shown = st.container()
    number = 0
    if last:
        number = int(state.number("Step", 0, last, key="step", default=most_divergent_step(view), step=1))
    with shown:
        show_rollout(view, microscope.texts, number, _choose_step)
    step = view.step(number)
    parts = view.ingredients
    rule = view.reason(number)
    masked = parts.target.plausible_from is not None
    st.html(step_html(step, number, microscope.texts, rule, masked))

    st.html("<h2>This rollout and all of them</h2>")
    columns = {"this rollout": view.summary, f"all {len(microscope.rollouts):,}": whole}
    if differs(thresholds, microscope):
        columns["all, as trained"] = microscope.summary_as_trained
    table, chart = st.columns([1, 1], gap="large")
    with table:
        st.html(statistics_html(columns, masked))
        st.html(
            f'<p class="lv-caption">In training {arm.costs.tuned_tokens:,} of these tokens were tuned: the '
            "kept steps that the updates got to.</p>"
        )
    with chart:
        beta = parts.selector.threshold
        show_histogram(whole, beta, "steps, all rollouts", 270)
        show_histogram(view.summary, beta, "steps, this one", 180)


def choose_thresholds(microscope: Microscope) -> Divergence:
    """Sliders for alpha and beta, where the arm uses them; a note says when they are not the arm's own."""
    trained, parts = microscope.trained, microscope.ingredients
    alpha, beta = trained.alpha, trained.beta
    left, right = st.columns(2, gap="large")
    with left:
        if "alpha" in parts.thresholds:
            alpha = state.number(
                "α: a token is plausible from α times the expert’s first choice",
                min(microscope.alpha_min, alpha),
                1.0,
                key="alpha",
                default=alpha,
                step=0.01,
            )
        else:
            st.html('<p class="lv-caption">What this arm learns at a step depends on no α.</p>')
    with right:
        if "beta" in parts.thresholds:
            highest = float(max(1, math.ceil(microscope.largest_kl), math.ceil(beta)))
            beta = state.number(
                "β: a step is kept above β nats of KL", 0.0, highest, key="beta", default=beta, step=0.01
            )
        else:
            st.html('<p class="lv-caption">Which steps this arm keeps depends on no β.</p>')
    thresholds = microscope.at(alpha, beta)
    if differs(thresholds, microscope):
        note, back = st.columns([5, 1], vertical_alignment="center")
        note.html(
            f'<p class="lr-note" role="status">Not what was trained: this arm was made with '
            f"α {trained.alpha:g}, β {trained.beta:g}.</p>"
        )
        back.button("Back to trained", on_click=state.forget, args=(("alpha", "beta"),), width="stretch")
    return thresholds


def differs(thresholds: Divergence, microscope: Microscope) -> bool:
    """Whether the sliders are anywhere but at the arm's own thresholds."""
    trained = microscope.trained
    return (thresholds.alpha, thresholds.beta) != (trained.alpha, trained.beta)


def choose_rollout(microscope: Microscope) -> int:
    """The rollout to look at: its place among all."""
    how, which, back, on = st.columns([1.1, 4, 0.6, 0.6], vertical_alignment="bottom")
    with how:
        order = state.choice("Order", ORDERS, key="order")
    places = rollouts_in(order, microscope)
    with which:
        token = state.choice(
            f"Rollout, of {len(places):,}",
            labels(places, microscope),
            key="rollout",
            on_change=state.forget,
            args=(("step",),),
        )
    tokens = list(places)
    at = tokens.index(token)
    back.button("Previous", disabled=at == 0, on_click=_go, args=(tokens[max(at - 1, 0)],), width="stretch")
    on.button(
        "Next",
        disabled=at == len(tokens) - 1,
        on_click=_go,
        args=(tokens[min(at + 1, len(tokens) - 1)],),
        width="stretch",
    )
    return places[token]


def _go(token: str) -> None:
    st.session_state["rollout"] = token
    state.forget(("step",))


def _choose_step(step: int) -> None:
    st.session_state["step"] = step


@st.cache_resource(max_entries=2, show_spinner="Reading the scores")
def _open(runs: str, arm_id: str, stamp: object, _arm: ArmRecord) -> Microscope:  # noqa: ARG001 - cached by
    microscope = open_microscope(inspector(runs), _arm)
    assert microscope is not None, "the arm has scores"
    return microscope


main()
