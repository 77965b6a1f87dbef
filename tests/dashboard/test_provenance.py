"""The provenance page: recipe, command, stages and hashes; broken ones shown as broken, all else as text."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lrbench_dashboard.provenance_view import LONGEST_CODE, code_text, difference, downloaded, size_text
from streamlit.testing.v1 import AppTest

from lrbench.recipe.moving import runs_anywhere
from lrbench.results.ledger import Ledger
from lrbench.results.records import ArmRecord, RecipeRecord
from lrbench.store.keys import FileHashes
from tests.dashboard.made_up import HOSTILE, MEGABYTE, write_runs

OpenPage = Callable[..., AppTest]


def bodies(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def codes(app: AppTest) -> str:
    return "\n".join(element.value for element in app.code)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path, seeds=(0, 1))
    return tmp_path


def arms_of(runs: Path) -> list[ArmRecord]:
    return [arm for arm in Ledger(runs / "ledger").read().arms if arm.stages]


def test_it_shows_the_recipe_the_stages_and_how_to_find_and_make_it_again(
    runs: Path, open_page: OpenPage
) -> None:
    arm = arms_of(runs)[0]
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert not app.exception
    assert arm.recipe_yaml.strip() in codes(app)
    assert "lrbench run resolved.yaml" in codes(app)
    assert f"tags.`lrbench.arm_id` = '{arm.arm_id}'" in codes(app)
    shown = bodies(app)
    for key in arm.stages.values():
        assert key in shown
    assert "3.11.2" in shown
    assert "not recorded" in shown


def test_mlflow_is_looked_for_where_it_is(
    runs: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = arms_of(runs)[0]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert f"lrbench mlflow --runs {runs}" in codes(app)
    assert f"lrbench rebuild --runs {runs}<" in bodies(app)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example:8443")
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert "lrbench mlflow" not in codes(app)
    assert "It is served at <code>https://***@mlflow.example:8443</code>" in bodies(app)
    assert "secret" not in bodies(app)


def test_the_command_is_the_recipes_own_where_it_is_known(runs: Path, open_page: OpenPage) -> None:
    arm = arms_of(runs)[0]
    Ledger(runs / "ledger").append(
        [
            RecipeRecord(
                recipe=arm.recipe,
                recipe_hash=arm.recipe_hash,
                recipe_yaml=arm.recipe_yaml,
                arm_ids=(arm.arm_id,),
                claims=(),
                command="lrbench run recipes/mine.yaml seed=0",
                recorded_at=arm.recorded_at,
            )
        ]
    )
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert f"lrbench run recipes/mine.yaml seed=0 --runs {runs}" in codes(app)
    assert "lrbench run resolved.yaml" not in codes(app)


def test_a_downloaded_recipe_says_what_it_is_and_has_its_paths_made_absolute(
    tmp_path: Path, open_page: OpenPage
) -> None:
    write_runs(tmp_path / "runs", written="data: {train: mine.jsonl}\nmodels: {peer: {model: ./lost}}\n")
    (tmp_path / "mine.jsonl").write_text("")
    arm = arms_of(tmp_path / "runs")[0]
    app = open_page(tmp_path / "runs", "provenance", arm=arm.arm_id)
    assert "Its paths are made absolute" in bodies(app)
    assert "Not found here: models.peer.model (./lost)" in bodies(app)
    moved = runs_anywhere(arm.recipe_yaml, (tmp_path,))
    text = downloaded(arm, moved)
    assert text.startswith("# lightr of lightr, as resolved when it was made")
    assert f"train: {tmp_path / 'mine.jsonl'}\n" in text
    assert "# Not found here: models.peer.model, ./lost." in text
    assert yaml.safe_load(text) == yaml.safe_load(moved.text)
    # What is recorded is shown as it is.
    assert "mine.jsonl" in codes(app)
    assert str(tmp_path / "mine.jsonl") not in codes(app)


def test_the_commit_is_shown_where_it_was_recorded(tmp_path: Path, open_page: OpenPage) -> None:
    write_runs(tmp_path)
    arm = arms_of(tmp_path)[0]
    commit = "0123456789abcdef0123456789abcdef01234567+changes"
    made = arm.model_copy(update={"arm_id": "made", "environment": {"commit": commit}})
    Ledger(tmp_path / "ledger").append([made])
    assert commit in bodies(open_page(tmp_path, "provenance", arm="made"))


def test_two_recipes_are_set_against_each_other(runs: Path, open_page: OpenPage) -> None:
    first, second = arms_of(runs)
    app = open_page(runs, "provenance", arm=second.arm_id, other=first.arm_id)
    assert "-seed: 0\n+seed: 1" in codes(app)


def test_nothing_is_hashed_before_it_is_asked_for(
    runs: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = arms_of(runs)[0]
    curves = runs / "store" / "train" / arm.stages["train"] / "curves.json"
    curves.write_text("[]")
    asked: list[Path] = []
    real = FileHashes.sha256
    monkeypatch.setattr(FileHashes, "sha256", lambda self, path: asked.append(path) or real(self, path))
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert asked == []
    assert "▲ damaged" not in bodies(app)
    next(button for button in app.button if button.label.startswith("Verify every byte")).click().run()
    assert asked
    assert "the content of curves.json has changed" in bodies(app)
    assert "Not everything is there as it was made" in bodies(app)


def test_missing_stages_are_shown_as_missing(runs: Path, open_page: OpenPage) -> None:
    shutil.rmtree(runs / "store" / "scores")
    app = open_page(runs, "provenance", arm=arms_of(runs)[0].arm_id)
    assert not app.exception
    assert "○ missing" in bodies(app)


def test_a_result_without_a_record_of_its_making_is_told_of(runs: Path, open_page: OpenPage) -> None:
    arm = arms_of(runs)[0]
    (runs / "ledger" / "arms.jsonl").unlink()
    app = open_page(runs, "provenance", arm=arm.arm_id)
    assert not app.exception
    assert "no readable record of how it was made" in bodies(app)
    assert "evaluate chain" in bodies(app)


def test_one_stage_in_full_says_what_decides_its_key(runs: Path, open_page: OpenPage) -> None:
    arm = arms_of(runs)[0]
    app = open_page(runs, "provenance", arm=arm.arm_id, stage="samples")
    assert '"selector": "kl"' in codes(app)
    assert "steps.parquet" in bodies(app)
    assert arm.stages["scores"] in codes(app)


def test_hostile_records_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    for folder, names in (("hostile", " ".join(HOSTILE)), ("long", MEGABYTE)):
        runs = tmp_path / folder
        write_runs(runs, names=names)
        arm = arms_of(runs)[0]
        app = open_page(runs, "provenance", arm=arm.arm_id, stage="train")
        assert not app.exception
        for text in ("<script", "<img", "\x1b", "\u202e"):
            assert text not in bodies(app)
        for text in ("\x1b", "\u202e", "\x00"):
            assert text not in codes(app)
        assert len(bodies(app)) < 100_000
        assert len(codes(app)) < 20 * LONGEST_CODE


@given(st.text(max_size=300), st.integers(1, 100))
def test_code_holds_nothing_invisible_and_says_what_is_cut(text: str, longest: int) -> None:
    shown = code_text(text, longest)
    assert not {"\x1b", "\u202e", "\x00", "\u2028", "\r"} & set(shown)
    assert ("more characters" in shown.split("\n")[-1]) == (len(text) > longest)


def test_differences_of_endless_recipes_are_not_tried() -> None:
    assert "too many to compare" in difference("a\n" * 5000, "b\n" * 5000, ("x", "y"))
    assert difference("a\n", "a\n", ("x", "y")) == ""


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (58_000, "58.0 kB"), (1_234_567_890, "1.2 GB")]
)
def test_sizes_have_units(size: int, text: str) -> None:
    assert size_text(size) == text
