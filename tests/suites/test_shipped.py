"""The suites that ship: their protocols stay what they are, since every recorded score has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.embedded.assets import FAMILIES
from lrbench.evaluation.items import ItemSet
from lrbench.evaluation.protocol import protocol, recorded_benchmark
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe.loading import load_recipe
from lrbench.store.keys import stable_hash
from lrbench.suites.shipped import FILE, FOLDER, SHIPPED
from lrbench.suites.suite import shipped_suite

# Beginnings of protocol hashes as they were before suites were folders, or at first.
PROTOCOLS = {
    "embedded7": {
        "multi_step": "5ce559691c670d57",
        "formal": "623ebb5fc8620241",
        "distractor": "410cc04711ffa015",
        "one_step": "e1b4e3ca114c2fc8",
        "formula": "abe5d5fe3a8936c7",
        "hard": "f2819a5fde7f9433",
        "choice": "53b57b97912a5c5a",
    },
    "math7": {
        "gsm8k": "0383e80478c0c478",
        "math": "fdd938b850cc9b82",
        "svamp": "378a599c4df58e8b",
        "asdiv": "d2a8a05e04a612d9",
        "minerva_math": "964972585649c7a8",
        "olympiadbench": "34eb541dde6ed5af",
        "mmlu_stem": "a8268e34ef5b0985",
    },
    "mmlu_stem_5shot": {"mmlu_stem": "e9987adefa0619c8"},
    "embedded_twins": {
        "multi_step_twins": "4b414b60468bda11",
        "distractor_twins": "90ab624160b2f345",
        "hard_twins": "b8fb104491bde245",
    },
    "embedded_talk": {"small_talk": "ed043aee5b50dc60"},
    "embedded_registers": {"registers": "9f9cbf633f079b83"},
    "embedded_glance": {"glance": "38972014d4af6f6a"},
    "embedded_easy": {
        "addition": "bc9921295c8f1858",
        "subtraction": "620e00749cb1f7bf",
        "multiplication": "6c7898a990593278",
        "division": "f0f542b4f5209cec",
        "expression": "e0055dd28a89114b",
        "brackets": "9c4e30e4d356e8c1",
        "equation": "b79294623fc412a4",
        "word_problem": "6537bc94d40bf05a",
    },
}
# Of the keys of all stages of the quickstart.
QUICKSTART_KEYS = "01aa9247db7e7b67b2c1a777fe2f3c47455c16e83a6256e98d2a10fe599b0d6d"


@pytest.mark.parametrize("name", SHIPPED)
def test_protocols_are_what_they_were(name: str) -> None:
    found = {}
    for benchmark in shipped_suite(name).benchmarks:
        items = ItemSet(benchmark.name, (), ("a",), "d" * 64, "e" * 64, limit=5, listed=True)
        found[benchmark.name] = stable_hash(
            protocol(benchmark, items, engine="hf", dtype="float32", batch_size=64)
        )[:16]
    assert found == PROTOCOLS[name]
    assert list(found) == list(PROTOCOLS[name])


def test_stages_of_the_quickstart_have_the_keys_they_had(tmp_path: Path) -> None:
    plan = plan_recipe(load_recipe("recipes/quickstart.yaml"), tmp_path)
    assert stable_hash([stage.key for stage in plan.stages]) == QUICKSTART_KEYS


def test_every_folder_is_a_suite_that_is_known() -> None:
    assert sorted(file.parent.name for file in FOLDER.glob(f"*/{FILE}")) == sorted(SHIPPED)
    assert [shipped_suite(name).name for name in SHIPPED] == list(SHIPPED)
    assert shipped_suite("embedded7").names == FAMILIES


@pytest.mark.parametrize("name", SHIPPED)
def test_a_protocol_leads_back_to_its_benchmark_and_grader(name: str) -> None:
    for benchmark in shipped_suite(name).benchmarks:
        items = ItemSet(benchmark.name, (), (), "", "")
        recorded = recorded_benchmark(protocol(benchmark, items, engine="hf", dtype="float32", batch_size=64))
        assert (recorded.name, recorded.grader) == (benchmark.name, benchmark.grader)
        assert recorded.shipped is not None
        assert recorded.shipped.data == benchmark.data
