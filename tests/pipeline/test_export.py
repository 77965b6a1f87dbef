"""Exports of a small real run: what is published computes what was measured, or nothing is published."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lrbench.errors import ModelError, RunError, StoreError, UserError
from lrbench.pipeline.exporting import gate, merging, publishing
from lrbench.pipeline.exporting.licences import NOT_STATED, licence_of
from lrbench.pipeline.exporting.model_card import without_places
from lrbench.pipeline.exporting.naming import find_result
from lrbench.pipeline.exporting.publishing import export_result
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.measuring import Draws
from lrbench.recipe.schema import Recipe
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.ledger import Ledger

CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def expert(local_pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the random expert, so that tests may change it."""
    return shutil.copytree(local_pair[0], tmp_path_factory.mktemp("model") / "my_expert")


@pytest.fixture(scope="module")
def finished(
    make_recipe: Callable[..., Recipe],
    expert: Path,
    local_pair: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The runs folder of a recipe with two seeds of lightr."""
    runs = tmp_path_factory.mktemp("export") / "runs"
    recipe = make_recipe(
        name="small",
        pair={"expert": {"model": str(expert)}, "amateur": {"model": str(local_pair[1])}},
        arms=["base", "lightr"],
        seeds=[0, 1],
        runtime={"data_root": "/somewhere/on/this/machine"},
        evaluation={"suite": "embedded7", "benchmarks": ["multi_step", "formal"], "limit": 3},
        data={"train": "embedded/multi_step", "problems": 8},
        training={"updates": 3, "rollouts_per_update": 4, "learning_rate": 2e-2},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRBENCH_MLFLOW", "off")
        run_recipe(recipe, runs)
    return runs


@pytest.fixture(scope="module")
def merged(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged") / "model"
    export_result("small/lightr/0", finished, folder, merge=True)
    return folder


def nothing_is_left(folder: Path) -> bool:
    return not list(folder.iterdir())


def test_a_merged_model_alone_gives_the_logits_of_expert_and_adapter(
    finished: Path, expert: Path, merged: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    arm = find_result("small/lightr/0", Ledger(finished / "ledger").read().arms)
    ids = torch.arange(3, 40).unsqueeze(0)
    with torch.no_grad():
        alone = AutoModelForCausalLM.from_pretrained(expert, dtype=torch.float32)(input_ids=ids).logits
        base = AutoModelForCausalLM.from_pretrained(expert, dtype=torch.float32)
        adapter = finished / "store" / "train" / arm.stages["train"]
        expected = PeftModel.from_pretrained(base, str(adapter)).eval()(input_ids=ids).logits
        found = AutoModelForCausalLM.from_pretrained(merged)(input_ids=ids).logits
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, alone, atol=1e-2)


def test_a_merged_folder_holds_a_standalone_greedy_model_and_nothing_of_an_adapter(merged: Path) -> None:
    names = {path.name for path in merged.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
    } <= names
    assert not any("adapter" in name or name.endswith((".bin", ".tmp")) for name in names)
    generation = json.loads((merged / "generation_config.json").read_text())
    assert generation["do_sample"] is False
    assert len(generation["eos_token_id"]) == 2


@pytest.mark.parametrize("merge", [True, False])
def test_the_cards_own_code_runs_in_the_folder(
    finished: Path,
    expert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    merge: bool,
) -> None:
    export_result("small/lightr/0", finished, tmp_path / "exported", merge=merge)
    code = CODE.search((tmp_path / "exported" / "README.md").read_text())
    assert code is not None
    monkeypatch.chdir(tmp_path / "exported")
    exec(code.group(1).replace("path/to/my_expert", str(expert)), {})
    assert capsys.readouterr().out


def test_equal_results_are_exported_as_equal_bytes(finished: Path, merged: Path, tmp_path: Path) -> None:
    export_result("small/lightr/0", finished, tmp_path / "again", merge=True)
    for path in merged.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_cast_is_gated_by_what_it_costs_the_expert(finished: Path, tmp_path: Path, dtype: str) -> None:
    exported = export_result("small/lightr/0", finished, tmp_path / "cast", merge=True, dtype=dtype)
    assert exported.merge is not None
    assert exported.merge.expert_cast is not None
    assert exported.merge.found.difference <= 3 * exported.merge.expert_cast.difference
    weights = load_file(tmp_path / "cast" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {getattr(torch, dtype)}
    assert json.loads((tmp_path / "cast" / "config.json").read_text())["dtype"] == dtype


Corrupt = Callable[[dict[str, torch.Tensor]], None]


def zero_a_projection(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.0.self_attn.v_proj.weight"].zero_()


def nudge_a_weight(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] += 1


def not_a_number(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.norm.weight"][0] = float("nan")


def leave_one_out(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["model.layers.0.mlp.up_proj.weight"]


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (zero_a_projection, r"logits differ by up to [0-9.]+ \(allowed 0.001\) .* \(needed 99.80%\)"),
        (nudge_a_weight, r"logits differ by up to [0-9.]+ \(allowed 0.001\)"),
        (not_a_number, "model.norm.weight holds NaN"),
        (leave_one_out, "as written does not load: .*missing keys: model.layers.0.mlp.up_proj.weight"),
    ],
)
def test_a_merge_that_was_corrupted_on_its_way_to_the_disk_is_not_published(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corrupt: Corrupt, message: str
) -> None:
    write = merging.write_model

    def write_and_corrupt(*arguments: Any) -> None:
        write(*arguments)
        file = arguments[3] / "model.safetensors"
        tensors = load_file(file)
        corrupt(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    monkeypatch.setattr(merging, "write_model", write_and_corrupt)
    with pytest.raises(RunError, match=message):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_unmerged_expert_is_not_published_where_a_cast_changes_more_than_the_adapter(
    finished: Path, expert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    write = merging.write_model

    def write_the_expert(merged: Any, *arguments: Any) -> None:
        alone = AutoModelForCausalLM.from_pretrained(expert, dtype=getattr(torch, dtype))
        alone.generation_config = merged.generation_config
        write(alone, *arguments)

    from transformers import AutoModelForCausalLM

    # As if the adapter's effect were below what the cast is allowed.
    monkeypatch.setattr(gate, "CAST_FACTOR", 1e9)
    monkeypatch.setattr(gate, "CAST_TOP1_SLACK", 1.0)
    monkeypatch.setattr(merging, "write_model", write_the_expert)
    wanted = "its logits differ" if dtype == "float32" else "does not hold the merged weights: 2 of"
    with pytest.raises(RunError, match=wanted):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True, dtype=dtype)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize(("dtype", "state"), [("float32", "as written"), ("bfloat16", "before its cast")])
def test_a_merge_that_leaves_the_adapter_out_is_not_published(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, state: str
) -> None:
    from peft import PeftModel

    monkeypatch.setattr(PeftModel, "merge_and_unload", lambda self, **_: self.unload(), raising=False)
    with pytest.raises(RunError, match=f"the merged model {state} is not expert and adapter"):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True, dtype=dtype)
    assert nothing_is_left(tmp_path)


def test_a_tokenizer_that_reads_prompts_otherwise_is_not_published(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = merging.write_model

    def write_another_template(*arguments: Any) -> None:
        write(*arguments)
        (arguments[3] / "chat_template.jinja").write_text("{{ messages[0].content }}")

    monkeypatch.setattr(merging, "write_model", write_another_template)
    with pytest.raises(RunError, match="reads prompts as other tokens than the expert"):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True)
    assert nothing_is_left(tmp_path)


def test_a_model_without_a_template_is_exported_with_the_one_it_was_measured_with(
    expert: Path,
) -> None:
    from transformers import AutoTokenizer

    from lrbench.models.prompt import render_prompt

    bare = AutoTokenizer.from_pretrained(expert)
    bare.chat_template = None
    written = AutoTokenizer.from_pretrained(expert)
    written.chat_template = merging.CHATML
    for system in (None, "Be brief."):
        assert render_prompt(bare, "What is 2 + 3?", system) == render_prompt(
            written, "What is 2 + 3?", system
        )


def test_a_full_disk_is_said_and_leaves_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publishing.shutil, "copyfile", full)
    with pytest.raises(StoreError, match="the disk or quota is full"):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True)
    assert nothing_is_left(tmp_path)


def test_an_interrupt_leaves_nothing(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "check_written", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=True)
    assert nothing_is_left(tmp_path)


def test_an_adapter_is_exported_in_pefts_format_with_a_card(finished: Path, tmp_path: Path) -> None:
    from peft import PeftConfig

    folder = tmp_path / "new" / "adapter"
    export_result("small/lightr/0", finished, folder, merge=False)
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = PeftConfig.from_pretrained(folder)
    assert config.base_model_name_or_path == "my_expert"
    arm = find_result("small/lightr/0", Ledger(finished / "ledger").read().arms)
    weights = finished / "store" / "train" / arm.stages["train"] / "adapter_model.safetensors"
    assert (folder / "adapter_model.safetensors").read_bytes() == weights.read_bytes()


def test_the_card_says_everything_and_no_place_of_this_machine(
    finished: Path, expert: Path, merged: Path, local_pair: tuple[Path, Path]
) -> None:
    card = (merged / "README.md").read_text()
    contents = Ledger(finished / "ledger").read()
    arm = find_result("small/lightr/0", contents.arms)
    scores = [score for score in contents.scores if score.arm_id == arm.arm_id]
    for needed in (
        arm.arm_id,
        *arm.stages.values(),
        *(score.protocol_hash for score in scores),
        *(score.items_hash for score in scores),
        scores[0].expert_weights,
        "| multi\\_step | 3 |" if "multi\\_step" in card else "| multi_step | 3 |",
        "problems: 8",
        "my_expert",
        "largest logit difference",
        f"The licence of my_expert, whose weights these are made from: {NOT_STATED}.",
        "model-index:",
    ):
        assert needed in card, needed
    for place in (str(expert.parent), str(local_pair[1].parent), "/somewhere/on", str(finished)):
        assert place not in card


def test_a_recipes_words_cannot_break_out_of_the_card() -> None:
    from lrbench.pipeline.exporting.model_card import _fenced, _table

    assert _fenced("a\n```\n# not code", "yaml").startswith("````yaml\n")
    assert _table(("a",), [["x | y <script>"]]).splitlines()[-1] == "| x \\| y &lt;script&gt; |"


def test_a_card_writes_answers_as_they_were_measured() -> None:
    from lrbench.pipeline.exporting.model_card import decoding_of

    assert decoding_of({"decoding": "greedy"}) == ("Greedy", "do_sample=False")
    measure = Draws(samples=4, temperature=0.6, top_p=0.95, seed=0)
    assert decoding_of(measure.protocol) == (
        "Sampled",
        "do_sample=True, temperature=0.6, top_p=0.95, top_k=0",
    )


def test_a_recipe_in_a_card_has_no_paths(make_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = make_recipe(
        data={"train": str(tmp_path / "mine.jsonl"), "problems": 3},
        sampling={"engine": {"name": "server", "url": "http://10.0.0.1:8000/v1"}},
        runtime={"data_root": str(tmp_path)},
    )
    shown = without_places(recipe)
    assert (shown.data.train, shown.pair.expert.model) == ("mine.jsonl", "expert")
    assert (shown.sampling.engine.url, shown.runtime.data_root) == (None, None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("README.md", "---\nlicense: apache-2.0\n---\n# x", "apache-2.0"),
        ("README.md", "---\nlicense: other\nlicense_name: own\n---\n", "other, own"),
        ("README.md", "---\nlicense: [\n---\n", NOT_STATED),
        ("README.md", "no header", NOT_STATED),
        ("LICENSE", "\n  Apache License\n Version 2.0", "Apache License"),
        ("config.json", '{"license": "mit"}', "mit"),
        ("config.json", "[1]", NOT_STATED),
    ],
)
def test_a_licence_is_what_the_models_own_files_say(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    assert licence_of(tmp_path).words == words


def test_a_licence_file_travels_with_the_model(finished: Path, expert: Path, tmp_path: Path) -> None:
    (expert / "LICENSE").write_text("My Own Licence\n")
    try:
        export_result("small/lightr/0", finished, tmp_path / "a", merge=False)
    finally:
        (expert / "LICENSE").unlink()
    assert (tmp_path / "a" / "LICENSE").read_text() == "My Own Licence\n"
    assert "as its LICENSE says: My Own Licence." in (tmp_path / "a" / "README.md").read_text()


def test_a_result_is_named_by_the_start_of_its_id(finished: Path) -> None:
    arms = Ledger(finished / "ledger").read().arms
    for arm in arms:
        assert find_result(arm.arm_id, arms) is arm
        assert find_result(arm.arm_id[:10], arms) is arm
    # The name of an arm is enough where one result has it.
    (base,) = [arm for arm in arms if arm.arm == "base"]
    assert find_result("base", arms) is base
    with pytest.raises(UserError, match=r"'lightr' is the name of 2 results"):
        find_result("lightr", arms)


def test_a_point_of_a_sweep_is_named_as_it_is_listed(finished: Path) -> None:
    arms = Ledger(finished / "ledger").read().arms
    arm = next(arm for arm in arms if arm.arm == "lightr")
    low, high = (
        arm.model_copy(update={"arm_id": f"{alpha}", "point": {"divergence.alpha": alpha}})
        for alpha in (0.1, 0.2)
    )
    with pytest.raises(UserError, match=r"is the name of 2 results\. A result") as told:
        find_result(f"{arm.recipe}/lightr/{arm.seed}", (low, high))
    named = f"{arm.recipe}/lightr/{arm.seed} (divergence.alpha=0.2)"
    assert named in str(told.value)
    assert find_result(named, (low, high)) is high


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small/lightr", r"'small/lightr' is the name of 2 results(.|\n)*small/lightr/1(.|\n)*"),
        ("small/sft", r"is the name of no result(.|\n)*small/base(.|\n)*"),
        ("small", r"'small' is a recipe, of which one result is meant here\. A(.|\n)*small/base(.|\n)*"),
        ("", "'' is the name of no result"),
        ("x\x1b[31m/y", r"'x\\\\x1b\[31m/y' is the name of no result"),
    ],
)
def test_a_name_that_means_none_or_several_lists_the_candidates(
    finished: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        export_result(name, finished, tmp_path / "model", merge=True)


def test_base_has_nothing_to_merge(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="small/base is the expert itself, untrained: there is no adapter"):
        export_result("small/base", finished, tmp_path / "model", merge=True)


def test_a_dtype_without_a_merge_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add --merge"):
        export_result("small/lightr/0", finished, tmp_path / "model", merge=False, dtype="float16")


def test_no_results_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no results here yet"):
        export_result("small/lightr", tmp_path / "none", tmp_path / "model", merge=True)


def test_a_folder_that_holds_something_is_refused_and_left_alone(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UserError, match="is not empty, and nothing in it is overwritten"):
        export_result("small/lightr/0", finished, tmp_path, merge=False)
    with pytest.raises(UserError, match="is there already and is no folder"):
        export_result("small/lightr/0", finished, tmp_path / "notes", merge=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_empty_folder_is_taken(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export_result("small/lightr/0", finished, tmp_path / "empty", merge=False)
    assert (tmp_path / "empty" / "README.md").exists()


def test_an_expert_that_changed_since_is_refused_by_name(
    finished: Path, expert: Path, tmp_path: Path
) -> None:
    kept = (expert / "config.json").read_text()
    (expert / "config.json").write_text(kept + " ")
    try:
        with pytest.raises(ModelError, match=r"my_expert.* are not those this result was made from"):
            export_result("small/lightr/0", finished, tmp_path / "model", merge=True)
    finally:
        (expert / "config.json").write_text(kept)
    assert nothing_is_left(tmp_path)


def test_an_adapter_that_was_removed_is_said(finished: Path, tmp_path: Path) -> None:
    runs = shutil.copytree(finished, tmp_path / "runs")
    shutil.rmtree(runs / "store" / "train")
    with pytest.raises(StoreError, match="Running the recipe again makes it anew"):
        export_result("small/lightr/0", runs, tmp_path / "model", merge=True)


def test_a_bundle_of_a_real_run_is_verified(finished: Path, tmp_path: Path) -> None:
    write_bundle(["small"], finished, tmp_path / "b.tar.gz")
    found = verify_bundle(tmp_path / "b.tar.gz")
    assert found.findings == ()
    assert (found.arms, found.scores, found.completions) == (3, 6, 18)
