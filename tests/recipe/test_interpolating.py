from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lrbench.recipe.interpolating import escaped
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.yaml_nodes import MAX_DEPTH

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("${data.train}", "embedded/multi_step"),
        ("${ data.train }", "embedded/multi_step"),
        ("${arms.2}-on-${data.problems}", "lightr-on-8"),
        ("a\\${data.train}", "a${data.train}"),
        ("price: $5", "price: $5"),
    ],
)
def test_a_reference_is_replaced_by_what_it_names(
    folder: Path, small: str, written: str, resolved: str
) -> None:
    (folder / "r.yaml").write_text(small + f"description: '{written}'\n")
    assert load_recipe("r.yaml").description == resolved


def test_a_whole_section_can_be_a_reference(folder: Path, changed: Changed) -> None:
    (folder / "r.yaml").write_text(changed(("{model: embedded/amateur}", "${pair.expert}")))
    pair = load_recipe("r.yaml").pair
    assert pair.amateur is not None
    assert pair.amateur.model == pair.expert.model


def test_a_reference_sees_the_value_after_extending_and_overriding(folder: Path, small: str) -> None:
    (folder / "base.yaml").write_text(small.replace("seed: 0", "seed: ${training.updates}"))
    (folder / "r.yaml").write_text("extends: base.yaml\ntraining: {updates: 6}\n")
    assert load_recipe("r.yaml").seed == 6
    assert load_recipe("r.yaml", ["training.updates=7"]).seed == 7


def test_a_wrong_value_is_told_where_it_was_written_and_not_where_it_is_referred_to(
    refusal: Refusal, changed: Changed
) -> None:
    text = changed(("alpha: 0.2", "alpha: ${training.learning_rate}"), ("1.0e-3", "three"))
    assert refusal(text) == [
        'r.yaml:15:18: divergence.alpha: found the text "three", allowed is a number in (0, 1]',
        'r.yaml:15:18: training.learning_rate: found the text "three", allowed is a number in (0, 1]',
    ]


def test_a_misspelling_within_a_section_that_is_referred_to_is_told_where_it_was_written(
    refusal: Refusal, changed: Changed
) -> None:
    text = changed(
        ("expert: {model: embedded/expert}", "expert: {model: embedded/expert, dtpe: float32}"),
        ("{model: embedded/amateur}", "${pair.expert}"),
    )
    assert refusal(text) == [
        "r.yaml:4:36: pair.expert.dtpe: unknown field; did you mean `dtype`?",
        "r.yaml:4:36: pair.amateur.dtpe: unknown field; did you mean `dtype`?",
    ]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "${oc.env:HOME}",
            "found `${oc.env:HOME}`, allowed is `${field.path}` of this recipe (`\\${` for a literal `${`)",
        ),
        (
            "${oc.decode:${seed}}",
            "found `${oc.decode:${seed}}`, allowed is `${field.path}` of this recipe "
            "(`\\${` for a literal `${`)",
        ),
        (
            "${.name}",
            "found `${.name}`, allowed is `${field.path}` of this recipe (`\\${` for a literal `${`)",
        ),
        ("${", "found `${`, allowed is `${field.path}` of this recipe (`\\${` for a literal `${`)"),
        ("${traning.updates}", "`${traning.updates}` names nothing in this recipe; did you mean `training`?"),
        ("${training.updtes}", "`${training.updtes}` names nothing in this recipe; did you mean `updates`?"),
        ("${arms.9}", "`${arms.9}` names nothing in this recipe"),
        ("${description}", "the references go in a circle"),
        ("${description.x}", "the references go in a circle"),
        ("so ${data}", "`${data}` is a mapping; only text and numbers can stand within text"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_told(
    refusal: Refusal, small: str, written: str, told: str
) -> None:
    assert refusal(small + f"description: '{written}'\n") == [f"r.yaml:19:14: description: {told}"]


def test_a_value_that_omegaconf_takes_for_missing_cannot_be_referred_to(refusal: Refusal, small: str) -> None:
    assert refusal(small + "description: ???\n", "name=${description}") == [
        "override 'name=${description}':6: name: `${description}` is `???`, which stands for a missing value"
    ]


def test_the_environment_never_reaches_a_recipe_or_a_message(
    refusal: Refusal, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TOKEN", "a-secret-value")
    for written in ("${oc.env:HUB_TOKEN}", "x${oc.env:HUB_TOKEN}y", "\\\\${oc.env:HUB_TOKEN}"):
        assert "a-secret-value" not in "\n".join(refusal(small + f"description: '{written}'\n"))


def test_a_circle_of_references_is_told_for_each_of_them(refusal: Refusal, changed: Changed) -> None:
    text = changed(("seed: 0", "seed: ${data.problems}"), ("problems: 8", "problems: ${seed}"))
    assert refusal(text) == [
        "r.yaml:2:7: seed: the references go in a circle",
        "r.yaml:8:13: data.problems: the references go in a circle",
    ]


def test_references_that_explode_are_refused_before_they_are_followed(refusal: Refusal, small: str) -> None:
    lists = "".join(f"a{i}: ['${{a{i + 1}}}', '${{a{i + 1}}}', '${{a{i + 1}}}']\n" for i in range(12))
    texts = "".join(f"b{i}: '${{b{i + 1}}}${{b{i + 1}}}'\n" for i in range(25))
    told = "references expand to more than 10000 values or 100000 letters"
    problems = refusal(small + lists + "a12: [1]\n" + texts + "b25: x\n")
    assert any(told in problem and " a0.0: " in problem for problem in problems)
    assert any(told in problem and " b0: " in problem for problem in problems)


def test_a_long_chain_of_references_is_refused_and_never_overflows(refusal: Refusal, small: str) -> None:
    chain = "".join(f"a{i}: ${{a{i + 1}}}\n" for i in range(3000))
    problems = refusal(small + chain + "a3000: 1\n")
    assert "references and nesting go more than 30 levels deep" in problems[0]


def test_the_longest_chain_that_is_allowed_is_followed_to_its_end(refusal: Refusal, small: str) -> None:
    hops = MAX_DEPTH - 2
    chain = "".join(f"a{i}: '${{a{i + 1}}}'\n" for i in range(hops))
    problems = refusal(small + chain + f"a{hops}: three\n", "seed=${a0}")
    *others, last = problems
    assert last == (
        f'r.yaml:{19 + hops}:6: seed: found the text "three", allowed is a whole number in [0, 2147483648)'
    )
    assert all("unknown field" in problem for problem in others)


@given(st.text(alphabet="\\${}ab' :.", max_size=12).filter(lambda text: text != "???"))
def test_escaped_text_resolves_to_itself(text: str) -> None:
    assert OmegaConf.create({"a": escaped(text)}).a == text
