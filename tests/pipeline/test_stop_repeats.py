"""A suite may have answers cut where they go round in a circle: part of the protocol, and counted as cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrbench.evaluation.graded_items import read_items
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.identity import recipe_hash
from lrbench.recipe.schema import Recipe
from lrbench.results.ledger import Ledger
from tests.pipeline.running import artifact_of

LONG = 160


def recipe_with(make_recipe: Callable[..., Recipe], **stops: Any) -> Recipe:
    suite = {
        "name": "mine",
        "max_new_tokens": LONG,
        "benchmarks": {"sums": {"data": "embedded/one_step", "grader": "integer"}},
        **stops,
    }
    return make_recipe(arms=["base"], evaluation={"suite": suite, "limit": 5})


def test_an_answer_that_goes_round_is_cut_and_counts_as_cut(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    found = {}
    for times in (None, 4):
        recipe, runs = recipe_with(make_recipe, stop_repeats=times), tmp_path / f"runs-{times}"
        assert not run_recipe(recipe, runs).failures
        (score,) = plan_recipe(recipe, runs).arms[0].scores
        (record,) = Ledger(runs / "ledger").read().scores
        found[times] = record, list(read_items(artifact_of(runs, score)))
    (whole, answers), (record, cut) = found[None], found[4]
    assert record.protocol == whole.protocol | {
        "stop_repeats": {"times": 4, "tokens": 16, "version": 1},
    }
    assert record.tokens is not None
    assert whole.tokens is not None
    assert record.tokens < whole.tokens
    shorter = [one for one, other in zip(cut, answers, strict=True) if one["tokens"] < other["tokens"]]
    assert shorter
    assert all(one["truncated"] for one in shorter)
    assert record.truncated == sum(one["truncated"] for one in cut)
    assert all(
        other["completion"].startswith(one["completion"].rstrip("\ufffd"))
        for one, other in zip(cut, answers, strict=True)
    )


def test_a_suite_that_says_nothing_of_it_is_what_it_was(make_recipe: Callable[..., Recipe]) -> None:
    plain, null = recipe_with(make_recipe), recipe_with(make_recipe, stop_repeats=None)
    asked = recipe_with(make_recipe, stop_repeats=8)
    assert recipe_hash(plain) == recipe_hash(null) != recipe_hash(asked)
    own = {"sums": {"data": "embedded/one_step", "grader": "integer", "stop_repeats": 3}}
    assert recipe_hash(recipe_with(make_recipe, benchmarks=own)) != recipe_hash(asked)
