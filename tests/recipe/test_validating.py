"""Values of the wrong type or out of range, each with its whole message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.methods.presets import BY_NAME
from lrbench.recipe.loading import load_recipe
from lrbench.suites.shipped import SHIPPED

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]

WHOLE = "allowed is a whole number of at least 1"
NAME = "allowed is a name of up to 100 letters, digits, `.`, `_` and `-` that begins with a letter or digit"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("alpha: 0.2", "alpha: 0", "10:10: divergence.alpha: found 0, allowed is a number in (0, 1]"),
        ("alpha: 0.2", "alpha: 1.5", "10:10: divergence.alpha: found 1.5, allowed is a number in (0, 1]"),
        ("alpha: 0.2", "alpha: .nan", "10:10: divergence.alpha: found .nan, allowed is a number in (0, 1]"),
        ("beta: 0.4", "beta: -0.1", "11:9: divergence.beta: found -0.1, allowed is a number of at least 0"),
        ("beta: 0.4", "beta: .inf", "11:9: divergence.beta: found .inf, allowed is a number of at least 0"),
        ("beta: 0.4", "beta: 1e999", "11:9: divergence.beta: found .inf, allowed is a number of at least 0"),
        ("beta: 0.4", "beta: null", "11:9: divergence.beta: found null, allowed is a number of at least 0"),
        ("beta: 0.4", "beta: true", "11:9: divergence.beta: found true, allowed is a number of at least 0"),
        ("updates: 5", "updates: 0", f"13:12: training.updates: found 0, {WHOLE}"),
        (
            "updates: 5",
            f"updates: {10**15 + 1}",
            f"13:12: training.updates: found 1000000000000001, {WHOLE} and at most 1,000,000,000,000,000",
        ),
        (
            "updates: 5",
            f"updates: {'9' * 900}",
            f"13:12: training.updates: found {'9' * 60}..., {WHOLE} and at most 1,000,000,000,000,000",
        ),
        ("updates: 5", "updates: 5.0", f"13:12: training.updates: found 5.0, {WHOLE}"),
        (
            "updates: 5",
            'updates: "5"',
            f'13:12: training.updates: found the text "5", {WHOLE}; write it without quotes',
        ),
        (
            "updates: 5",
            "updates: 010",
            f'13:12: training.updates: found the text "010", {WHOLE}; write it without the leading zeros',
        ),
        ("updates: 5", "updates: 0x10", f'13:12: training.updates: found the text "0x10", {WHOLE}'),
        ("updates: 5", "updates: yes", f'13:12: training.updates: found the text "yes", {WHOLE}'),
        ("updates: 5", "updates:", f"13:11: training.updates: found null, {WHOLE}"),
        ("updates: 5", "updates: [5]", f"13:12: training.updates: found a list, {WHOLE}"),
        ("updates: 5", "updates: {a: 5}", f"13:12: training.updates: found a mapping, {WHOLE}"),
        (
            "rollouts_per_update: 2",
            "rollouts_per_update: 0",
            f"14:24: training.rollouts_per_update: found 0, {WHOLE} or null",
        ),
        (
            "1.0e-3",
            "'5e-5'",
            '15:18: training.learning_rate: found the text "5e-5", allowed is a number in (0, 1]; '
            "write it without quotes",
        ),
        ("seed: 0", "seed: -1", "2:7: seed: found -1, allowed is a whole number in [0, 2147483648)"),
        (
            "seed: 0",
            "seed: 99999999999",
            "2:7: seed: found 99999999999, allowed is a whole number in [0, 2147483648)",
        ),
        (
            "seed: 0",
            "runtime: {compile: yes}",
            '2:20: runtime.compile: found the text "yes", allowed is true or false',
        ),
        (
            "seed: 0",
            "runtime: {batch_size: Auto}",
            f'2:23: runtime.batch_size: found the text "Auto", {WHOLE} or `auto`; did you mean `auto`?',
        ),
        ("seed: 0", "runtime: {batch_size: 0}", f"2:23: runtime.batch_size: found 0, {WHOLE} or `auto`"),
        ("name: small", "name: a/b", f'1:7: name: found the text "a/b", {NAME}'),
        ("name: small", "name: a\\b", f'1:7: name: found the text "a\\b", {NAME}'),
        ("name: small", "name: ..", f'1:7: name: found the text "..", {NAME}'),
        ("name: small", "name: ''", f'1:7: name: found the text "", {NAME}'),
        ("name: small", "name: 'a\n\n  b'", f'1:7: name: found the text "a\\nb", {NAME}'),
        ("name: small", "name: 2026", f"1:7: name: found 2026, {NAME}; put it in quotes"),
        ("name: small", "name: true", f"1:7: name: found true, {NAME}; put it in quotes"),
        (
            "{model: embedded/expert}",
            "{model: embedded/expert, dtype: flot32}",
            '4:43: pair.expert.dtype: found the text "flot32", '
            "allowed is `float32`, `bfloat16` or `float16`; did you mean `float32`?",
        ),
        (
            "{model: embedded/expert}",
            "[embedded/expert]",
            "4:11: pair.expert: found a list, allowed is a mapping with the fields model, revision, dtype",
        ),
        (
            "{model: embedded/expert}",
            "embedded/expert",
            '4:11: pair.expert: found the text "embedded/expert", '
            "allowed is a mapping with the fields model, revision, dtype",
        ),
        (
            "{model: embedded/expert}",
            "{dtype: float32}",
            "4:3: pair.expert.model: missing; needed is text that is not empty",
        ),
        ("  problems: 8\n", "", "6:1: data.problems: missing; needed is a whole number of at least 1"),
        (
            "evaluation:\n  suite: embedded7\n",
            "",
            "1:1: evaluation: missing; needed is a mapping with the fields suite, lm_eval, benchmarks, "
            "limit, items, select_on, engine",
        ),
        ("[base, sft, lightr]", "[]", "16:7: arms: found an empty list, allowed is a list that is not empty"),
        (
            "[base, sft, lightr]",
            "lightr",
            '16:7: arms: found the text "lightr", allowed is a list that is not empty',
        ),
        (
            "[base, sft, lightr]",
            "[base, 5]",
            "16:14: arms.1: found 5, allowed is an arm's name or a mapping",
        ),
        (
            "[base, sft, lightr]",
            "[base, {like: lightr}]",
            "16:14: arms.1.name: missing; needed is a name of up to 100 letters, digits, `.`, `_` and `-` "
            "that begins with a letter or digit",
        ),
        (
            "[base, sft, lightr]",
            "[base, {name: lightr, divergence: {beta: -1}}]",
            "16:48: arms.1.divergence.beta: found -1, allowed is a number of at least 0 or null",
        ),
    ],
)
def test_a_wrong_value_is_told(
    refusal: Refusal, changed: Changed, before: str, after: str, told: str
) -> None:
    assert refusal(changed((before, after))) == [f"r.yaml:{told}"]


def test_wrong_values_in_lists_are_told_at_their_place(refusal: Refusal, changed: Changed) -> None:
    text = changed(("updates: 5", "updates: 5\n  lora: {target_modules: [q_proj, 7]}"))
    assert refusal(text) == [
        "r.yaml:14:35: training.lora.target_modules.1: found 7, allowed is text; put it in quotes"
    ]


def test_all_problems_of_a_recipe_are_told_at_once(refusal: Refusal, changed: Changed) -> None:
    text = changed(
        ("name: small", "name: a/b"),
        ("embedded/amateur", "embedded/amatuer"),
        ("  problems: 8", "  problms: none"),
        ("alpha: 0.2", "alpha: 0.01"),
        ("updates: 5", "updates: 5\n  steps_per_update: 4"),
        ("[base, sft, lightr]", "[base, stf, lightr, lightr]"),
        ("suite: embedded7", "suite: embeded7"),
    )
    assert refusal(text) == [
        f'r.yaml:1:7: name: found the text "a/b", {NAME}',
        'r.yaml:5:20: pair.amateur.model: found the text "embedded/amatuer", '
        "embedded models are embedded/expert, embedded/amateur, embedded/amateur_mixed, embedded/peer, "
        "embedded/careful, embedded/mentor, embedded/verbose, embedded/candid, embedded/foreign; "
        "did you mean `embedded/amateur`?",
        "r.yaml:8:3: data.problms: unknown field; did you mean `problems`?",
        f'r.yaml:8:12: data.problems: found the text "none", {WHOLE}',
        "r.yaml:10:10: divergence.alpha: alpha is 0.01 and divergence.alpha_min is 0.05, allowed is an alpha "
        "of at least alpha_min, since scores are stored only down to there",
        "r.yaml:14:21: training.steps_per_update: given beside `rollouts_per_update`, "
        "allowed is one of the two (null switches the other off)",
        f'r.yaml:17:14: arms.1: found the text "stf", known arms are {", ".join(BY_NAME)}; '
        "did you mean `sft`?",
        "r.yaml:17:27: arms.3.name: the name `lightr` is also that of arms.2; "
        "give each arm a `name` of its own",
        'r.yaml:19:10: evaluation.suite: found the text "embeded7", known suites are '
        f"{', '.join(SHIPPED)}; did you mean `embedded7`?",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.0e-3", "5e-5"),
        ("1.0e-3", "1"),
        ("problems: 8", "problems: 1_000"),
        ("updates: 5", f"updates: {10**15}"),
        ("alpha: 0.2", "alpha: 1"),
        ("beta: 0.4", "beta: 0"),
        ("name: small", "name: yes"),
    ],
)
def test_unusual_ways_to_write_a_right_value_are_accepted(
    folder: Path, changed: Changed, before: str, after: str
) -> None:
    (folder / "r.yaml").write_text(changed((before, after)))
    load_recipe("r.yaml")
