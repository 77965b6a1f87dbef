"""Planning with models and data that are not on this machine: nothing is fetched, and all is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import DataError, ModelError
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.showing import show_plan
from lrbench.recipe.schema import Recipe

ABSENT: dict[str, Any] = {
    "pair": {"expert": {"model": "nobody/expert-1.5B"}, "amateur": {"model": "nobody/amateur-0.5B"}},
    "data": {"train": "gsm8k/train", "problems": 40, "held_out": 8},
    "arms": ["base", "sft", "lightr"],
    "evaluation": {"suite": "math7"},
}


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches and no network."""
    import huggingface_hub.constants

    monkeypatch.delenv("LRBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def expected(make_recipe: Callable[..., Recipe], tmp_path: Path) -> Callable[..., Plan]:
    return lambda **sections: plan_recipe(make_recipe(**ABSENT | sections), tmp_path / "runs", fetch=False)


@pytest.mark.usefixtures("nothing_here")
def test_a_plan_with_nothing_here_has_every_stage_with_its_size(expected: Callable[..., Plan]) -> None:
    plan = expected()
    assert {stage.name for stage in plan.stages} == {
        "rollouts", "solutions", "reference", "scores", "samples", "train", "evaluate",
    }  # fmt: skip
    assert {score.benchmark: score.size for score in plan.arms[0].scores}["gsm8k"] == 1319
    assert sum(stage.most_tokens for stage in plan.stages if stage.name == "rollouts") == 40 * 12
    assert plan.absent[:3] == (
        "the model nobody/expert-1.5B",
        "the model nobody/amateur-0.5B",
        "the data set gsm8k_train",
    )
    assert len(plan.absent) == 2 + 8


@pytest.mark.usefixtures("nothing_here")
def test_what_is_absent_is_said_with_the_plan(
    expected: Callable[..., Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(expected(), tmp_path / "runs")
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Not here yet, a run fetches first: the model nobody/expert-1.5B, the model nobody/amateur-0.5B"
        in said
    )


@pytest.mark.usefixtures("nothing_here")
def test_a_run_is_strict_about_what_is_absent(make_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nobody/expert-1\.5B: cannot be fetched"):
        plan_recipe(make_recipe(**ABSENT), tmp_path)
    with pytest.raises(DataError, match="gsm8k_test is not on this machine"):
        plan_recipe(make_recipe(evaluation={"suite": "math7"}), tmp_path)


@pytest.mark.usefixtures("nothing_here")
def test_different_absent_things_have_different_keys(expected: Callable[..., Plan]) -> None:
    def keys(**sections: Any) -> set[str]:
        return {stage.key for stage in expected(**sections).stages}

    pair = ABSENT["pair"]
    revised = pair | {"expert": pair["expert"] | {"revision": "v2"}}
    assert not keys() & keys(pair=revised)
    assert keys() != keys(data=ABSENT["data"] | {"selection": "sample"})
    assert keys() != keys(evaluation={"suite": "math7", "limit": 3})


@pytest.mark.usefixtures("nothing_here")
def test_more_problems_than_an_absent_set_has_are_told(expected: Callable[..., Plan]) -> None:
    with pytest.raises(DataError, match="has 7473 problems"):
        expected(data={"train": "gsm8k/train", "problems": 8000})


def test_with_everything_here_both_kinds_of_plan_are_one(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(arms=["base", "sft", "lightr"], seeds=[0, 1])
    keys = [[stage.key for stage in plan_recipe(recipe, tmp_path, fetch).stages] for fetch in (True, False)]
    assert keys[0] == keys[1]


def test_whole_public_benchmarks_have_their_final_keys_before_they_are_here(
    make_recipe: Callable[..., Recipe], tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(
        arms=["base"], evaluation={"suite": "math7", "benchmarks": ["svamp", "minerva_math"]}
    )
    monkeypatch.setenv("LRBENCH_DATA", str(shared / "data"))
    here = [stage.key for stage in plan_recipe(recipe, tmp_path).stages]
    monkeypatch.setenv("LRBENCH_DATA", str(tmp_path))
    assert [stage.key for stage in plan_recipe(recipe, tmp_path, fetch=False).stages] == here


def test_many_variants_are_told_in_few_lines(
    make_recipe: Callable[..., Recipe],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    recipe = make_recipe(seeds=[0, 1, 2], sweep={"grid": {"divergence.beta": [0.2, 0.4]}})
    show_plan(plan_recipe(recipe, tmp_path), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 variants: 3 seeds x 2 points (divergence.beta 0.2, 0.4)"
    said = " ".join(" ".join(lines).split())
    assert "adapter of lightr (6 updates) x 6" in said
    assert re.search(r"lightr on embedded7 \(\d x \d+ items\) x 6 to run", said)
    assert "on choice" not in said
    show_plan(plan_recipe(recipe, tmp_path), tmp_path, each=True)
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"lightr on choice \(\d+ items\) x 6 to run", said)
    assert re.search(r"base on choice \(\d+ items\) to run .* GiB [0-9a-f]{8} ", said)


def test_long_names_of_stages_leave_room_for_what_is_made(
    make_recipe: Callable[..., Recipe],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = plan_recipe(make_recipe(arms=["base", "cft", "dpo"]), tmp_path)
    assert {"reference_log_p", "continuations"} <= {stage.name for stage in plan.stages}
    monkeypatch.setenv("COLUMNS", "80")
    show_plan(plan, tmp_path)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0].index("state") - lines[0].index("what") >= 28
    assert "memory" not in lines[0]
    assert any(re.search(r"<= \d+\.\d M", line) for line in lines)
    first = next(place for place, line in enumerate(lines) if line.startswith("reference_ "))
    assert lines[first + 1].startswith("log_p ")
    assert "adapter of dpo" in "\n".join(lines)
    monkeypatch.setenv("COLUMNS", "200")
    show_plan(plan, tmp_path)
    assert "\nreference_log_p   how likely paired answers are before training " in capsys.readouterr().out
