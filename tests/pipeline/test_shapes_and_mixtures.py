"""What is made of written answers before they are learnt from: filtered by agreement, shaped, mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import ModelError
from lrbench.models.loading import load_tokenizer
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.rollouts import parquet_files
from lrbench.pipeline.stages.samples import kept_samples
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.uses import ArmsInUse
from lrbench.sampling.judging import why_rejected
from lrbench.sampling.rollouts import read_rollouts
from tests.pipeline.running import artifact_of
from tests.pipeline.test_writers import PROBLEMS, by_writer, learning, rollouts, source_of

OWN = {"writer": "expert", "temperature": 0}
TAUGHT = {"writer": "teacher", "temperature": 0}
ANSWERS = {"writer": "data", "shape": "answer_only"}
WORDY = {"writer": "verbose", "temperature": 0, "max_new_tokens": 80, "problems": 4}
WILD = {"writer": "expert", "samples": 8}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return by_writer(
        make_recipe,
        [
            "neither",
            "ground_truth",
            learning("given", writer="data"),
            learning("alone", mix=[{**OWN, "share": 0.2}, {**WILD, "share": 0}]),
            learning("mixed", mix=[{**TAUGHT, "share": 1}, {**OWN, "share": 2}]),
            learning("own_way", **OWN, check={"agree_with": "expert"}),
            learning("to_the_end", **TAUGHT, check={"agree_with": "amateur", "cut": 1}),
            learning("agreed", **TAUGHT, check={"agree_with": "twin", "cut": 0}),
            learning("same", writer="data", shape="prune"),
            learning("pruned", **WORDY, shape="prune"),
            learning("told", **WORDY),
            learning("sums", writer="data", shape="equations"),
            learning("short", **ANSWERS),
            learning("long", **OWN, shape={"longer_than": 16}),
            learning("corrected", **WILD, shape="correction"),
            learning("attempted", **WILD, shape="attempts") | {"selector": {"signal": "attempt"}},
            learning("shorter", **WORDY, shape={"prune": "lines"}),
            learning("both", mix=[{"writer": "data", "share": 1}, {**ANSWERS, "share": 1}]),
        ],
        data={"train": "embedded/multi_step", "problems": PROBLEMS},
    )


def texts(runs: Path, arm: ArmPlan) -> dict[str, str]:
    """What is learnt of each problem, without the ends of turns."""
    tokenizer = load_tokenizer(arm.expert)
    return {
        rollout.problem_id: tokenizer.decode(rollout.completion_ids, skip_special_tokens=True)
        for rollout in rollouts(runs, arm)
    }


def test_what_is_mixed_of_one_part_is_that_part_alone(arms: dict[str, ArmPlan]) -> None:
    assert arms["alone"].model == arms["neither"].model
    assert arms["given"].model == arms["ground_truth"].model


def test_identity_15_the_ends_of_swept_shares_are_their_writers_alone_for_any_number_of_problems(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    mixes = [{"mix": [{**TAUGHT, "share": share}, {**OWN, "share": 1 - share}]} for share in (0.0, 0.5, 1.0)]
    numbers = [4, 6]
    recipe = by_writer(
        make_recipe,
        [learning("mixed", **mixes[0]), learning("taught", **TAUGHT), learning("own", **OWN)],
        sweep={"grid": {"arms.mixed.source": mixes, "data.problems": numbers}},
    )
    models = {}
    for arm in plan_recipe(recipe, tmp_path).arms:
        models.setdefault((arm.arm.name, arm.point["data.problems"]), []).append(arm.model)
    for problems in numbers:
        own, between, taught = models["mixed", problems]
        assert [own] == models["own", problems]
        assert [taught] == models["taught", problems]
        assert between not in (own, taught)


def test_a_mixture_has_each_problem_of_one_writer_in_proportion(runs: Path, arms: dict[str, ArmPlan]) -> None:
    taught, own = (
        {rollout.problem_id: rollout for rollout in rollouts(runs, arms[name])}
        for name in ("to_the_end", "neither")
    )
    found = rollouts(runs, arms["mixed"])
    assert [rollout.problem_id for rollout in found] == list(own)
    of_teacher = sum(rollout == taught[rollout.problem_id] != own[rollout.problem_id] for rollout in found)
    assert artifact_of(runs, source_of(arms["mixed"])).statistics["mix_taken"] == [2, 4]
    assert of_teacher <= 2
    assert sum(rollout == own[rollout.problem_id] for rollout in found) >= 4


def test_who_goes_on_as_was_gone_on_agrees_with_everything(runs: Path, arms: dict[str, ArmPlan]) -> None:
    """The expert with its own greedy answers, and anybody where nothing is left to write."""
    assert rollouts(runs, arms["own_way"]) == rollouts(runs, arms["neither"])
    statistics = artifact_of(runs, source_of(arms["to_the_end"])).statistics
    assert statistics["rollouts"] == statistics["sampled_solutions"] == PROBLEMS
    assert statistics["sampled_tokens"] == 0


def test_agreement_keeps_answers_that_the_other_model_gives_too(runs: Path, arms: dict[str, ArmPlan]) -> None:
    import torch

    from lrbench.models.loading import load_model
    from lrbench.models.turn_marks import turn_marks
    from lrbench.suites.graders import checker_of

    stage = source_of(arms["agreed"])
    tokenizer, read = load_tokenizer(stage.expert), checker_of("multi_step").read
    other, stops = load_model(stage.other.model, torch.device("cpu")), turn_marks(stage.other.model).stops
    kept = {rollout.problem_id for rollout in rollouts(runs, arms["agreed"])}
    whole = rollouts(runs, arms["to_the_end"])
    assert 0 < len(kept) < len(whole)
    for rollout in whole:
        ids = torch.tensor([rollout.prompt_ids])
        written = other.generate(ids, max_new_tokens=48, do_sample=False, eos_token_id=list(stops))
        theirs = read(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
        own = read(tokenizer.decode(rollout.completion_ids, skip_special_tokens=True))
        assert (own == theirs) == (rollout.problem_id in kept)


def test_a_trace_without_anything_to_prune_stays_token_for_token(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    assert rollouts(runs, arms["same"]) == rollouts(runs, arms["ground_truth"])


def test_shapes_are_what_they_are_called(runs: Path, arms: dict[str, ArmPlan]) -> None:
    told, pruned = texts(runs, arms["told"]), texts(runs, arms["pruned"])
    assert any("Check" in text for text in told.values())
    # One that is cut has no final answer.
    assert len(pruned) > 0
    assert pruned.keys() <= told.keys()
    assert not any("Check" in text for text in pruned.values())
    given = texts(runs, arms["ground_truth"])
    for problem, text in texts(runs, arms["sums"]).items():
        *sums, answer = text.split("\n")
        assert sums
        assert all("=" in line and line in given[problem] for line in sums)
        assert given[problem].endswith(answer)
    short = texts(runs, arms["short"])
    assert short.keys() == given.keys()
    assert all(text.startswith("The answer is") for text in short.values())
    assert all(given[problem].endswith(text) for problem, text in short.items())
    longer = rollouts(runs, arms["long"])
    assert longer == [each for each in rollouts(runs, arms["neither"]) if each.steps > 16]
    statistics = artifact_of(runs, source_of(arms["long"])).statistics
    assert sum(statistics["left_out"].values()) + len(longer) == PROBLEMS


def test_a_correction_learns_what_is_right_behind_what_is_wrong(runs: Path, arms: dict[str, ArmPlan]) -> None:
    stage = source_of(arms["corrected"])
    tokenizer = load_tokenizer(stage.expert)
    plain = {rollout.problem_id: rollout.prompt_ids for rollout in rollouts(runs, arms["neither"])}
    found = rollouts(runs, arms["corrected"])
    assert found
    for rollout in found:
        prompt = plain[rollout.problem_id]
        assert rollout.prompt_ids[: len(prompt)] == prompt
        index = stage.problems.ids.index(rollout.problem_id)
        wrong = tokenizer.decode(rollout.prompt_ids[len(prompt) :])
        right = tokenizer.decode(rollout.completion_ids, skip_special_tokens=True)
        assert right.startswith("\nThat is wrong. ")
        assert why_rejected(stage.problems, index, wrong) in ("wrong", "unread")
        assert why_rejected(stage.problems, index, right.removeprefix("\nThat is wrong. ")) is None


def test_an_answer_that_corrects_itself_is_learnt_but_for_its_wrong_attempt(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    """What is learnt behind a wrong answer is a correction; right answers are as they were."""
    arm, stage = arms["attempted"], source_of(arms["attempted"])
    assert arm.adapter is not None
    samples = kept_samples(artifact_of(runs, arm.adapter.samples), artifact_of(runs, stage))
    found, learnt = rollouts(runs, arm), samples.step.tolist()
    tokenizer = load_tokenizer(stage.expert)
    corrected = {each.completion_ids for each in rollouts(runs, arms["corrected"])}
    written = {
        (each.problem_id, each.sample): each
        for each in read_rollouts(parquet_files(artifact_of(runs, stage.source)))
    }
    wrong = 0
    for number, rollout in enumerate(found):
        first = next(step for step, of in zip(learnt, samples.rollout, strict=True) if of == number)
        own = written[rollout.problem_id, rollout.sample]
        assert rollout.prompt_ids == own.prompt_ids
        assert (samples.rollout == number).sum() == rollout.steps - first
        if first == 0:
            assert rollout == own
            continue
        wrong += 1
        assert rollout.completion_ids[:first] == own.completion_ids[:-1]
        assert rollout.completion_ids[first:] in corrected
        assert why_rejected(
            stage.problems,
            stage.problems.ids.index(rollout.problem_id),
            tokenizer.decode(own.completion_ids[:-1]),
        )
    assert 0 < wrong < len(found)
    (_, attempts) = arm.adapter.samples.continued[0]
    assert artifact_of(runs, attempts).statistics == {
        "attempts": len(found) + wrong,
        "failed_attempts": wrong,
    }


def test_records_name_every_stage_and_count_what_was_written_once(runs: Path, tmp_path: Path) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    assert list(records["mixed"].stages) == ["written", "rollouts", "mixed", "samples", "train"]
    assert list(records["agreed"].stages) == ["written", "agreed", "samples", "train"]
    # Both parts are of one artifact.
    assert list(records["both"].stages) == ["reference", "shaped", "mixed", "samples", "train"]
    assert list(records["shorter"].stages) == ["written", "shortenings", "shaped", "samples", "train"]
    assert list(records["attempted"].stages) == ["written", "shaped", "attempts", "samples", "train"]
    assert records["mixed"].costs.sampled_problems == 2 * PROBLEMS
    # What is tried counts, and asks no problem anew.
    told, tried = records["told"], records["shorter"].statistics["continued_tokens"]
    assert records["shorter"].costs.sampled_tokens == told.costs.sampled_tokens + tried > 0
    assert records["shorter"].costs.sampled_problems == told.costs.sampled_problems
    used = ArmsInUse(records.values())
    labels = {name: used.of(record, ()).labels for name, record in records.items()}
    assert not any(labels[name] for name in ("mixed", "own_way", "agreed", "pruned", "shorter", "long"))
    assert all(labels[name] for name in ("given", "same", "sums", "short", "corrected", "attempted", "both"))
    assert used.of(records["agreed"], ()).other_models == ("teacher", "twin")
    assert records["to_the_end"].amateur == "embedded/amateur"
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()


def test_who_cannot_go_on_and_what_has_no_such_shape_is_told(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    def told(**source: Any) -> str:
        (failure,) = run_recipe(by_writer(make_recipe, [learning("a", **source)]), tmp_path).failures
        return str(failure)

    assert "none of the rollouts could be made into `longer than 99`: too short (6)" in told(
        writer="data", shape={"longer_than": 99}
    )
    with pytest.raises(ModelError, match="foreign has other tokens than embedded/expert"):
        run_recipe(by_writer(make_recipe, [learning("a", **OWN, check={"agree_with": "foreign"})]), tmp_path)
