"""Rollouts that the model in training writes again: what stays the same, what is read, and a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord
from lrbench.store.artifact import Artifact
from tests.pipeline.running import artifact_of
from tests.pipeline.test_online import Killed, commits

MakeRecipe = Callable[..., Recipe]

# Eight problems of which an update takes four: two updates are an epoch.
SECTIONS: dict[str, Any] = {
    "data": {"train": "embedded/multi_step", "problems": 8},
    "divergence": {"beta": 0.0, "alpha_min": 0.001},
    "sampling": {"max_new_tokens": 8},
    "training": {"updates": 4, "rollouts_per_update": 4, "learning_rate": 1e-3},
    "evaluation": {"suite": "embedded7", "benchmarks": ["hard"], "limit": 1},
}


EARLIER_SELF = {"use": "contrast", "of": "own", "minus": "own:earlier"}


def arm(name: str, **words: Any) -> dict[str, Any]:
    return {"name": name, "like": "lightr", "selector": "all", "target": "contrast", **words}


def weights(runs: Path, recipe: Recipe) -> dict[str, bytes]:
    """The adapter of every arm."""
    found = {}
    for planned in plan_recipe(recipe, runs).arms:
        if planned.adapter is not None:
            made = artifact_of(runs, planned.adapter)
            found[planned.arm.name] = made.file("adapter_model.safetensors").read_bytes()
    return found


def records(runs: Path) -> dict[str, ArmRecord]:
    return {record.arm: record for record in Ledger(runs / "ledger").read().arms}


def run(make_recipe: MakeRecipe, runs: Path, *arms: Any, **sections: Any) -> Recipe:
    recipe = make_recipe(arms=list(arms), **(SECTIONS | sections))
    assert not run_recipe(recipe, runs).failures
    return recipe


def test_what_is_written_once_is_the_arm_with_stored_rollouts_byte_for_byte(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    soft = {"target": {"use": "soft", "of": "expert"}}
    recipe = run(
        make_recipe,
        tmp_path,
        arm("stored"),
        arm("once", objective={"online": 4}),
        arm("again", objective={"online": 2}),
        arm("soft", **soft, objective={"divergence": "js", "temperature": 2.0}),
        arm("soft_once", **soft, objective={"divergence": "js", "temperature": 2.0, "online": 9}),
    )
    found = weights(tmp_path, recipe)
    assert found["once"] == found["stored"]
    assert found["soft_once"] == found["soft"]
    assert found["again"] != found["stored"]
    stored, anew, again = (records(tmp_path)[name] for name in ("stored", "once", "again"))
    for name in ("updates", "tuned_tokens", "trained_steps", "learnt_problems", "sampled_problems"):
        assert getattr(anew.costs, name) == getattr(stored.costs, name), name
    assert anew.costs.sampled_tokens == stored.costs.sampled_tokens
    assert anew.curves["loss"] == stored.curves["loss"]
    assert (again.costs.sampled_problems, again.costs.drawn_problems) == (8, 2 * 8)
    assert [update for update, _ in again.curves["written_tokens"]] == [0, 2]
    assert again.costs.sampled_tokens == sum(count for _, count in again.curves["written_tokens"])
    assert again.statistics["rewritings"] == 2
    assert list(again.stages) == ["train"]


def test_the_temperatures_of_writing_and_of_the_divergence_are_told_apart(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    both = [(written, tempered) for written in (1.0, 0.5) for tempered in (1.0, 0.5)]
    arms = [
        arm(
            f"arm{place}",
            source={"writer": "expert", "temperature": written},
            target={"use": "soft", "of": "amateur"},
            objective={"divergence": "reverse", "temperature": tempered, "online": 1},
        )
        for place, (written, tempered) in enumerate(both)
    ]
    plan = plan_recipe(make_recipe(arms=arms, **SECTIONS), tmp_path)
    assert len({planned.model for planned in plan.arms}) == len(both)


def test_a_teacher_that_is_the_student_has_nothing_to_teach_and_the_amateur_may_move(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    everything = {"beta": 0.0, "alpha_min": 0.0001, "alpha": 0.0001}
    own = {"use": "soft", "of": "own"}
    recipe = run(
        make_recipe,
        tmp_path,
        arm("itself", target=own, objective={"online": 1}),
        arm("reverse", target=own, objective={"divergence": "reverse", "online": 1}),
        arm("expert", target={"use": "soft", "of": "expert"}, objective={"online": 1}),
        # At first the earlier self is the model itself, so that all plausible tokens are as good.
        arm("earlier", target=EARLIER_SELF, objective={"online": 2}),
        arm("refreshed", target={**EARLIER_SELF, "minus": "amateur"}, objective={"online": 2}),
        arm("frozen", objective={"online": 2}),
        divergence=everything,
        training=SECTIONS["training"] | {"lora": {"dropout": 0.0}},
    )
    curves = {name: record.curves for name, record in records(tmp_path).items()}
    # But for what is not stored of it, and that is a thousandth.
    usual = curves["frozen"]["gradient_norm"][0][1]
    for _, norm in [*curves["itself"]["gradient_norm"], curves["expert"]["gradient_norm"][0]]:
        assert norm < 0.05 * usual
    assert max(value for _, value in curves["itself"]["loss"]) < 2e-3
    # What is not stored is one outcome more here, on which both agree.
    assert max(value for _, value in curves["reverse"]["loss"]) < 1e-6
    assert max(norm for _, norm in curves["reverse"]["gradient_norm"]) < 1e-4 * usual
    found = weights(tmp_path, recipe)
    assert len({found["earlier"], found["refreshed"], found["frozen"]}) == 3
    # Before anything is learnt the refreshed expert is the expert.
    first = [curves[name]["loss"][:2] for name in ("refreshed", "frozen")]
    assert first[0] == first[1]


def test_a_kill_at_any_commit_ends_with_the_same_bytes_and_writes_nothing_twice(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    moving = arm(
        "a", target={"use": "contrast", "of": "own", "minus": "own:earlier"}, objective={"online": 3}
    )
    recipe = make_recipe(
        arms=[moving],
        **SECTIONS | {"training": SECTIONS["training"] | {"updates": 8}},
        runtime={"updates_between_saves": 2},
    )
    with pytest.MonkeyPatch.context() as patch:
        names = commits(patch)
        assert not run_recipe(recipe, tmp_path / "whole").failures
    expected = adapter(recipe, tmp_path / "whole").content_hash
    # In the midst of what is written for update 3, and after the save at 4, from which that is read again.
    saves = [place for place, name in enumerate(names) if name == "save.safetensors"]
    for place in (names.index("written-000003.steps.parquet"), saves[1] + 1):
        runs = tmp_path / f"killed-{place}"
        with pytest.MonkeyPatch.context() as patch:
            before = commits(patch, end_before=place)
            with pytest.raises(Killed):
                run_recipe(recipe, runs)
        with pytest.MonkeyPatch.context() as patch:
            after = commits(patch)
            assert not run_recipe(recipe, runs).failures
        assert adapter(recipe, runs).content_hash == expected
        written = [name for name in (*before, *after) if name.endswith(".steps.parquet")]
        assert len(written) == len(set(written)) == 3


def adapter(recipe: Recipe, runs: Path) -> Artifact:
    (planned,) = plan_recipe(recipe, runs).arms
    assert planned.adapter is not None
    return artifact_of(runs, planned.adapter)


def test_what_was_written_and_is_damaged_is_written_again_from_the_beginning(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(
        arms=[arm("a", objective={"online": 3})],
        **SECTIONS | {"training": SECTIONS["training"] | {"updates": 6}},
        runtime={"updates_between_saves": 2},
    )
    with pytest.MonkeyPatch.context() as patch:
        names = commits(patch)
        assert not run_recipe(recipe, tmp_path / "whole").failures
    expected = adapter(recipe, tmp_path / "whole").content_hash
    # A save in the midst of the rollouts that are torn, and one behind them, which has learnt from them.
    first, second = (place for place, name in enumerate(names) if name == "save.safetensors")
    for save, torn in ((first, "steps.parquet"), (second, "json")):
        runs = tmp_path / torn
        with pytest.MonkeyPatch.context() as patch:
            commits(patch, end_before=save + 1)
            with pytest.raises(Killed):
                run_recipe(recipe, runs)
        (written,) = runs.rglob(f"written-000000.{torn}")
        written.write_bytes(b"torn")
        assert not run_recipe(recipe, runs).failures
        assert adapter(recipe, runs).content_hash == expected


def test_other_writers_words_and_a_bundle(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    sampled = {"writer": "expert", "temperature": 1.0, "samples": 2, "max_new_tokens": 6}
    run(
        make_recipe,
        tmp_path / "runs",
        arm("sampled", source=sampled, objective={"online": 1}, target="own_token"),
        arm("taught", target={"use": "soft", "of": "teacher"}, objective={"online": 2}),
        models={"teacher": {"model": str(make_recipe().pair.amateur.model)}},  # type: ignore[union-attr]
    )
    found = records(tmp_path / "runs")["sampled"]
    assert (found.costs.sampled_problems, found.costs.drawn_problems) == (8, 16)
    assert found.statistics["sampled_completions"] == 32
    write_bundle(["tiny"], tmp_path / "runs", tmp_path / "b.tar.gz")
    assert verify_bundle(tmp_path / "b.tar.gz").findings == ()


def test_where_no_step_is_kept_it_is_said(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        arms=[{"name": "a", "like": "lightr", "divergence": {"beta": 90.0}, "objective": {"online": 2}}],
        **SECTIONS,
    )
    (failure,) = run_recipe(recipe, tmp_path).failures
    assert "of 16 rollouts that the model in training wrote no step was kept" in str(failure)
