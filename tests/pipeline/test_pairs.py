"""Pairs are made of what there is, counted and said; one reference serves all who learn from them."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.models.loading import load_tokenizer
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.pairs import PairedAnswers, read_log_p
from lrbench.pipeline.stages.rollouts import read_artifact_rollouts
from lrbench.pipeline.stages.training import TrainedAdapter
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord
from lrbench.results.uses import ArmsInUse
from lrbench.sampling.judging import why_rejected
from lrbench.sampling.problems import Problems
from lrbench.store.artifact import Artifact
from tests.pipeline.running import artifact_of
from tests.pipeline.test_online import Killed, commits
from tests.pipeline.test_writers import by_writer

MakeRecipe = Callable[..., Recipe]
OWN = {"pairs": "right_wrong", "writer": "expert", "samples": 4, "max_new_tokens": 48, "most": 2}
DPO = {"name": "dpo", "source": OWN}
FIRM = {"name": "firm", "like": "dpo", "source": OWN, "objective": {"dpo": {"beta": 0.5}}}
WRITERS = {
    "name": "writers",
    "like": "dpo",
    "source": {
        "chosen": {"writer": "teacher", "temperature": 0},
        "rejected": {"writer": "expert", "temperature": 0},
    },
}
TRAINING = {"updates": 5, "rollouts_per_update": 4, "learning_rate": 1e-3}
SECTIONS: dict[str, Any] = {"training": TRAINING, "runtime": {"updates_between_saves": 2}}


def adapters(recipe: Recipe, runs: Path) -> dict[str, TrainedAdapter]:
    return {arm.arm.name: arm.adapter for arm in plan_recipe(recipe, runs).arms if arm.adapter is not None}


def records(runs: Path) -> dict[str, ArmRecord]:
    return {record.arm: record for record in Ledger(runs / "ledger").read().arms}


def made_by(adapter: TrainedAdapter, runs: Path) -> tuple[PairedAnswers, Artifact]:
    pairs = adapter.samples.rollouts
    assert isinstance(pairs, PairedAnswers)
    return pairs, artifact_of(runs, pairs)


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the stages of pairs say."""
    return []


@pytest.fixture(scope="module")
def finished(
    make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory, said: list[str]
) -> tuple[Path, dict[str, TrainedAdapter]]:
    runs = tmp_path_factory.mktemp("pairs")
    told = logging.Handler()
    told.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(PairedAnswers.__module__).addHandler(told)
    # What a training that begins from another arm refers to is that arm.
    begun = {"name": "begun", "like": "dpo", "source": OWN, "start": "writers"}
    recipe = by_writer(make_recipe, [DPO, FIRM, WRITERS, begun], **SECTIONS)
    with pytest.MonkeyPatch.context() as patch:
        # However little longer.
        patch.setattr("lrbench.pipeline.stages.pairs.MUCH_LONGER", -1)
        assert not run_recipe(recipe, runs).failures
    logging.getLogger(PairedAnswers.__module__).removeHandler(told)
    return runs, adapters(recipe, runs)


def test_right_answers_are_chosen_and_wrong_ones_rejected_and_all_problems_are_counted(
    finished: tuple[Path, dict[str, TrainedAdapter]],
) -> None:
    runs, made = finished
    pairs, artifact = made_by(made["dpo"], runs)
    rollouts, found = read_artifact_rollouts(artifact), artifact.statistics
    tokenizer = load_tokenizer(pairs.expert)
    places = {problem: index for index, problem in enumerate(pairs.problems.ids)}
    for chosen, rejected in zip(rollouts[::2], rollouts[1::2], strict=True):
        assert (chosen.problem_id, chosen.prompt_ids) == (rejected.problem_id, rejected.prompt_ids)
        texts = (tokenizer.decode(each.completion_ids[:-1]) for each in (chosen, rejected))
        verdicts = [why_rejected(pairs.problems, places[chosen.problem_id], text) for text in texts]
        assert verdicts[0] is None
        assert verdicts[1] in ("wrong", "unread")
    of_problem = Counter(rollout.problem_id for rollout in rollouts[::2])
    assert found["pairs"] == len(rollouts) // 2 > 0
    assert max(of_problem.values()) <= 2
    assert sum(found["became"].values()) == len(places)
    assert found["became"]["paired"] == len(of_problem)
    longer = [a.steps - b.steps for a, b in zip(rollouts[::2], rollouts[1::2], strict=True)]
    assert found["longer"] == pytest.approx(np.mean(longer))


def test_how_much_longer_chosen_answers_are_is_said(
    finished: tuple[Path, dict[str, TrainedAdapter]], said: list[str]
) -> None:
    runs, made = finished
    for name in ("dpo", "writers"):
        pairs, artifact = made_by(made[name], runs)
        longer = artifact.statistics["longer"]
        by = f"{abs(longer):.1f} tokens {'longer' if longer > 0 else 'shorter'} than the rejected ones"
        words = f"{pairs.label}: the chosen answers are on average {by}"
        assert [line for line in said if line.startswith(words)]


def test_one_reference_serves_all_who_learn_from_the_pairs_and_the_first_loss_is_ln_2(
    finished: tuple[Path, dict[str, TrainedAdapter]],
) -> None:
    runs, made = finished
    references = {name: adapter.reference for name, adapter in made.items()}
    assert references["dpo"] == references["firm"]
    assert made["dpo"].key != made["firm"].key
    assert len({reference.key for reference in references.values() if reference}) == 3
    for name, record in records(runs).items():
        # Where it begins as an adapter, dropout tells its first margins a little from nought.
        near = 1e-2 if name == "begun" else 1e-5
        assert record.curves["loss"][0][1] == pytest.approx(math.log(2), abs=near), name
        assert record.curves["margin"][0][1] == pytest.approx(0, abs=2 * near)
        assert len(record.curves["preferred"]) == TRAINING["updates"]
        assert record.statistics["final_margin"] == record.curves["margin"][-1][1]
        reference = references[name]
        assert reference is not None
        log_p = read_log_p(artifact_of(runs, reference))
        assert len(log_p) == record.statistics["scored_rollouts"]
        assert (log_p < 0).all()


def test_costs_and_labels_are_what_was_written_and_read(
    finished: tuple[Path, dict[str, TrainedAdapter]], tmp_path: Path
) -> None:
    runs, made = finished
    found, used = records(runs), ArmsInUse(records(runs).values())
    assert used.of(found["dpo"], []).labels
    assert not used.of(found["writers"], []).labels
    assert used.of(found["writers"], []).other_models == ("teacher",)
    # A teacher and the expert, once each, to every problem.
    sides = [stage for stage in found["writers"].stages if stage.partition(" ")[0] in ("written", "rollouts")]
    assert len(sides) == 2
    costs, statistics = found["dpo"].costs, found["dpo"].statistics
    assert costs.sampled_tokens == statistics["sampled_tokens"]
    assert statistics["sampled_solutions"] == 4 * len(made["dpo"].samples.rollouts.problems.ids)
    assert 0 < costs.tuned_tokens <= statistics["kept_steps"]
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()


def test_a_kill_at_any_commit_ends_with_the_same_bytes(
    make_recipe: MakeRecipe, tmp_path: Path, finished: tuple[Path, dict[str, TrainedAdapter]]
) -> None:
    runs, made = finished
    recipe = by_writer(make_recipe, [DPO], **SECTIONS)
    whole = artifact_of(runs, made["dpo"]).content_hash
    with pytest.MonkeyPatch.context() as patch:
        names = commits(patch)
        run_recipe(recipe, tmp_path / "whole")
    # Between pairs and reference, and after each save of the training.
    saves = [place for place, name in enumerate(names) if name.startswith("save")]
    for place in (names.index("part-00000.npy"), *(save + 1 for save in saves)):
        killed = tmp_path / f"killed-{place}"
        with pytest.MonkeyPatch.context() as patch:
            commits(patch, end_before=place)
            with pytest.raises(Killed):
                run_recipe(recipe, killed)
        assert not run_recipe(recipe, killed).failures
        assert artifact_of(killed, made["dpo"]).content_hash == whole


def test_identity_22_garbage_for_answers_changes_nothing_where_writers_say_which_is_chosen(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = by_writer(make_recipe, [DPO, WRITERS])
    before = {name: adapter.key for name, adapter in adapters(recipe, tmp_path).items()}
    monkeypatch.setattr(Problems, "answers_hash", "garbage")
    after = {name: adapter.key for name, adapter in adapters(recipe, tmp_path).items()}
    assert after["writers"] == before["writers"]
    assert after["dpo"] != before["dpo"]


def test_where_the_data_set_s_solutions_are_chosen_no_problem_needs_an_answer(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    file = tmp_path / "solved.jsonl"
    file.write_text(json.dumps({"problem": "What is 1 + 1?", "solution": "1 + 1 = 2."}) + "\n")
    source = {"chosen": {"writer": "data"}, "rejected": {"writer": "expert", "temperature": 0}}
    solved = {"name": "solved", "like": "dpo", "source": source}
    recipe = by_writer(make_recipe, [solved], data={"train": str(file), "problems": 1})
    assert adapters(recipe, tmp_path)["solved"].samples.ingredients.source.label_field == "solution"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, r"6 had no finished wrong answer"),
        ("wrong", r"6 had no right answer"),
    ],
)
def test_problems_all_right_or_all_wrong_give_no_pair_and_that_is_said(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Any, said: str
) -> None:
    monkeypatch.setattr("lrbench.pipeline.stages.pairs.why_rejected", lambda *_: verdict)
    (failed,) = run_recipe(by_writer(make_recipe, [DPO], **SECTIONS), tmp_path).failures
    reason = str(failed.cause.message) if hasattr(failed, "cause") else str(failed)
    assert "no problem gave a pair: of 6 problems 0 gave pairs; " in reason
    assert said.replace("\\", "") in reason


def test_how_many_pairs_of_a_problem_and_their_draw_are_part_of_what_they_are(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    def key(**changes: Any) -> str:
        arm = {"name": "dpo", "source": OWN | changes}
        return adapters(by_writer(make_recipe, [arm]), tmp_path)["dpo"].samples.rollouts.key

    assert len({key(), key(most=3), key(samples=5), key(temperature=0.5)}) == 4
