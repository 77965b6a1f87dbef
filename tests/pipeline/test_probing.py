"""Before anybody trains: do the two models of a pair write together what the expert cannot write alone?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError, UserError, VocabularyMismatchError
from lrbench.evaluation.statistics import Flips, compare_benchmark
from lrbench.pipeline.probing.pairs import pairs_to_probe, spread
from lrbench.pipeline.probing.probe import Probe, probe_recipe
from lrbench.pipeline.probing.telling import lines_of, verdict_text
from lrbench.pipeline.progress import Silent
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.schema import Recipe
from lrbench.sampling.problems import load_problems
from tests.commands import QUICKSTART, lrbench

ITEMS = 24
BOTH = "sweep={grid: {pair.amateur.model: [embedded/amateur, embedded/peer], divergence.beta: [0.4]}}"


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probing") / "runs"


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """The models that the probes of this module have loaded."""
    return []


@pytest.fixture(scope="module")
def probes(runs: Path, loaded: list[str]) -> tuple[Probe, ...]:
    from lrbench.models import loading

    load = loading.load_model

    def noted(model: Any, *arguments: Any, **options: Any) -> Any:
        loaded.append(model.name)
        return load(model, *arguments, **options)

    recipe = load_recipe(QUICKSTART, [BOTH, "seeds=[0, 1]"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_model", noted)
        return probe_recipe(recipe, runs, ITEMS)


def told(won: int, lost: int, both: int, neither: int, probe: Probe) -> str:
    """The verdict on a probe with such flips."""
    flips = Flips(won, lost, both, neither)
    return verdict_text(replace(probe, flips=flips, comparison=compare_benchmark(flips)))


def refused(recipe: Recipe, runs: Path, kind: type[UserError] = UserError) -> str:
    with pytest.raises(kind) as stopped:
        probe_recipe(recipe, runs, ITEMS)
    assert "\n" not in str(stopped.value)
    return str(stopped.value)


def test_the_amateur_that_teaches_is_told_from_the_expert_once_more(probes: tuple[Probe, ...]) -> None:
    amateur, peer = probes
    assert verdict_text(amateur).startswith("separated better")
    assert verdict_text(peer).startswith("inconclusive")


def test_both_ways_answer_the_same_problems_and_both_models_write_every_token(
    probes: tuple[Probe, ...],
) -> None:
    for probe in probes:
        assert len(probe.alone.outcomes) == len(probe.together.outcomes) == ITEMS
        assert probe.alone.passes == {"expert": probe.alone.tokens}
        assert probe.together.passes == dict.fromkeys(("amateur", "expert"), probe.together.tokens)
        assert 0 < probe.together.contrasted < probe.together.tokens
        assert probe.alone.contrasted == 0


def test_every_model_is_loaded_once_and_the_expert_writes_once_for_all_pairs(
    probes: tuple[Probe, ...], loaded: list[str]
) -> None:
    assert loaded == ["embedded/expert", "embedded/amateur", "embedded/peer"]
    assert probes[0].alone is probes[1].alone


def test_a_pair_chosen_among_several_is_held_to_more_than_one_alone(probes: tuple[Probe, ...]) -> None:
    assert [probe.comparison.p_adjusted > probe.comparison.p for probe in probes] == [True, False]
    (*_, legend) = lines_of(probes)
    assert "p, not the intervals, adjusted over the 2 probes (Holm)" in legend


def test_a_probe_leaves_no_artifact_and_no_record(probes: tuple[Probe, ...], runs: Path) -> None:
    assert probes
    assert not [path for path in runs.rglob("*") if path.parts[len(runs.parts)] in ("store", "ledger")]


def test_training_problems_are_asked_and_said(probes: tuple[Probe, ...]) -> None:
    data = load_recipe(QUICKSTART).data
    problems = load_problems(data)
    assert set(probes[0].pair.problems.ids) <= set(problems.ids)
    first = next(lines_of(probes))
    assert f"{ITEMS} of the 256 training problems of embedded/multi_step" in first


def test_problems_are_spread_over_all_that_have_answers() -> None:
    problems = load_problems(load_recipe(QUICKSTART, ["data.problems=12"]).data)
    answers = [None if place % 2 else answer for place, answer in enumerate(problems.answers)]
    problems = replace(problems, answers=answers)
    assert spread(problems, 3).ids == [problems.ids[place] for place in (0, 4, 8)]
    assert spread(problems, 3).texts == [problems.texts[place] for place in (0, 4, 8)]
    assert spread(problems, 60).ids == problems.ids[::2]


def test_seeds_and_budgets_ask_nothing_new_and_another_gate_does(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    swept = make_recipe(
        seeds=[0, 1], sweep={"grid": {"training.updates": [1, 2], "divergence.beta": [0.3, 0.1]}}
    )
    gates = [pair.answer.when for pair in pairs_to_probe(swept, runs, ITEMS)]
    assert [gate.above for gate in gates if gate is not None] == [0.3, 0.1]


def test_verdicts_have_four_words_and_say_how_many_problems_would_decide(probes: tuple[Probe, ...]) -> None:
    one = probes[0]
    assert told(20, 2, 20, 18, one).startswith("separated better: this pair has something to teach")
    assert told(2, 20, 20, 18, one).startswith("separated worse")
    assert told(1, 1, 2000, 1000, one).startswith("equivalent within 2 points")
    few = told(6, 2, 22, 30, one)
    assert few.startswith("inconclusive, which is not equal: 229 problems (--items) would separate")
    assert "(--items, and more of data.problems)" in told(6, 5, 19, 30, one)
    assert "as many answers were won as lost" in told(3, 3, 24, 30, one)
    assert "no verdict on any answer changed" in told(0, 0, 30, 30, one)


def test_a_recipe_without_amateur_is_told_what_to_name(
    make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path], runs: Path
) -> None:
    alone = make_recipe(pair={"expert": {"model": str(local_pair[0])}}, arms=["base"])
    assert "tiny has no amateur" in refused(alone, runs)


def test_problems_without_answers_are_told(
    make_recipe: Callable[..., Recipe], runs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text(json.dumps({"problem": "What is 2 + 3?"}) + "\n")
    unanswered = make_recipe(data={"train": str(file), "problems": 1})
    assert f'{file}: no problem has an "answer"' in refused(unanswered, runs, DataError)


def test_models_whose_ids_mean_other_tokens_are_told(
    make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path], runs: Path
) -> None:
    pair = {
        "expert": {"model": str(local_pair[0])},
        "amateur": {"model": "embedded/amateur"},
        "align": "tokens",
    }
    assert "embedded/amateur cannot write together" in refused(
        make_recipe(pair=pair), runs, VocabularyMismatchError
    )


def test_a_recipe_that_evaluates_with_another_engine_is_probed_here_and_told(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    listening = Listening()
    evaluation = {"suite": "embedded7", "limit": 3, "engine": {"name": "vllm"}}
    (probe,) = probe_recipe(make_recipe(evaluation=evaluation), runs, 2, listening)
    assert probe.flips.n == 2
    assert "The probe writes with hf, not with vllm: two models have a say in every token." in listening.said


@pytest.mark.slow
def test_a_derived_amateur_is_probed_once_a_run_has_made_it(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    derive = {"from": "expert", "layers": 2, "distill_updates": 2}
    recipe = make_recipe(
        pair={"expert": {"model": "embedded/expert"}, "amateur": {"derive": derive}},
        data={"train": "embedded/multi_step", "problems": 6},
        arms=["base", "cd"],
        evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    )
    assert "the amateur of the first 2 layers of embedded/expert is not made yet" in refused(recipe, tmp_path)
    run_recipe(recipe, tmp_path)
    (probe,) = probe_recipe(recipe, tmp_path, 4)
    assert probe.together.passes["amateur"] == probe.together.passes["expert"] > 0


@pytest.mark.slow
def test_the_command_says_what_it_found_and_succeeds_whatever_it_is(tmp_path: Path) -> None:
    found = lrbench("probe", QUICKSTART, "arms=[base]", "--items", 4, "--runs", tmp_path / "runs")
    assert (found.returncode, found.stderr) == (0, "")
    assert "1 expert - 1 amateur, alpha 0.2, where kl > 0.4" in found.stdout
    assert "forward passes: amateur" in found.stdout
    assert "inconclusive, which is not equal" in found.stdout or "separated" in found.stdout


def test_the_command_refuses_a_recipe_without_amateur_in_one_message(tmp_path: Path) -> None:
    overrides = ["pair.amateur=null", "arms=[base, sft]"]
    found = lrbench("probe", QUICKSTART, *overrides, "--runs", tmp_path / "runs")
    assert found.returncode == 2
    assert found.stderr.startswith("quickstart has no amateur")
    assert found.stderr.count("\n") == 1
