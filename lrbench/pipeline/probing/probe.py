"""Probing: what two models decode together, set against what the expert writes alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import RunError, VocabularyMismatchError
from lrbench.evaluation.prompts import user_turn
from lrbench.evaluation.statistics import Comparison, Flips, compare_benchmarks, count_flips
from lrbench.methods.answers import HERE, OWN, Mix, Plain
from lrbench.methods.component import EXPERT
from lrbench.models.source import LocatedModel
from lrbench.models.turn_marks import check_loaded
from lrbench.pipeline.cuda import missing_devices
from lrbench.pipeline.probing import ITEMS
from lrbench.pipeline.probing.pairs import PairToProbe, pairs_to_probe
from lrbench.pipeline.progress import Reporter, Silent
from lrbench.pipeline.stages.answering import AnsweredBy
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.schema import EngineChoice, Recipe, Runtime
from lrbench.suites.grader import Answered
from lrbench.suites.graders import checker_of
from lrbench.suites.suite import Benchmark


@dataclass(frozen=True)
class Written:
    """The graded answers of one way to answer: `outcomes` has a `0` or `1` per problem, in their order.

    `contrasted` counts the tokens that both models chose, `passes` forward passes by model; `seconds` include
    loading what was not loaded before.
    """

    outcomes: str
    tokens: int
    contrasted: int
    passes: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class Probe:
    """What a pair wrote `together` and its expert `alone`, to the same problems.

    `flips` and `comparison` are of the first minus the second; with several pairs p is adjusted (Holm).
    """

    pair: PairToProbe
    alone: Written
    together: Written
    flips: Flips
    comparison: Comparison


def probe_recipe(
    recipe: Recipe, runs: Path, items: int = ITEMS, reporter: Reporter | None = None
) -> tuple[Probe, ...]:
    """Probe every pair of models that `recipe` names, on `items` of its training problems or all there are.

    Loads each model of a pair once; stores nothing. Raises `UserError` as `pairs_to_probe` does, and where
    the models cannot be used or do not share their tokens.
    """
    reporter = reporter or Silent()
    missing = missing_devices(recipe.runtime)
    if missing is not None:
        raise missing
    pairs = pairs_to_probe(recipe, runs, items)
    chosen = recipe.evaluation.engine.name
    if chosen != HERE:
        reporter.say(
            f"The probe writes with {HERE}, not with {chosen}: two models have a say in every token."
        )
    written = list(_written(pairs, recipe.runtime, reporter))
    flips = [count_flips(together.outcomes, alone.outcomes) for alone, together in written]
    compared = compare_benchmarks({str(place): table for place, table in enumerate(flips)})
    return tuple(
        Probe(pair, alone, together, table, comparison)
        for pair, (alone, together), table, comparison in zip(
            pairs, written, flips, compared.values(), strict=True
        )
    )


def _written(
    pairs: Sequence[PairToProbe], runtime: Runtime, reporter: Reporter
) -> Iterator[tuple[Written, Written]]:
    """What each expert writes alone, once for the same problems, and with its amateur."""
    workspace: Workspace | None = None
    alone: dict[tuple[LocatedModel, str, Benchmark], Written] = {}
    for pair in pairs:
        if workspace is None or workspace.expert.source != pair.expert:
            # Let go of one expert before the next is loaded.
            workspace = None
            workspace = Workspace(pair.expert, None, runtime)
        _check(pair, workspace)
        name, asked = pair.expert.name, (pair.expert, pair.problems.texts_hash, pair.asked_as)
        if asked not in alone:
            alone[asked] = _answers(pair, AnsweredBy(Plain()), f"{name} alone", workspace, reporter)
        together = f"{name} with {pair.amateur.model.name}"
        yield alone[asked], _answers(pair, pair.together, together, workspace, reporter)


def _check(pair: PairToProbe, workspace: Workspace) -> None:
    """Find out what would stop the probe before the models of the pair are loaded. Raises `UserError`."""
    from lrbench.models.prompt import check_prompts

    expert = workspace.expert
    expert.check()
    check_loaded(pair.expert, expert.tokenizer)
    check_prompts(pair.expert.name, expert.tokenizer, [pair.asked_as.system_prompt])
    if pair.amateur.model.here:
        workspace.beside(pair.amateur.model).check()
    try:
        pair.together.check(workspace)
    except VocabularyMismatchError as error:
        raise VocabularyMismatchError(
            f"{pair.expert.name} and {pair.amateur.model.name} cannot write together: for a probe every id "
            "has to stand for the same token in both, also where `pair.align: tokens` compares them otherwise"
        ) from error


def _answers(
    pair: PairToProbe, answered_by: AnsweredBy, label: str, workspace: Workspace, reporter: Reporter
) -> Written:
    """The answers of one way to answer, asked and graded as the recipe's suite does."""
    from lrbench.models.memory import out_of_memory
    from lrbench.models.prompt import render_prompt
    from lrbench.sampling.engines.answered import tally

    problems, begun = pair.problems, time.monotonic()
    label = f"{label} ({len(problems.ids)} problems)"
    progress = reporter.begin(label, len(problems.ids))
    device, tokenizer = workspace.machine.device, workspace.expert.tokenizer
    grader, asked_as = checker_of(problems.benchmark), pair.asked_as
    turns = [user_turn(text, prompt=asked_as.prompt) for text in problems.texts]
    prompts = [render_prompt(tokenizer, turn, asked_as.system_prompt) for turn in turns]
    try:
        with answered_by.open(workspace, EngineChoice(), pair.inputs, grader.read) as answering:
            written = answering.write(prompts, asked_as.max_new_tokens)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise RunError(
            f"out of memory on {device}. Lower runtime.batch_size, or use smaller models."
        ) from error
    outcomes = ""
    stops = workspace.expert.turn_marks.stops
    texts = [
        tokenizer.decode([token for token in answer.completion if token not in stops]) for answer in written
    ]
    for verdict in grader.grade_many(
        Answered(text, gold or "", problem)
        for text, gold, problem in zip(texts, problems.answers, problems.texts, strict=True)
    ):
        outcomes += str(int(verdict.correct))
        progress.advance(1)
    sums, seconds = tally(written), time.monotonic() - begun
    reporter.end(label, seconds)
    passes = {EXPERT if name == OWN else name: count for name, count in sums.passes.items()}
    return Written(outcomes, sums.answered, sums.origins.get(Mix.word, 0), passes, seconds)
