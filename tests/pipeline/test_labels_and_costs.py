"""Every arm that one can name, run once while what happens is counted; and garbage for every label.

What a board says of labels, models and costs is what happened; what is said to use no label stays the same
to the byte where they are garbage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lrbench.embedded import assets
from lrbench.embedded.assets import model_folder
from lrbench.methods.component import AMATEUR, EXPERT
from lrbench.methods.presets import BY_NAME, uses_labels
from lrbench.pipeline.plan import ArmPlan, Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.schema import Recipe
from lrbench.results.board import build_boards
from lrbench.results.ledger import Ledger, LedgerContents
from lrbench.results.rows import Row
from lrbench.store.store import Store
from tests.pipeline.counting import Count, Happened

pytestmark = pytest.mark.slow
GARBAGE = "garbage"
MADE = [name for name, preset in BY_NAME.items() if preset.ingredients or preset.edit]
CUES = {"affirm": ["so"], "reflect": ["first"], "verify": ["the", "is"]}
# What presets say of longer answers is said of such as the embedded expert gives, and of fewer of them.
FITTED: dict[str, dict[str, Any]] = {
    "thinkedit": {"change": {"project_heads": {"short": 38, "long": 38, "heads": 1}}},
    "sert": {"source": {"writer": "expert", "temperature": 1.3, "shape": {"longer_than": 4}}},
    "grpo": {"objective": {"grpo": {"group": 4, "problems": 2}}},
    "vote": {"answer": {"vote": 3}},
    "take_over": {"answer": {"take_over": {"by": "teacher", "after": ".", "draft": 4, "cues": CUES}}},
}
UNLABELLED = [name for name in MADE if not uses_labels(name)]
PEER = {"writer": "mentor", "temperature": 0}
# What an arm takes of one that learns from labels is a number: how much there was, which labels decide, or
# how many updates, which a recipe declares; or of its selector how many it keeps of the arm's own rollouts.
AS_MUCH = {"like": "lightr", "training": {"budget": {"match": "ground_truth", "on": "tuned_tokens"}}}
AS_OFTEN = {"like": "lightr", "training": {"budget": {"match": "ground_truth", "on": "updates"}}}
DRAWN = {"like": "lightr", "selector": {"signal": "random", "match": "cft"}}
BESIDE: dict[str, dict[str, Any]] = {
    "begun": {"like": "mix", "start": "kd"},
    "again_begun": {"like": "opd", "start": "begun"},
    "preferred": {"like": "dpo", "source": {"chosen": {"writer": "teacher"}, "rejected": PEER}},
    "every_other": {"like": "lightr", "objective": {"online": 2}},
    "as_much": AS_MUCH,
    "as_often": AS_OFTEN,
    "drawn": DRAWN,
}
ANSWERING: dict[str, dict[str, Any]] = {
    "moved": {"mix": {"mentor": 1, "arm:lightr": 1, "expert": -1}},
    "routed": {"route": {"to": "teacher", "when": {"signal": "entropy", "above": 0.1}}},
    "routed_at_once": {"route": {"to": "teacher", "first": {"signal": "entropy", "above": 0.0}}},
    "led": {"lead": {"by": "teacher", "tokens": 3}},
    "chained": {"chain": ["arm:begun", "own"], "tokens": 8},
    "agreeing": {"chain": ["mentor", "own"], "tokens": 8, "agree": {"by": "amateur", "rounds": 2}},
    "rewritten": {"rewrite": {"by": "teacher", "below": -0.01, "after": "."}},
    "budgeted": {"budget": {"at_least": 8}},
    "given": {"prefill": "First"},
}


def made_of(arm: ArmPlan) -> Stage:
    """The last stage of what an arm is."""
    made = arm.adapter or arm.answered_by.edited
    assert made is not None
    return made


MakeWorld = Callable[[dict[str, dict[str, Any]]], Recipe]


@pytest.fixture(scope="module")
def worlds(
    make_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory
) -> tuple[MakeWorld, MakeWorld]:
    """What makes a recipe of some arms, with the labels as they are and with garbage for all of them."""
    folder = tmp_path_factory.mktemp("labels")

    def with_labels(label: str | None) -> MakeWorld:
        file = folder / f"{label or 'true'}.jsonl"
        with file.open("w") as stream:
            for row in assets.problems("multi_step", "train")[:6]:
                labels = {name: label or row[name] for name in ("answer", "solution")}
                stream.write(json.dumps({"id": row["id"], "problem": row["problem"], **labels}) + "\n")
        return lambda arms: make_recipe(
            arms=["base", *({"name": name} | arm for name, arm in arms.items())],
            data={"train": str(file), "problems": 6},
            pair={"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
            models={"teacher": {"model": "embedded/careful"}, "mentor": {"model": "embedded/peer"}},
            sampling={"max_new_tokens": 48, "solutions": {"max_new_tokens": 48, "samples_per_problem": 2}},
            training={"updates": 2, "rollouts_per_update": 4, "learning_rate": 1e-3},
            evaluation={"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
        )

    return with_labels(None), with_labels(GARBAGE)


def presets(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {"like": name} | FITTED.get(name, {}) for name in names}


def by_name(plan: Plan) -> dict[str, ArmPlan]:
    return {arm.arm.name: arm for arm in plan.arms if arm.arm.name != "base"}


@dataclass(frozen=True)
class Counted:
    """A run with all arms, and what happened while it was at work."""

    runs: Path
    arms: dict[str, ArmPlan]
    rows: dict[str, Row]
    contents: LedgerContents
    happened: Mapping[str, Happened]

    def behind(self, arm: ArmPlan) -> list[Happened]:
        """What happened in every stage that `arm` is made by, those of arms that it reads included."""
        found: dict[str, Stage] = {}
        readers = arm.answered_by.inputs.values()
        pending = [*filter(None, [arm.adapter]), *readers]
        while pending:
            stage = pending.pop()
            if stage.key not in found:
                found[stage.key] = stage
                matched = getattr(stage, "matched", None)
                pending += [
                    each for each in (*stage.inputs.values(), *stage.behind.values()) if each != matched
                ]
        return [self.happened[key] for key in found if key in self.happened]


@pytest.fixture(scope="module")
def counted(worlds: tuple[MakeWorld, MakeWorld], tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """A run of every preset, and of what can be made of them."""
    answering = {name: {"like": "base", "answer": answer} for name, answer in ANSWERING.items()}
    named = presets(*(name for name in BY_NAME if name != "base"))
    recipe, runs = worlds[0](named | BESIDE | answering), tmp_path_factory.mktemp("counted")
    count = Count()
    with count.watching():
        report = run_recipe(recipe, runs)
    assert not report.failures, report.failures
    contents = Ledger(runs / "ledger").read()
    (board,) = build_boards(contents.arms, contents.scores, contents.recipes)
    arms = {arm.arm.name: arm for arm in plan_recipe(recipe, runs).arms}
    return Counted(runs, arms, {row.arm: row for row in board.rows}, contents, count.by_stage)


def test_tokens_on_the_board_are_those_that_were_drawn_and_learnt(counted: Counted) -> None:
    said, happened = {}, {}
    for name, arm in counted.arms.items():
        behind, costs = counted.behind(arm), counted.rows[name].costs
        assert costs is not None
        said[name] = (costs.sampled_tokens, costs.tuned_tokens, costs.trained_steps)
        drawn = sum(stage.drawn for stage in behind)
        different = sum(len(set(stage.learnt)) for stage in behind)
        happened[name] = (drawn, different, sum(len(stage.learnt) for stage in behind))
    assert said == happened
    assert sum(1 for drawn, _, _ in said.values() if drawn) > len(MADE)


def test_labels_on_the_board_are_those_that_were_read(counted: Counted) -> None:
    read = {name for name, arm in counted.arms.items() if any(stage.read for stage in counted.behind(arm))}
    # A number that labels have decided is no label, and says something of them.
    said = {name for name, row in counted.rows.items() if row.uses.labels}
    assert said == read | {"as_much"}
    assert {name for name in BY_NAME if uses_labels(name)} == said & BY_NAME.keys()


def test_models_on_the_board_are_those_that_went_forward(counted: Counted) -> None:
    folders = {EXPERT: "expert", AMATEUR: "amateur", "teacher": "careful", "mentor": "peer"}
    names = {sum_of_folder(folder): name for name, folder in folders.items()}
    records = {record.arm: record for record in counted.contents.arms}
    for name, arm in counted.arms.items():
        (score,) = arm.evaluations[0]
        answering = counted.happened[score.key]
        ran = {names[each] for stage in (*counted.behind(arm), answering) for each in stage.models}
        uses = counted.rows[name].uses
        assert ran - {EXPERT, AMATEUR} == set(uses.other_models or ()), name
        reads_amateur = AMATEUR in ran
        behind = [records[each] for each in (name, *uses.arms)]
        assert reads_amateur == any(record.amateur is not None for record in behind), name
        assert len(answering.bodies) == uses.models_at_test, name


def test_answers_took_what_the_board_says(counted: Counted) -> None:
    scores = {score.arm: score for score in counted.contents.scores}
    for name, arm in counted.arms.items():
        (stage,) = arm.evaluations[0]
        happened, score = counted.happened[stage.key], scores[name]
        said = score.tokens if score.passes is None else sum(score.passes.values())
        assert (score.written, said) == (happened.drawn, happened.passes), name


def sum_of_folder(name: str) -> float:
    """As `sum_of` has it of a model in memory."""
    from safetensors.torch import load_file

    weights = load_file(model_folder(name) / "model.safetensors")
    return float(weights["model.embed_tokens.weight"].double().sum())


def test_labels_are_part_of_what_an_arm_is_where_it_uses_them_and_nowhere_else(
    worlds: tuple[MakeWorld, MakeWorld], tmp_path: Path
) -> None:
    true, garbage = (by_name(plan_recipe(recipe(presets(*MADE)), tmp_path)) for recipe in worlds)
    same = [name for name in MADE if made_of(true[name]).key == made_of(garbage[name]).key]
    assert same == UNLABELLED


def test_garbage_labels_change_no_byte_of_what_is_said_to_use_none(
    worlds: tuple[MakeWorld, MakeWorld], counted: Counted, tmp_path: Path
) -> None:
    numbers = {"as_much": AS_MUCH, "as_often": AS_OFTEN, "drawn": DRAWN}
    unlabelled = [*UNLABELLED, "as_often", "drawn"]
    matched = {"ground_truth": {"like": "ground_truth"}, "cft": {"like": "cft"}}
    recipe = worlds[1](presets(*UNLABELLED) | numbers | matched)
    report = run_recipe(recipe, tmp_path)
    # No solution is right, so that nothing is learnt from right ones.
    assert [failure.arms for failure in report.failures] == [("cft",)]
    garbage = by_name(plan_recipe(recipe, tmp_path))

    def contents(runs: Path, arms: Mapping[str, ArmPlan]) -> Iterator[tuple[str, list[str]]]:
        for name in (*unlabelled, "as_much"):
            made = made_of(arms[name])
            artifact = Store(runs / "store").find(made.name, made.key)
            assert artifact is not None
            yield name, [file.sha256 for file in artifact.files]

    before, after = dict(contents(counted.runs, counted.arms)), dict(contents(tmp_path, garbage))
    assert {name for name in before if before[name] != after[name]} == {"as_much"}
    assert {name: counted.rows[name].uses.labels for name in before} == {
        name: name == "as_much" for name in before
    }
