"""Arms that do as the public scripts did: what is said of them, how they are called, and that they run."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lrbench.errors import RecipeError
from lrbench.methods.fidelity import HAZARDS
from lrbench.pipeline.hazards import inert_hazard, remarks_on_fidelity
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.requirements import checked_plan
from lrbench.pipeline.run import run_recipe
from lrbench.pipeline.workspace import Workspace
from lrbench.recipe.loading import load_recipe, telling_where
from lrbench.recipe.schema import Recipe, Runtime
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import bundle_by_name
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger
from lrbench.results.wording import row_label
from lrbench.store.store import Store

ROWS = {"updates": 3, "steps_per_update": 16, "learning_rate": 1e-3}
# What the random pair has too, each by itself.
PRICED = [name for name in HAZARDS if name not in ("second_bos", "stops_of_checkpoint")]


@pytest.fixture(scope="module")
def ran(make_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """The random pair, corrected, as the scripts are, and with one hazard."""
    runs = tmp_path_factory.mktemp("runs")
    recipe = make_recipe(
        training=ROWS,
        data={"train": "embedded/multi_step", "problems": 6},
        arms=[
            "base",
            "lightr",
            {"name": "reference", "like": "lightr", "fidelity": "reference"},
            {"name": "merged", "like": "lightr", "fidelity": "merged_in_bfloat16"},
        ],
    )
    report = run_recipe(recipe, runs)
    assert not report.failures
    return recipe, runs


def test_the_stages_of_an_arm_say_what_the_hazards_met(ran: tuple[Recipe, Path]) -> None:
    recipe, runs = ran
    arms = {arm.arm.name: arm for arm in plan_recipe(recipe, runs).arms}
    store = Store(runs / "store")

    def statistics(arm: str, stage: str) -> dict[str, Any]:
        found = next(found for found in arms[arm].stages() if found.name == stage)
        artifact = store.find(found.name, found.key)
        assert artifact is not None
        return dict(artifact.statistics)

    # Bytes that are no whole character read otherwise once they are written out.
    assert 0 < statistics("reference", "scores")["respelt_steps"] <= statistics("lightr", "scores")["steps"]
    trained = statistics("reference", "train")
    assert 0 < trained["rows_at_padding"] < trained["trained_steps"] <= 48
    assert trained["truncated_rows"] == 0
    assert "rows_at_padding" not in statistics("lightr", "train")
    assert statistics("reference", "samples")["kept_steps"] < statistics("lightr", "samples")["kept_steps"]


def test_a_fidelity_is_part_of_the_name_on_the_board_and_in_a_bundle(
    ran: tuple[Recipe, Path], tmp_path: Path
) -> None:
    recipe, runs = ran
    contents = Ledger(runs / "ledger").read()
    rows = list(build_boards(contents.arms, contents.scores, contents.recipes)[0].rows)
    assert {row_label(row, rows) for row in rows} == {
        "base",
        "lightr",
        "reference fidelity=reference",
        "merged fidelity=merged_in_bfloat16",
    }
    bundle = bundle_by_name([recipe.name], "embedded", Path("experiments"), runs, tmp_path / "b.tar.gz")
    verification = verify_bundle(tmp_path / "b.tar.gz")
    assert [str(finding) for finding in verification.findings] == []
    assert "reference fidelity=reference" in str(bundle) + str(verification) + _texts(tmp_path / "b.tar.gz")


def _texts(bundle: Path) -> str:
    with tarfile.open(bundle) as archive:
        files = [
            archive.extractfile(member) for member in archive.getmembers() if member.name.endswith(".md")
        ]
        return "".join(file.read().decode() for file in files if file is not None)


def test_what_is_merged_in_bfloat16_has_weights_of_bfloat16(
    ran: tuple[Recipe, Path],
) -> None:
    recipe, runs = ran
    arm = next(arm for arm in plan_recipe(recipe, runs).arms if arm.arm.name == "merged")
    assert arm.adapter is not None
    adapter = Store(runs / "store").find("train", arm.adapter.key)
    assert adapter is not None
    expert = Workspace(arm.expert, None, Runtime()).expert
    before = {name: weight.clone() for name, weight in expert.weights.named_parameters()}
    ids = torch.arange(10, 30).unsqueeze(0)
    with expert.with_adapter(adapter.directory) as adapted, torch.no_grad():
        exact = adapted(input_ids=ids).logits
    with expert.with_adapter(adapter.directory, merged=True) as merged, torch.no_grad():
        assert merged.dtype == torch.float32
        assert all(torch.equal(weight, weight.bfloat16().float()) for weight in merged.parameters())
        rounded = merged(input_ids=ids).logits
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.1, atol=0.1)
    after = dict(expert.weights.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_plan_says_each_hazard_and_which_of_all_change_nothing(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_recipe(training=ROWS, arms=["base", {"name": "lightr", "fidelity": "reference"}])
    remarks = remarks_on_fidelity(plan_recipe(recipe, tmp_path).arms)
    assert remarks[0] == "Fidelity of lightr: reference."
    inert = [line.partition(" changes nothing: ")[0].strip() for line in remarks if "changes nothing" in line]
    assert inert == ["second_bos"]
    for name, hazard in HAZARDS.items():
        assert f"  {name} ({hazard.stage}): {hazard.says}." in remarks
    assert remarks_on_fidelity(plan_recipe(make_recipe(training=ROWS), tmp_path).arms) == []


@pytest.mark.parametrize("hazard", PRICED)
def test_a_hazard_that_the_pair_can_have_is_not_refused(
    make_recipe: Callable[..., Recipe], tmp_path: Path, hazard: str
) -> None:
    arms = ["base", {"name": "lightr", "fidelity": hazard}]
    assert inert_hazard(plan_recipe(make_recipe(training=ROWS, arms=arms), tmp_path).arms) is None


EMBEDDED = """\
extends: {quickstart}
name: r
training: {{rollouts_per_update: null, steps_per_update: 16}}
arms:
  - base
  - {{name: lightr, fidelity: {fidelity}}}
"""


@pytest.mark.parametrize(
    ("fidelity", "told"),
    [
        (
            "second_bos",
            "`second_bos` would change nothing: the tokenizer of embedded/expert adds nothing before",
        ),
        (
            "[last_column, labels_cut]",
            "`labels_cut` would change nothing: the tokenizer of embedded/expert has",
        ),
        (
            "{vocabulary_cut: true}",
            "`vocabulary_cut` would change nothing: embedded/expert and embedded/amateur",
        ),
    ],
)
def test_a_hazard_that_the_models_cannot_have_is_refused_at_its_place(
    tmp_path: Path, fidelity: str, told: str
) -> None:
    quickstart = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"
    file = tmp_path / "r.yaml"
    file.write_text(EMBEDDED.format(quickstart=quickstart, fidelity=fidelity))
    recipe, runs = load_recipe(file), tmp_path / "runs"
    with pytest.raises(RecipeError) as raised, telling_where(file):
        checked_plan(recipe, runs, Store(runs / "store"))
    # Of a mapping its name's place is given.
    column = 20 if fidelity.startswith("{") else 30
    assert f"{file}:6:{column}: arms.1.fidelity: {told}" in str(raised.value)
    assert "leave it out" in str(raised.value)


def test_ends_and_a_second_beginning_come_from_the_checkpoint(
    make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    expert = tmp_path / "expert"
    shutil.copytree(local_pair[0], expert)
    (expert / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 7]}))
    tokenizer = json.loads((expert / "tokenizer.json").read_text())
    start = {"id": "<|im_start|>", "type_id": 0}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": start}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}},
    }
    (expert / "tokenizer.json").write_text(json.dumps(tokenizer))
    pair = {"expert": {"model": str(expert)}, "amateur": {"model": str(expert)}}
    hazards = ["second_bos", "stops_of_checkpoint"]
    recipe = make_recipe(
        pair=pair,
        training=ROWS,
        data={"train": "embedded/multi_step", "problems": 2},
        arms=["lightr", {"name": "other", "like": "lightr", "fidelity": hazards}],
    )
    planned = plan_recipe(recipe, tmp_path / "runs").arms
    assert inert_hazard(planned) is None
    ours, theirs = (next(stage for stage in arm.stages() if stage.name == "rollouts") for arm in planned)
    workspace = Workspace(planned[0].expert, None, Runtime())
    assert theirs.prompt(0, workspace) == (1, *ours.prompt(0, workspace))  # type: ignore[attr-defined]
    assert theirs.identity["stops"] == [0, 7]
    with workspace.engines.open(recipe.sampling.engine, stops=(0, 7)) as engine:
        assert engine.rules.stop_ids == (0, 7)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            ["fidelity=rows_shuffled"],
            "`rows_shuffled` takes steps by themselves, so it needs `training.steps_per",
        ),
        (
            ["fidelity=vocabulary_cut", "pair.align=tokens"],
            "`vocabulary_cut` cannot be with `pair.align: tokens`, since the public scripts compare id by id",
        ),
        (
            ["fidelity=merged_in_bfloat16", "evaluation.engine.name=vllm"],
            "`merged_in_bfloat16` cannot be with the engine `vllm`, which ends answers and reads adapters by",
        ),
        (
            [
                "fidelity=stops_of_checkpoint",
                "pair.amateur={derive: {from: expert, layers: 1, distill_updates: 2}}",
            ],
            "`stops_of_checkpoint` cannot be with `pair.amateur.derive`, which has rollouts of its own",
        ),
        (
            ["fidelity=beta_included", "arms=[{name: lightr, selector: all}]"],
            "`beta_included` would change nothing: the selector of the arm `lightr` goes by no beta",
        ),
        (
            ["fidelity=amateur_retokenised", "arms=[base, sft]"],
            "`amateur_retokenised` would change nothing: the arm `sft` compares nothing with the amateur",
        ),
        (
            ["fidelity=second_bos", "arms=[base, sft]"],
            "`second_bos` would change nothing: the arm `sft` writes no greedy rollouts",
        ),
        (
            [
                "fidelity=accumulation_summed",
                "training.rollouts_per_update=null",
                "training.steps_per_update=8",
                "arms=[lightr]",
            ],
            "`accumulation_summed` would change nothing: an update of 8 steps is one batch of at most 8 rows",
        ),
        (["fidelity=last_column", "arms=[base]"], "fidelity: would change nothing: no arm is trained"),
        (["arms=[{name: base, fidelity: reference}]"], "the arm `base` is the expert, which is not trained"),
        (["fidelity=last_colum"], "rows_truncated`, `merged_in_bfloat16`, a list of stops_of_checkpoint ..."),
        (
            ["fidelity=[last_colum]"],
            'fidelity.0: found the text "last_colum", allowed is `stops_of_checkpoint`',
        ),
        (
            ["fidelity={lost: true}"],
            "fidelity.lost: unknown field; allowed here are stops_of_checkpoint, second_bos",
        ),
        (["fidelity=[]"], "fidelity: found an empty list, allowed is `corrected`, `reference`"),
        (["fidelity={last_column: 1}"], "fidelity.last_column: found 1, allowed is true or false"),
    ],
)
def test_what_a_recipe_cannot_have_is_told_before_any_model_is_looked_at(
    changes: list[str], told: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe(Path(__file__).parents[2] / "recipes" / "quickstart.yaml", changes)
    assert told in str(raised.value)
    assert any(f"override '{changes[0]}'" in line for line in str(raised.value).splitlines())


def test_every_way_to_write_a_fidelity_is_one_recipe(make_recipe: Callable[..., Recipe]) -> None:
    ways: list[Any] = [["last_column"], "last_column", {"last_column": True, "labels_cut": False}]
    recipes = [make_recipe(training=ROWS, fidelity=way) for way in ways]
    assert recipes[0] == recipes[1] == recipes[2]
    assert yaml.safe_load(yaml.safe_dump(recipes[0].model_dump(mode="json")["fidelity"])) == "last_column"
    assert make_recipe(fidelity=list(HAZARDS)).model_dump()["fidelity"] == "reference"
