"""Any model writes what an arm learns from; what is the same in other words is the same work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.embedded.assets import model_folder
from lrbench.models.loading import load_tokenizer
from lrbench.pipeline.doctor import examine
from lrbench.pipeline.plan import ArmPlan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.stages.rollouts import parquet_files
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.uses import ArmsInUse
from lrbench.sampling.rollouts import Rollout, read_rollouts
from tests.pipeline.running import artifact_of

PROBLEMS = 6
SAMPLING: dict[str, Any] = {
    "max_new_tokens": 48,
    "solutions": {"samples_per_problem": 2, "max_new_tokens": 48},
}


def learning(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "like": "neither", "source": source}


def by_writer(make_recipe: Callable[..., Recipe], arms: list[Any], **sections: Any) -> Recipe:
    """A recipe in the embedded world, whose writers are models that it names."""
    fields: dict[str, Any] = {
        "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
        "models": {
            # The expert again, by another path, so that another process of loading has it.
            "twin": {"model": str(model_folder("expert"))},
            "teacher": {"model": "embedded/careful"},
            "foreign": {"model": "embedded/foreign"},
            "verbose": {"model": "embedded/verbose"},
        },
        "data": {"train": "embedded/one_step", "problems": PROBLEMS},
        "sampling": SAMPLING,
        "training": {"updates": 1, "rollouts_per_update": 4},
        "evaluation": {"suite": "embedded7", "benchmarks": ["one_step"], "limit": 2},
    }
    return make_recipe(arms=arms, **fields | sections)


def source_keys(
    make_recipe: Callable[..., Recipe], runs: Path, arms: list[Any], **sections: Any
) -> list[str]:
    """The key of each arm's rollouts, in the order of the arms."""
    planned = {arm.arm.name: arm for arm in plan_recipe(by_writer(make_recipe, arms, **sections), runs).arms}
    names = [arm if isinstance(arm, str) else arm["name"] for arm in arms]
    return [source_of(planned[name]).key for name in names]


def source_of(arm: ArmPlan) -> Any:
    assert arm.adapter is not None
    return arm.adapter.samples.rollouts


def rollouts(runs: Path, arm: ArmPlan) -> list[Rollout]:
    return read_rollouts(parquet_files(artifact_of(runs, source_of(arm))))


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return by_writer(
        make_recipe,
        [
            "neither",
            learning("again", writer="expert", temperature=0),
            learning("weak", writer="amateur", temperature=0),
            learning("twins", writer="twin", temperature=0),
            learning("taught", writer="teacher", check="right"),
            learning("wrongs", writer="teacher", check="wrong", temperature=3.0),
            learning("nucleus", writer="expert", samples=1, temperature=2.0, top_p=0.5),
            learning("told", writer="foreign", temperature=0, problems=3),
            learning("pupil", writer="arm:taught", samples=1),
            learning("rsd", writer="teacher", samples=1, accept={"above": 0.01, "top": 20}),
            learning("free", writer="teacher", samples=1, accept={"above": 0}),
            learning("unjudged", writer="teacher", samples=1),
            # So little that it stays what it begins as.
            {"name": "then", "like": "neither", "start": "taught", "training": {"learning_rate": 1e-12}},
            # And enough to be an adapter that changes anything at all, which it has to be.
            {"name": "still", "like": "neither", "training": {"learning_rate": 1e-6}},
            learning("solved", writer="expert", check="right"),
            learning("redistilled", writer="arm:still", check="right"),
        ],
    )


def test_the_expert_as_writer_is_what_its_own_words_are(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    sft, own, greedy, likeliest = source_keys(
        make_recipe,
        tmp_path,
        [
            "sft",
            {"name": "kd", "like": "sft", "source": {"writer": "expert", "samples": 3, "check": "right"}},
            "lightr",
            {"name": "other", "like": "lightr", "source": {"writer": "expert", "temperature": 0}},
        ],
        sampling={"solutions": {"samples_per_problem": 3}},
    )
    assert own == sft
    assert likeliest == greedy


def test_a_prompt_that_is_not_forgotten_is_the_recipe_s_own(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    asked = {"writer": "expert", "temperature": 0, "system_prompt": "Think."}
    kept, not_forgotten, forgotten = source_keys(
        make_recipe,
        tmp_path,
        [
            learning("kept", **asked),
            learning("not_forgotten", **asked, forget_prompt=False),
            learning("forgotten", **asked, forget_prompt=True),
        ],
    )
    (own,) = source_keys(make_recipe, tmp_path, ["neither"], sampling=SAMPLING | {"system_prompt": "Think."})
    (short,) = source_keys(make_recipe, tmp_path, ["neither"], sampling=SAMPLING | {"max_new_tokens": 9})
    (limited,) = source_keys(
        make_recipe, tmp_path, [learning("own", writer="expert", temperature=0, max_new_tokens=9)]
    )
    (few,) = source_keys(
        make_recipe, tmp_path, ["neither"], data={"train": "embedded/one_step", "problems": 2}
    )
    (first,) = source_keys(
        make_recipe, tmp_path, [learning("first", writer="expert", temperature=0, problems=2)]
    )
    assert kept == not_forgotten == own != forgotten
    assert limited == short
    assert few == first


def test_every_setting_of_a_writer_decides_what_is_written(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    own = {"writer": "teacher", "check": "any"}
    others: list[dict[str, Any]] = [
        {"writer": "twin"},
        {"samples": 5},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"max_new_tokens": 7},
        {"check": "right"},
        {"check": "wrong"},
        {"system_prompt": "Think."},
        {"system_prompt": "Think.", "forget_prompt": True},
        {"problems": 2},
        {"accept": {"above": 0.01}},
        {"accept": {"above": 0.01, "top": 20}},
        {"accept": {"above": 0.01, "tries": 2}},
        {"accept": {"above": 0.01, "by": "amateur"}},
    ]
    arms = [learning(f"arm{place}", **own | other) for place, other in enumerate([{}, *others])]
    keys = source_keys(make_recipe, tmp_path, arms)
    assert len(set(keys)) == len(keys)
    assert source_keys(make_recipe, tmp_path, arms[:1], seed=1) != keys[:1]
    # All of the chance is what is drawn from anyway.
    assert source_keys(make_recipe, tmp_path, [learning("whole", **own, top_p=1)]) == keys[:1]
    greedy = learning("greedy", **own, temperature=0)
    assert source_keys(make_recipe, tmp_path, [greedy], seed=1) == source_keys(
        make_recipe, tmp_path, [greedy]
    )


def test_who_writes_and_who_accepts_are_told_apart_where_an_arm_s_adapter_is_one_of_them(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    first, second, expert = "arm:neither", "arm:lightr", "expert"
    hands = [(first, expert), (expert, first), (first, first), (first, second), (second, first)]
    arms = [
        learning(f"arm{place}", writer=writer, samples=1, accept={"by": judge, "above": 0.01})
        for place, (writer, judge) in enumerate(hands)
    ]
    keys = source_keys(make_recipe, tmp_path, ["neither", "lightr", *arms])[2:]
    assert len(set(keys)) == len(hands)


def test_a_writer_that_is_the_expert_writes_what_the_expert_does(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    """Weak-to-strong with the expert as its own amateur is greedy self-training."""
    assert arms["again"].model == arms["neither"].model
    assert source_of(arms["twins"]).key != source_of(arms["neither"]).key
    assert rollouts(runs, arms["twins"]) == rollouts(runs, arms["neither"])
    assert rollouts(runs, arms["weak"]) != rollouts(runs, arms["neither"])


def test_identity_25_an_arm_that_has_learnt_nothing_writes_the_solutions_of_the_expert(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    """Re-distillation from it is learning from one's own right answers, as `sft` does."""
    assert source_of(arms["solved"]).name == "solutions"
    assert source_of(arms["redistilled"]).key != source_of(arms["solved"]).key
    assert rollouts(runs, arms["redistilled"]) == rollouts(runs, arms["solved"])


def test_a_judge_that_takes_everything_leaves_what_the_writer_writes_alone(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    assert rollouts(runs, arms["free"]) == rollouts(runs, arms["unjudged"])
    assert source_of(arms["free"]).key != source_of(arms["unjudged"]).key
    statistics = artifact_of(runs, source_of(arms["rsd"])).statistics
    assert set(statistics["tokens_by"]) <= {"drawing", "judging"}
    assert sum(statistics["tokens_by"].values()) == statistics["sampled_tokens"]


def test_what_is_drawn_with_top_p_is_among_the_likeliest(runs: Path, arms: dict[str, ArmPlan]) -> None:
    """The model reads it again: what is likelier than a token never holds as much of the chance."""
    import torch

    from lrbench.models.loading import load_model

    stage = source_of(arms["nucleus"])
    model = load_model(stage.expert, torch.device("cpu"))
    held = []
    for rollout in rollouts(runs, arms["nucleus"]):
        with torch.no_grad():
            logits = model(torch.tensor([rollout.token_ids])).logits[0, len(rollout.prompt_ids) - 1 : -1]
        for chance, token in zip((logits.float() / 2.0).softmax(-1), rollout.completion_ids, strict=True):
            held.append(float(chance[chance > chance[token]].sum()))
    assert 0 < max(held) < 0.5 + 1e-4


def test_what_is_kept_is_right_or_wrong_as_asked(runs: Path, arms: dict[str, ArmPlan]) -> None:
    from lrbench.sampling.judging import why_rejected

    for name, is_right in (("taught", True), ("wrongs", False)):
        stage = source_of(arms[name])
        tokenizer = load_tokenizer(stage.expert)
        found = rollouts(runs, arms[name])
        assert found
        for rollout in found:
            index = stage.problems.ids.index(rollout.problem_id)
            rejection = why_rejected(stage.problems, index, tokenizer.decode(rollout.completion_ids[:-1]))
            assert (rejection is None) == is_right
        statistics = artifact_of(runs, stage).statistics
        assert statistics["sampled_solutions"] == 2 * PROBLEMS
        assert statistics["became"]["kept"] == statistics["rollouts"] == len(found)
        assert statistics["sampled_tokens"] >= statistics["tokens"]


def test_a_writer_with_other_tokens_is_read_as_text(runs: Path, arms: dict[str, ArmPlan]) -> None:
    """What it wrote is there letter for letter, in the expert's tokens, behind the expert's own prompt."""
    import torch

    from lrbench.models.loading import load_model
    from lrbench.models.prompt import render_prompt
    from lrbench.models.turn_marks import turn_marks

    stage = source_of(arms["told"])
    expert, foreign = load_tokenizer(stage.expert), load_tokenizer(stage.writer.model)
    assert expert.get_vocab() != foreign.get_vocab()
    found = rollouts(runs, arms["told"])
    assert [rollout.problem_id for rollout in found] == stage.problems.ids[:3]
    prompts = {rollout.problem_id: rollout.prompt_ids for rollout in rollouts(runs, arms["neither"])}
    assert all(rollout.prompt_ids == prompts[rollout.problem_id] for rollout in found)
    model, stops = load_model(stage.writer.model, torch.device("cpu")), turn_marks(stage.writer.model).stops
    for rollout in found:
        index = stage.problems.ids.index(rollout.problem_id)
        ids = torch.tensor([render_prompt(foreign, stage.problems.texts[index], None)])
        written = model.generate(ids, max_new_tokens=48, do_sample=False, eos_token_id=list(stops))
        text = foreign.decode(written[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
        assert expert.decode(rollout.completion_ids, skip_special_tokens=True) == text


def test_an_adapter_begins_as_that_of_the_arm_it_starts_from(runs: Path, arms: dict[str, ArmPlan]) -> None:
    import torch
    from safetensors.torch import load_file

    first, then, plain = (arms[name].adapter for name in ("taught", "then", "neither"))
    assert first is not None
    assert then is not None
    assert plain is not None
    assert then.inputs["start"].key == first.key
    assert "start" not in plain.inputs
    weights, begun = (
        load_file(artifact_of(runs, stage).file("adapter_model.safetensors")) for stage in (first, then)
    )
    assert weights.keys() == begun.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(begun[name], tensor, rtol=0, atol=1e-9)
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    uses = ArmsInUse(records.values()).of(records["then"], ())
    assert (uses.labels, uses.other_models, uses.arms) == (True, ("teacher",), ("taught",))


def test_records_say_who_wrote_what_it_took_and_whether_labels_were_used(
    runs: Path, arms: dict[str, ArmPlan]
) -> None:
    records = {record.arm: record for record in Ledger(runs / "ledger").read().arms}
    used = ArmsInUse(records.values())
    uses = {name: used.of(record, ()) for name, record in records.items()}
    assert [uses[name].labels for name in ("weak", "taught", "wrongs", "told", "pupil")] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert uses["taught"].other_models == uses["pupil"].other_models == ("teacher",)
    assert uses["pupil"].arms == ("taught",)
    taught = records["taught"].costs
    assert (taught.sampled_problems, records["told"].costs.sampled_problems) == (PROBLEMS, 3)
    statistics = artifact_of(runs, source_of(arms["taught"])).statistics
    assert taught.sampled_tokens == statistics["sampled_tokens"]
    together = used.costs(records["pupil"])
    assert together is not None
    assert together.sampled_tokens == taught.sampled_tokens + records["pupil"].costs.sampled_tokens
    assert records["taught"].amateur is None
    assert records["weak"].amateur == "embedded/amateur"


def test_a_bundle_of_writers_is_verified_and_doctor_finds_nothing_wrong(runs: Path, tmp_path: Path) -> None:
    write_bundle(["tiny"], runs, tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()
    assert not [
        finding
        for finding in examine(runs)
        if not finding.well and finding.text.startswith(("store", "ledger"))
    ]


def test_garbage_for_answers_changes_nothing_of_arms_that_check_nothing(
    recipe: Recipe, runs: Path, arms: dict[str, ArmPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrbench.sampling.problems import Problems

    monkeypatch.setattr(Problems, "answers_hash", "garbage")
    again = {arm.arm.name: arm for arm in plan_recipe(recipe, runs).arms}
    same = {name for name, arm in again.items() if source_of(arm).key == source_of(arms[name]).key}
    assert same == arms.keys() - {"taught", "wrongs", "pupil", "solved", "redistilled"}


def test_where_no_answer_is_kept_it_is_said_what_became_of_them(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = by_writer(
        make_recipe, [learning("none", writer="teacher", check="right", temperature=0, max_new_tokens=1)]
    )
    (failure,) = run_recipe(recipe, tmp_path).failures
    assert "none was kept (right answers are): 6 had not ended after 1 tokens" in str(failure)
