"""What `measure` may ask for; what it cannot measure is told at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.loading import load_recipe


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ('{confidence: "(("}', "23: measure.confidence: the pattern is none: missing ), unterminated"),
        ('{confidence: "sure"}', "23: measure.confidence: the pattern has no group; put parentheses around"),
        ("{confidence: 5}", "23: measure.confidence: found 5, allowed is text"),
        (
            "{}",
            "1: measure: measures nothing; give `samples`, `confidence`, `traces`, `repeats` or `forgetting`",
        ),
        ("{temperature: 0.5}", "1: measure: measures nothing"),
        (
            "{forgetting: embedded_tolk}",
            '23: measure.forgetting: found the text "embedded_tolk", known suites are',
        ),
        (
            "{forgetting: there/is/none}",
            '23: measure.forgetting: found the text "there/is/none", but there is no',
        ),
        (
            "{forgetting: embedded7}",
            "23: measure.forgetting: is the suite `embedded7` that `evaluation` measures",
        ),
        (
            "{forgetting: {benchmarks: {mine: {file: none.jsonl, grader: integer}}}}",
            '50: measure.forgetting.benchmarks.mine.file: found the text "none.jsonl", but there is no',
        ),
        ('{confidence: "(5)", temperature: 0.5}', "43: measure.temperature: given without `samples`"),
        (
            "{traces: true, weighed_by: teacher}",
            "37: measure.weighed_by: `teacher` is none of the recipe's `models`; there are none",
        ),
    ],
)
def test_what_measures_nothing_is_told_at_its_place(
    refusal: Callable[..., list[str]], small: str, measure: str, told: str
) -> None:
    (problem,) = refusal(f"{small}measure: {measure}\n")
    assert problem.startswith(f"r.yaml:19:{told}")


def test_a_pattern_alone_has_nothing_sampled_and_changes_no_hash(
    folder: Path, changed: Callable[..., str]
) -> None:
    """An arm that votes cannot be sampled, and so says that nothing is."""
    text = changed(("arms: [base, sft, lightr]", "arms: [base, vote]"))
    (folder / "plain.yaml").write_text(text)
    (folder / "r.yaml").write_text(text + 'measure: {confidence: "I am (\\\\d+)% sure"}\n')
    recipe = load_recipe("r.yaml")
    assert recipe.measure is not None
    assert recipe.measure.confidence == r"I am (\d+)% sure"
    assert recipe.measure.draws is None
    assert recipe_hash(recipe) == recipe_hash(load_recipe("plain.yaml"))
    (folder / "again.yaml").write_text(resolved_yaml(recipe))
    assert load_recipe("again.yaml") == recipe


def test_a_second_suite_is_part_of_the_hash_needs_the_expert_and_is_not_swept(
    refusal: Callable[..., list[str]], folder: Path, small: str, changed: Callable[..., str]
) -> None:
    (folder / "plain.yaml").write_text(small)
    for name, suite in (("talk", "embedded_talk"), ("twins", "embedded_twins")):
        (folder / f"{name}.yaml").write_text(f"{small}measure: {{forgetting: {suite}}}\n")
    plain, talk, twins = (load_recipe(f"{name}.yaml") for name in ("plain", "talk", "twins"))
    assert len({recipe_hash(recipe) for recipe in (plain, talk, twins)}) == 3
    (folder / "again.yaml").write_text(resolved_yaml(talk))
    assert load_recipe("again.yaml") == talk
    asked = "measure: {forgetting: embedded_talk}\n"
    (problem,) = refusal(changed(("arms: [base, sft, lightr]", "arms: [sft, lightr]")) + asked)
    assert "measure.forgetting: is counted from the expert as it is" in problem
    (problem,) = refusal(f"{small}{asked}sweep: {{grid: {{measure.forgetting: [embedded_twins]}}}}\n")
    assert "cannot be swept, since all points are measured on one second suite" in problem


def test_traces_are_of_answers_that_lrbench_judges(refusal: Callable[..., list[str]], small: str) -> None:
    tasks = small.replace("suite: embedded7", "lm_eval: {tasks: [arc_easy]}")
    for written, column in (("{traces: true}", 19), ("{forgetting: embedded_talk, traces: true}", 46)):
        (problem,) = refusal(f"{tasks}measure: {written}\n")
        assert problem == (
            f"r.yaml:19:{column}: measure.traces: does not go with `evaluation.lm_eval`, "
            "whose tasks judge answers themselves"
        )


def test_traces_that_are_not_asked_for_are_nothing_to_the_hash(folder: Path, small: str) -> None:
    def hash_of(measure: str) -> str:
        (folder / "r.yaml").write_text(f"{small}measure: {{{measure}}}\n")
        return recipe_hash(load_recipe("r.yaml"))

    (folder / "plain.yaml").write_text(small)
    plain = recipe_hash(load_recipe("plain.yaml"))
    assert hash_of('confidence: "(5)", traces: false') == plain != hash_of("traces: true")
    for other in ("samples: 2", "forgetting: embedded_talk", "samples: 2, forgetting: embedded_talk"):
        assert hash_of(f"{other}, traces: false") == hash_of(other) != hash_of(f"{other}, traces: true")
