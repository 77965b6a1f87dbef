"""What a source may say of writers, and what is told where that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.loading import load_with_warnings

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]
ARMS = "arms: [base, sft, lightr]"


def learning(source: str) -> tuple[str, str]:
    models = "models: {teacher: {model: embedded/careful}}"
    return ARMS, f"{models}\narms: [sft, {{name: a, like: sft, source: {source}}}]"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "{writer: teacher, temperature: 0, samples: 4}",
            "arms.1.source: 4 samples at temperature 0 would all be the same; give a temperature above 0",
        ),
        (
            "{writer: teacher, forget_prompt: true}",
            "arms.1.source: `forget_prompt` is given without the `system_prompt` that is to be forgotten",
        ),
        (
            "{writer: teecher}",
            "arms.1.source: `teecher` is no model of this recipe; its models are expert, amateur, teacher, "
            "and `arm:NAME` is the expert with the adapter of that arm; did you mean `teacher`?",
        ),
        ('{writer: "arm:a"}', "arms.1.source: arms that wait for each other: a -> a"),
        (
            "{writer: teacher, problems: 1000000}",
            "arms.1.source: asks 1,000,000 problems, and data.problems is 8; raise that, or ask fewer",
        ),
        (
            "{writer: teacher, check: correct}",
            'arms.1.source.check: found the text "correct", allowed is `any`, `right`, `wrong`',
        ),
        (
            "{writer: data, samples: 2}",
            "arms.1.source: `samples` says how a model writes, and the writer `data` is the data set itself",
        ),
        (
            "{writer: data, check: right}",
            "arms.1.source: `check` says how a model writes, and the writer `data` is the data set itself",
        ),
        (
            "{writer: teacher, check: right, shape: correction}",
            "arms.1.source: `correction` takes right and wrong answers, so it needs a model as writer and "
            "the check `any`",
        ),
        (
            "{mix: [{writer: teacher, share: 0}]}",
            "arms.1.source: every share is 0; give one of the writers a share of the rollouts",
        ),
        (
            "{mix: [{writer: teacher, share: 1}, {writer: expert, system_prompt: Think., share: 1}]}",
            "arms.1.source: its parts are learnt under different system prompts; set `forget_prompt` where "
            "only the writer is to see one",
        ),
        (
            "{mix: [{writer: teacher}]}",
            "source.mix.0.share: missing; needed is a number of at least 0",
        ),
        (
            "{mix: [{writer: teacher, share: 1, problems: 9}, {writer: expert, share: 1}]}",
            "arms.1.source: asks 9 problems, and data.problems is 8; raise that, or ask fewer",
        ),
        (
            "{writer: teacher, check: {agree_with: nobody}}",
            "arms.1.source: `nobody` is no model of this recipe",
        ),
        (
            "{writer: teacher, check: {agree_with: expert, cut: 2}}",
            "source.check.cut: found 2, allowed",
        ),
        (
            "{writer: teacher, shape: short}",
            'arms.1.source.shape: found the text "short", allowed is `prune`, `equations`, `answer_only`, '
            "`correction`, `attempts` or a mapping with the fields prune, tokens, stride, cap, longer_than "
            "or null",
        ),
        (
            "{writer: teacher, shape: {prune: words}}",
            'arms.1.source.shape.prune: found the text "words", allowed is `lines` or `end`',
        ),
        ("{writer: teacher, shape: {prune: end, stride: 0}}", "source.shape.stride: found 0, allowed is"),
        (
            "{writer: data, shape: attempts}",
            "arms.1.source: `attempts` takes right and wrong answers, so it needs a model as writer and the "
            "check `any`",
        ),
        (
            "{writer: teacher, temperature: 0, top_p: 0.9}",
            "arms.1.source: `top_p` says what is drawn from; give a temperature above 0",
        ),
        ("{writer: teacher, top_p: true}", "source.top_p: found true, allowed is a number in (0, 1]"),
        ("{writer: teacher, top_p: 0}", "source.top_p: found 0, allowed is a number in (0, 1]"),
        (
            "{writer: data, top_p: 0.9}",
            "`top_p` says how a model writes, and the writer `data` is the data set",
        ),
        (
            "{pairs: right_wrong, writer: teacher, temperature: 0.5, top_p: 2}",
            "source.top_p: found 2, allowed is",
        ),
        (
            "{writer: teacher, temperature: 0, accept: {above: 0.01}}",
            "arms.1.source: `accept` takes or leaves tokens that are drawn; give a temperature above 0",
        ),
        ("{writer: teacher, accept: {by: nobody, above: 0.01}}", "`nobody` is no model of this recipe"),
        ("{writer: teacher, accept: {by: expert}}", "source.accept.above: missing; needed is a number of"),
        ("{writer: teacher, temperature: -1}", "found -1, allowed is a number of at least 0 or null"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    refusal: Refusal, changed: Changed, source: str, told: str
) -> None:
    assert any(told in message for message in refusal(changed(learning(source))))


def test_what_a_writer_can_be_mistaken_for_is_told(refusal: Refusal, changed: Changed) -> None:
    models = "models: {data: {model: embedded/careful}}"
    arm = "{name: a, like: sft, source: {writer: data}}"
    (told,) = (m for m in refusal(changed((ARMS, f"{models}\narms: [{arm}]"))) if "as a writer" in m)
    assert told.endswith("`data` as a writer is the data set; give the model of that name another one")
    arm = "{name: a, like: lightr, source: {writer: expert, shape: correction}}"
    pair = ("amateur: {model: embedded/amateur}", "amateur: {model: embedded/amateur}\n  align: tokens")
    (told,) = refusal(changed((ARMS, f"arms: [{arm}]"), pair))
    assert "`correction` puts answers into prompts, which `pair.align: tokens` builds anew" in told


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            "{name: a, like: sft, start: stf}",
            "arms.1.start: `stf` is no arm of this recipe; its arms are sft, a; did you mean `sft`?",
        ),
        ("{name: a, like: sft, start: a}", "arms.1.start: arms that wait for each other: a -> a"),
        (
            "{name: a, like: sft, start: sft, training: {lora: {r: 4}}}",
            "arms.1.start: the adapter of `sft` has training.lora.r 8, and this arm's has 4; an adapter "
            "begins as one of the same shape",
        ),
        (
            "{name: a, like: sft, start: sft, training: {lora: {target_modules: [o_proj]}}}",
            "has training.lora.target_modules q_proj, v_proj, and this arm's has o_proj",
        ),
        (
            "{name: a, like: base, start: sft}",
            "the arm `base` is the expert, which is not trained; it takes no settings but `answer`",
        ),
    ],
)
def test_what_cannot_be_begun_from_is_told_at_its_place(
    refusal: Refusal, changed: Changed, arm: str, told: str
) -> None:
    assert any(told in message for message in refusal(changed((ARMS, f"arms: [sft, {arm}]"))))


@pytest.mark.parametrize(("writer", "is_served"), [("expert", True), ("arm:sft", True), ("teacher", False)])
def test_an_engine_that_serves_the_expert_writes_with_no_other_model(
    refusal: Refusal, changed: Changed, writer: str, is_served: bool
) -> None:
    served = ("training:\n", "sampling: {engine: {name: vllm}}\ntraining:\n")
    (told,) = refusal(changed(learning("{writer: expert, accept: {above: 0.1}}"), served))
    assert "with `accept` two models have a say in every token, which the engine vllm leaves to" in told
    # Another mistake, so that there is something to be told of every one.
    arms = learning(f'{{writer: "{writer}", problems: 9}}')
    told = [message for message in refusal(changed(arms, served)) if "engine" in message]
    assert bool(told) != is_served
    if told:
        assert told == [
            "r.yaml:18:34: arms.1.source: the engine vllm writes with the expert, and `teacher` is another "
            "model; set sampling.engine.name to `hf`, or write with the expert or an `arm:NAME`"
        ]


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            "kd",
            "arms.0: `kd` reads a model called `teacher`; say which it is, as in "
            "`models: {teacher: {model: embedded/careful}}`",
        ),
        (
            "redistil",
            "arms.0: `redistil` reads what the arm `grpo` has become; add that arm, or name another "
            "in its place",
        ),
    ],
)
def test_a_known_arm_that_needs_a_model_says_how_to_give_it(
    refusal: Refusal, changed: Changed, arm: str, told: str
) -> None:
    (message,) = refusal(changed((ARMS, f"arms: [{arm}]")))
    assert message.endswith(told)


def test_every_related_system_is_an_arm_of_a_recipe_that_says_who_teaches(
    changed: Changed, folder: Path
) -> None:
    from lrbench.methods.taught import TAUGHT

    models = "models: {teacher: {model: embedded/careful}, mentor: {model: embedded/mentor}}"
    names = ", ".join(["base", "grpo", *(neighbour.preset.name for neighbour in TAUGHT)])
    (folder / "r.yaml").write_text(changed((ARMS, f"{models}\narms: [{names}]")))
    load_with_warnings("r.yaml")
