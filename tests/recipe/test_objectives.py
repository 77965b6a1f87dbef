"""Objectives that do not fit their arm or recipe are told with the place, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_with_warnings

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]
ARMS = "arms: [base, sft, lightr]"


def places_and_messages(told: list[str], line: int) -> list[str]:
    """Without where they are, which is in that line."""
    assert all(message.startswith(f"r.yaml:{line}:") for message in told)
    return [message.split(": ", 1)[1] for message in told]


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            "{name: a, like: lightr, objective: {grpo: {}}}",
            [
                "arms.0.objective: rewards are for whole answers that the model samples, so the "
                f"{word} has to be `{needed}`, and is {found}; `like: grpo` has all three words"
                for word, needed, found in (
                    ("source", "solutions", "greedy"),
                    ("selector", "all", "kl"),
                    ("target", "own_token", "contrast"),
                )
            ],
        ),
        (
            "{name: sft, source: {pairs: right_wrong, writer: expert}}",
            [
                "arms.0: the source right against wrong answers of expert gives pairs, of which one answer "
                "shall not be learnt; they are for `objective: {dpo: ...}`"
            ],
        ),
        (
            "{name: a, like: lightr, objective: {dpo: {}}}",
            [
                "arms.0.objective: dpo learns from pairs, and the source greedy gives none; write "
                "`source: {pairs: right_wrong, writer: expert, samples: 8}`, or one with `chosen` and "
                "`rejected`",
                "arms.0.objective: whole answers are preferred to each other, so the selector has to be "
                "`all` and the target `own_token`; `like: dpo` has both",
            ],
        ),
        (
            "{name: dpo, training: {rollouts_per_update: 3}}",
            [
                "arms.0: an update of dpo takes whole pairs, so training.rollouts_per_update has to be an "
                "even number, and is 3"
            ],
        ),
        (
            "{name: dpo, training: {steps_per_update: 16}}",
            [
                "arms.0: an update of dpo takes whole pairs, so training.rollouts_per_update has to be an "
                "even number, and is not given"
            ],
        ),
        (
            "{name: dpo, source: {chosen: {writer: expert}, rejected: {writer: expert}}}",
            ["arms.0.source: `chosen` and `rejected` are the same, so that nothing would be preferred"],
        ),
        (
            "{name: dpo, source: {pairs: right_wrong, writer: expert, samples: 1}}",
            [
                "arms.0.source: one answer to a problem is right or wrong and no pair; give `samples` above "
                "1 and a temperature above 0"
            ],
        ),
        (
            "{name: dpo, objective: {dpo: {beta: 0}}}",
            ["arms.0.objective.dpo.beta: found 0, allowed is a number in (0, 1000]"],
        ),
        (
            "{name: a, like: lightr, objective: reverze}",
            [
                'arms.0.objective: found the text "reverze", allowed is `forward` or a mapping with the '
                "fields divergence, temperature, online, grpo, dpo or null; did you mean `{divergence: "
                "reverse}`?"
            ],
        ),
        (
            "{name: grpo, objective: {grpo: {groups: 8}}}",
            ["arms.0.objective.grpo.groups: unknown field; did you mean `group`?"],
        ),
        (
            "{name: grpo, objective: {grpo: {group: 1}}}",
            ["arms.0.objective.grpo.group: found 1, allowed is a whole number in [2, 1024]"],
        ),
        (
            "{name: grpo, training: {budget: {tuned_tokens: 5}}}",
            [
                "arms.0.training.budget.tuned_tokens: the arm `grpo` learns from what it writes "
                "meanwhile, of which nobody knows before how many tokens there will be; limit its updates, "
                "problems or seconds"
            ],
        ),
        (
            "{name: a, like: ground_truth, objective: {online: 2}}",
            [
                "arms.0.objective: with `online` the model in training writes, as the expert does at first, "
                "and the source is ground truth; take `greedy`, `solutions` or `{writer: expert, ...}`"
            ],
        ),
        (
            "{name: a, like: lightr, objective: {online: 2}, selector: {signal: entropy, top: 0.2}}",
            [
                "arms.0.objective: with `online` there are only the rollouts that are just written, and the "
                "selector (entropy, top 20%) looks at more than those; give a signal `above` or `below` a "
                "number, or keep all"
            ],
        ),
        (
            "{name: a, like: lightr, objective: {online: 2}, training: {steps_per_update: 8}}",
            [
                "arms.0.objective: with `online` an update takes whole rollouts that are written for it; "
                "give `training.rollouts_per_update` for the arm `a`"
            ],
        ),
        (
            '{name: a, like: lightr, target: {use: contrast, of: own, minus: "own:earlier"}}',
            [
                f"arms.0.target: `{name}` is the model in training, which reads what it writes with `online` "
                "alone; give the arm `a` an objective such as `{online: 20}`"
                for name in ("own", "own:earlier")
            ],
        ),
        (
            '{name: a, like: base, answer: {mix: {"own:earlier": 1}}}',
            ["arms.0.answer: `own:earlier` is the model in training, and an answer has it as `own`"],
        ),
        (
            "{name: grpo, fidelity: last_column}",
            [
                "arms.0.fidelity: the arm `grpo` learns from what it writes meanwhile, which the "
                "public scripts do not do; give that arm another fidelity"
            ],
        ),
    ],
)
def test_what_an_arm_that_writes_while_it_learns_cannot_have(
    refusal: Refusal, changed: Changed, arm: str, told: list[str]
) -> None:
    assert places_and_messages(refusal(changed((ARMS, f"arms: [{arm}]"))), line=16) == told


def test_an_engine_that_cannot_take_new_weights_is_refused_where_the_arm_is(
    refusal: Refusal, changed: Changed
) -> None:
    text = changed((ARMS, "sampling: {engine: {name: vllm}}\narms: [base, grpo]"))
    assert places_and_messages(refusal(text), line=17) == [
        "arms.1: the arm `grpo` learns from what it writes meanwhile, and the engine `vllm` cannot "
        "take new weights while it trains; set sampling.engine.name to hf"
    ]


def test_an_update_of_rewards_has_a_size_of_its_own(folder: Path, changed: Changed) -> None:
    arm = "{name: grpo, training: {rollouts_per_update: 3}}"
    (folder / "a.yaml").write_text(changed((ARMS, f"arms: [{arm}]")))
    recipe, warnings = load_with_warnings(folder / "a.yaml")
    assert [str(warning).split(": ", 1)[-1] for warning in warnings if "rollouts" in str(warning)] == [
        "arms.0.training.rollouts_per_update: ignored, because the objective says how many problems an "
        "update takes"
    ]
    assert recipe.arms[0].name == "grpo"
