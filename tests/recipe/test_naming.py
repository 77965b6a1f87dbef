"""Models and arms that arms name, and what is told where there is no such one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_with_warnings

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]
ARMS = "arms: [base, sft, lightr]"


def arms(text: str) -> tuple[str, str]:
    return ARMS, f"models: {{peer: {{model: embedded/peer}}}}\narms: [lightr, {text}]"


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            "{name: a, like: base, answer: {mix: {pear: 1}}}",
            "17:38: arms.1.answer: `pear` is no model of this recipe; its models are expert, amateur, peer, "
            "and `arm:NAME` is the expert with the adapter of that arm; did you mean `peer`?",
        ),
        (
            '{name: a, like: base, answer: {mix: {"arm:lihgtr": 1}}}',
            "17:38: arms.1.answer: `lihgtr` is no arm of this recipe; its arms are lightr, a; did you mean "
            "`lightr`?",
        ),
        (
            '{name: a, like: base, answer: {mix: {"arm:a": 1}}}',
            "17:38: arms.1.answer: the arm `a` is not trained, so it has no adapter; name the models that it "
            "reads instead",
        ),
        (
            "{name: a, like: lightr, selector: {signal: random, match: lihgtr}}",
            "17:74: arms.1.selector.match: `lihgtr` is no arm of this recipe; its arms are lightr, a; did "
            "you mean `lightr`?",
        ),
        (
            "{name: a, like: lightr, selector: {signal: random, match: a}}",
            "17:74: arms.1.selector.match: arms that wait for each other: a -> a",
        ),
        (
            '{name: a, like: sharpen, target: {use: soft, of: "arm:b"}}, '
            "{name: b, like: lightr, selector: {signal: random, match: c}}, "
            '{name: c, like: lightr, selector: {signal: kl, above: 1, of: "arm:a"}}',
            "17:41: arms.1.target: arms that wait for each other: a -> b -> a",
        ),
        (
            '{name: a, like: sharpen, target: {use: soft, of: "arm:a"}}',
            "17:41: arms.1.target: arms that wait for each other: a -> a",
        ),
        (
            '{name: a, like: sharpen, target: {use: soft, of: "arm:b"}}, '
            "{name: b, like: lightr, training: {budget: {match: a, on: updates}}}",
            "17:41: arms.1.target: arms that wait for each other: a -> b -> a",
        ),
        (
            "{name: a, like: sft, selector: {signal: random, match: lightr}}",
            "17:71: arms.1.selector.match: the arm `lightr` learns from other rollouts (greedy) than this "
            "one (solutions), so its steps cannot be matched",
        ),
        (
            "{name: a, like: lightr, selector: {signal: random, match: cd}}, cd",
            "17:74: arms.1.selector.match: the arm `cd` is not trained, so it keeps no steps to match",
        ),
    ],
)
def test_a_name_that_nothing_has_is_told_at_its_place(
    refusal: Refusal, changed: Changed, arm: str, told: str
) -> None:
    assert f"r.yaml:{told}" in refusal(changed(arms(arm)))


@pytest.mark.parametrize(
    "arm",
    [
        '{name: a, like: sharpen, target: {use: soft, of: "arm:lightr"}}',
        # Its own adapter can answer, and one arm can be matched to another that it teaches.
        '{name: a, like: lightr, answer: {mix: {"arm:a": 1}}}',
        "{name: a, like: lightr, selector: {signal: random, match: b}}, "
        '{name: b, like: lightr, target: {use: soft, of: "arm:a"}}',
    ],
)
def test_what_waits_for_nobody_that_waits_for_it_is_no_circle(
    folder: Path, changed: Changed, arm: str
) -> None:
    (folder / "r.yaml").write_text(changed(arms(arm)))
    load_with_warnings("r.yaml")


def test_an_answer_that_an_engine_cannot_write_names_both(refusal: Refusal, changed: Changed) -> None:
    (told,) = refusal(
        changed((ARMS, "arms: [cd]"), ("suite: embedded7", "suite: embedded7\n  engine: {name: vllm}"))
    )
    assert "arms.0" in told
    assert "the engine vllm" in told
    assert "evaluation.engine.name" in told


def test_an_answer_that_cannot_be_sampled_several_times_is_told_at_its_place(
    refusal: Refusal, changed: Changed
) -> None:
    arms = (
        "arms: [base, cd, vote, {name: a, like: base, answer: {stop_bias: 1}}]\n"
        "measure: {samples: 8, temperature: 0.6, top_p: 0.95}"
    )
    (vote, bias) = refusal(changed((ARMS, arms)))
    assert vote.startswith("r.yaml:16:18: arms.2: `measure` cannot sample an answer by `vote`")
    assert bias.startswith("r.yaml:16:46: arms.3.answer: `measure` cannot sample an answer by `stop_bias`")
    assert vote.endswith("leave out this arm, or `measure`")


def test_a_model_with_a_name_that_every_recipe_has_is_refused(refusal: Refusal, changed: Changed) -> None:
    text = changed((ARMS, "models: {expert: {model: embedded/peer}}\narms: [lightr]"))
    assert refusal(text) == [
        "r.yaml:16:10: models.expert: `expert` is a name that every recipe has; give the model another one"
    ]


def test_a_model_that_no_arm_reads_is_warned_about(folder: Path, changed: Changed) -> None:
    (folder / "r.yaml").write_text(changed((ARMS, "models: {peer: {model: embedded/peer}}\narms: [lightr]")))
    assert load_with_warnings("r.yaml")[1] == [
        "r.yaml:16:10: models.peer: ignored, because no arm reads this model"
    ]


def test_an_answer_without_training_needs_an_amateur_too(refusal: Refusal, changed: Changed) -> None:
    text = changed((ARMS, "arms: [cd]"), ("  amateur: {model: embedded/amateur}\n", ""))
    assert refusal(text) == [
        "r.yaml:3:1: pair.amateur: missing; the arm `cd` compares the expert with an amateur"
    ]
