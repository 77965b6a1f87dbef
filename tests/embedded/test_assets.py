from __future__ import annotations

import json
import subprocess
import sys

import pytest
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from lrbench.embedded import assets
from lrbench.embedded.build import is_complete
from lrbench.errors import DataError, ModelError

MEBIBYTE = 2**20


def test_what_ships_matches_its_checksums():
    assert is_complete(assets.ROOT)


def test_the_package_stays_small():
    weights = sum(
        (assets.model_folder(name) / "model.safetensors").stat().st_size for name in assets.available_models()
    )
    everything = sum(
        file.stat().st_size for part in ("models", "problems") for file in (assets.ROOT / part).rglob("*")
    )
    assert weights < 12 * MEBIBYTE
    assert everything < 16 * MEBIBYTE


@pytest.mark.parametrize("name", assets.available_models())
def test_a_model_loads_without_remote_code_and_in_half_precision(name):
    folder = assets.model_folder(name)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        kinds = {str(weights.get_tensor(key).dtype) for key in weights.keys()}  # noqa: SIM118
    assert kinds == {"torch.float16"}
    assert f"{model.num_parameters():,} parameters" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", assets.available_models())
def test_heads_are_of_a_width_every_engine_supports(name):
    config = AutoConfig.from_pretrained(assets.model_folder(name))
    assert config.hidden_size / config.num_attention_heads in (32, 64)


def test_the_expert_is_larger_than_the_amateur():
    sizes = [
        (assets.model_folder(name) / "model.safetensors").stat().st_size for name in ("expert", "amateur")
    ]
    assert sizes[0] > 2 * sizes[1]


def test_problems_come_in_the_documented_form():
    for family in assets.available_problem_sets():
        for split in ("train", "test"):
            for problem in assets.problems(family, split):
                assert set(problem) == {"id", "problem", "solution", "answer", "meta"}
                assert problem["answer"] == str(int(problem["answer"]))
                assert json.dumps(problem)


def test_families_stand_in_the_leaderboards_order():
    assert assets.FAMILIES == ("multi_step", "formal", "distractor", "one_step", "formula", "hard", "choice")


def test_a_misspelt_model_is_named_with_the_nearest_one():
    with pytest.raises(ModelError, match=r"'expret': there are expert, amateur, .*; did you mean expert\?"):
        assets.model_folder("expret")


def test_a_model_name_that_is_like_none_gets_the_list_alone():
    with pytest.raises(
        ModelError,
        match=r"'zzz': there are expert, amateur, amateur_mixed, peer, careful, mentor, verbose, candid, "
        r"foreign$",
    ):
        assets.model_folder("zzz")


def test_a_misspelt_family_or_split_is_named_with_the_nearest_one():
    with pytest.raises(
        DataError, match=r"no embedded problem set named 'multistep'.*did you mean multi_step\?"
    ):
        assets.problems("multistep", "train")
    with pytest.raises(DataError, match=r"no embedded split named 'tests'.*did you mean test\?"):
        assets.problems("hard", "tests")


def test_missing_files_are_named_with_the_way_to_rebuild_them(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    with pytest.raises(ModelError, match=r"embedded model expert has no weights in .*make embedded"):
        assets.model_folder("expert")
    with pytest.raises(DataError, match=r"embedded problem set hard \(test\) is missing: .*make embedded"):
        assets.problems("hard", "test")


def test_asking_for_assets_loads_no_heavy_package():
    program = (
        "import sys; from lrbench.embedded import assets; assets.problems('hard', 'test'); "
        "assets.model_folder('expert'); print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
