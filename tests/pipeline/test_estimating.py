"""What a plan says a recipe will take; nothing here runs a model or looks at the clock."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lrbench.errors import UserError
from lrbench.models.source import LocatedModel
from lrbench.pipeline.estimating import devices, processors, showing
from lrbench.pipeline.estimating.costs import BASE_BYTES, Loaded, training, writing
from lrbench.pipeline.estimating.devices import device_here, device_names, named_device
from lrbench.pipeline.estimating.history import FILE, MODEL, RunEstimate, Work, read_history, record
from lrbench.pipeline.estimating.measuring import Measuring
from lrbench.pipeline.estimating.shapes import Shape, published_shapes, shape_of
from lrbench.pipeline.estimating.showing import cost_cells, cost_lines
from lrbench.pipeline.estimating.stages import (
    USUAL_OF_EMBEDDED,
    PlanEstimate,
    StageEstimate,
    batches,
    estimate_plan,
)
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.loading import load_with_warnings
from lrbench.recipe.schema import Runtime
from lrbench.sampling.problems import load_problems
from lrbench.store.artifact import Artifact
from lrbench.store.store import Store

RECIPES = Path(__file__).parents[2] / "recipes"
ONE_CORE = Runtime(device="cpu", threads=1)
SHAPE = Shape(1000, 2, 8, 16, 4, 50, tied=True)


@pytest.fixture(scope="module", autouse=True)
def _a_plain_processor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever processor tests run on, it has no instructions for bfloat16."""
    facts = tmp_path_factory.mktemp("processor") / "cpuinfo"
    facts.write_text("flags : fpu avx2\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processors, "FACTS", facts)
        yield


@pytest.fixture
def quickstart(tmp_path: Path) -> Plan:
    return plan_of(RECIPES / "quickstart.yaml", tmp_path)


def plan_of(path: Path, runs: Path, *overrides: str) -> Plan:
    recipe, _ = load_with_warnings(path, ["runtime.threads=1", "runtime.device=cpu", *overrides])
    return plan_recipe(recipe, runs, fetch=False)


def finish(stage: Stage, runs: Path, **statistics: object) -> None:
    """Put an artifact into the store as if the stage had made it."""
    store = Store(runs / "store")
    keys = {name: needed.key for name, needed in stage.inputs.items()}
    with store.lock(stage.name, stage.key):
        draft = store.draft(stage.name, stage.version, stage.key, stage.identity, keys)
        draft.commit("content.txt", lambda path: path.write_text("content"), 1.0)
        draft.finish(statistics)


def stage_called(plan: Plan, name: str, title: str = "") -> Stage:
    return next(stage for stage in plan.stages if stage.name == name and title in stage.label)


def run_estimate(**changes: object) -> RunEstimate:
    usual = RunEstimate("r", "", "cpu-1", "embedded/expert", 870528, 10.0, 12.0, 1.0, 1e9, 2**30, 2.0**29)
    return replace(usual, **({"model": MODEL} | changes))  # type: ignore[arg-type]


def test_what_is_written_while_an_arm_learns_is_expected_with_its_learning(tmp_path: Path) -> None:
    """Twice as many answers are twice as many tokens, and take longer than learning from them alone."""

    def expected(arm: str) -> StageEstimate:
        plan = plan_of(RECIPES / "quickstart.yaml", tmp_path, f"arms=[{arm}]")
        found = estimate_plan(plan, tmp_path, named_device("cpu", ONE_CORE))
        return found.stages[stage_called(plan, "train").key]

    stored = expected("{name: a, like: sft}")
    few, many, anew = (
        expected("grpo"),
        expected("{name: grpo, objective: {grpo: {group: 16}}}"),
        expected("{name: a, like: lightr, objective: {online: 1}}"),
    )
    assert (few.tokens, many.tokens, few.exact) == (40 * 64 * 128, 40 * 128 * 128, False)
    assert anew.tokens == 40 * 16 * 128
    assert stored.seconds is not None
    assert few.seconds is not None
    assert many.seconds is not None
    assert anew.seconds is not None
    assert stored.seconds < few.seconds < many.seconds
    assert stored.seconds < anew.seconds
    assert few.kind == "train hf"


def test_all_that_is_read_and_written_of_a_stage_takes_its_time(tmp_path: Path) -> None:
    """Of DPO both sides, before it learns too; of GRPO what the expert says; of `cft` every beginning."""
    settings = "models={teacher: {model: embedded/careful}}"

    def seconds(stage: str, *arms: str, fields: str = settings) -> float:
        plan = plan_of(RECIPES / "quickstart.yaml", tmp_path, f"arms=[{', '.join(arms)}]", fields)
        found = estimate_plan(plan, tmp_path, named_device("cpu", ONE_CORE))
        estimate = found.stages[stage_called(plan, stage, "cd" if "cd" in arms[0] else "").key]
        assert estimate.seconds is not None
        return estimate.seconds

    def grpo(settings: str) -> str:
        return f"{{name: a, like: grpo, objective: {{grpo: {settings}}}}}"

    once = seconds("train", "sft")
    assert 1.2 * once < seconds("train", "dpo") < 2 * once
    assert seconds("reference_log_p", "dpo") > once
    plain, judged = seconds("train", grpo("{}")), seconds("train", grpo("{kl: 0.1}"))
    assert plain < judged < seconds("train", grpo("{kl: 0.1, entropy_top: 0.2}"))
    assert seconds("continuations", "cft") > 10 * seconds("solutions", "sft")
    every, rarely = (f"{{name: a, like: lightr, objective: {{online: {n}}}}}" for n in (1, 20))
    assert seconds("train", rarely) < seconds("train", every)
    # The amateur has half the layers; what it is taken from is the arm's own model, and read once.
    alone = seconds("evaluate", "base")
    assert 1.2 * alone < seconds("evaluate", "cd") < 2 * alone


def test_what_is_expected_of_the_embedded_world_is_what_is_in_it(quickstart: Plan) -> None:
    tokenizer = Tokenizer.from_file(str(quickstart.arms[0].expert.folder / "tokenizer.json"))
    texts = load_problems(quickstart.recipe.data).solutions[:64]
    solutions = [len(tokenizer.encode(text).ids) for text in texts if text is not None]
    assert USUAL_OF_EMBEDDED.solution == pytest.approx(mean(solutions), rel=0.25)
    assert max(solutions) / mean(solutions) == pytest.approx(USUAL_OF_EMBEDDED.longest, rel=0.25)


# Shapes


@pytest.mark.parametrize("name", published_shapes())
def test_published_parameters_are_those_of_the_architecture(name: str) -> None:
    """Counted anew: biases on queries, keys and values, two norms a layer and one at the end."""
    shape = published_shapes()[name]
    attention = 2 * shape.hidden**2 + shape.hidden + 2 * (shape.hidden + 1) * shape.key_values
    layer = attention + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden
    embeddings = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    assert shape.parameters == shape.layers * layer + embeddings + shape.hidden


def test_every_model_of_the_papers_recipes_is_known() -> None:
    for path in (RECIPES / "paper").glob("*.yaml"):
        recipe, _ = load_with_warnings(path, [])
        for reference in filter(None, (recipe.pair.expert, recipe.pair.amateur)):
            assert reference.model in published_shapes(), path


def test_a_model_that_is_here_is_read_from_its_files(quickstart: Plan) -> None:
    shape = shape_of(quickstart.arms[0].expert)
    assert shape == Shape(870528, 4, 128, 384, 64, 640, tied=True)
    assert shape.body == 870528 - 640 * 128


@pytest.mark.parametrize(
    "header", [b"", b"\xff" * 8, struct.pack("<Q", 4) + b"[1]]", struct.pack("<Q", 99) + b"{"]
)
def test_weights_that_cannot_be_read_make_a_model_unknown(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 1}))
    (tmp_path / "model.safetensors").write_bytes(header)
    assert shape_of(LocatedModel("broken", tmp_path, "", "float32", ())) is None


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"num_attention_heads": 0, "hidden_size": 8}'])
def test_a_config_that_says_too_little_makes_a_model_unknown(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert shape_of(LocatedModel("broken", tmp_path, "", "float32", ())) is None


# Devices


def test_a_cpu_has_as_many_peaks_as_threads(tmp_path: Path) -> None:
    one, four = device_here(ONE_CORE, tmp_path), device_here(Runtime(device="cpu", threads=4), tmp_path)
    assert one is not None
    assert four is not None
    assert four.operations["float32"] == 4 * one.operations["float32"]
    assert (one.name, one.title, four.title) == ("cpu-1", "1 CPU core", "4 CPU cores")


def test_bfloat16_is_slow_where_the_processor_has_no_instructions_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    monkeypatch.setattr(processors, "FACTS", facts)
    slow = [device_here(ONE_CORE, tmp_path)]
    for lines in ("flags\t\t: fpu avx2", "processor: 0\nflags: fpu avx512_bf16", "Features : fp bf16\nx"):
        facts.write_text(f"model name\t: Some\n{lines}\n")
        slow.append(device_here(ONE_CORE, tmp_path))
    ratios = [one.operations["bfloat16"] / one.operations["float32"] for one in slow if one is not None]
    assert ratios == [pytest.approx(ratio, abs=0.01) for ratio in (0.21, 0.21, 2.0, 2.0)]


def test_a_processor_is_what_was_measured_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = device_here(ONE_CORE, tmp_path)
    measured = processors.measure(tmp_path, 1)
    assert set(measured.operations) == {"float32", "bfloat16", "float16"}
    assert min(measured.bandwidth, *measured.operations.values()) > 1e7
    here = device_here(ONE_CORE, tmp_path)
    assert here is not None
    assert before is not None
    assert here.operations == measured.operations
    assert here.name != before.name, "corrections of other figures are not of these"
    # Nothing was measured with two cores at work, with another torch, or where the file cannot be read.
    assert device_here(Runtime(device="cpu", threads=2), tmp_path) == replace(
        named_device(before.name.removesuffix("-1"), Runtime(threads=2)), name=before.name[:-1] + "2"
    )
    with monkeypatch.context() as patched:
        patched.setattr(processors, "version", lambda _: "9.0")
        assert device_here(ONE_CORE, tmp_path) == before
    (tmp_path / processors.FILE).write_text('{"x": 1')
    assert device_here(ONE_CORE, tmp_path) == before


def test_the_gpu_here_is_the_one_that_its_driver_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "0000:01:00.0" / "information"
    information.parent.mkdir()
    monkeypatch.setattr(devices, "GPUS", tmp_path)
    monkeypatch.setattr(devices, "version", lambda _: "2.0.0+cu130")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    information.write_text("Model: \t\t NVIDIA L4\nIRQ: 3\n")
    assert device_here(Runtime(), tmp_path) == named_device("l4", Runtime())
    information.write_text("Model: \t\t Something else\n")
    assert device_here(Runtime(), tmp_path) is None
    assert "name the nearest with --device" in next(cost_lines(None))
    for hidden in (Runtime(device="cpu", threads=1), Runtime(threads=1)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert device_here(hidden, tmp_path) == device_here(ONE_CORE, tmp_path)


def test_one_queue_saves_the_ends_of_shards_where_there_is_one(tmp_path: Path) -> None:
    plans = {
        queue: plan_of(
            RECIPES / "quickstart.yaml", tmp_path, f"runtime.queue={queue}", "evaluation.limit=500"
        )
        for queue in ("null", "true", "false")
    }

    def seconds(queue: str, device: str | None) -> float:
        estimate = expected(plans[queue], tmp_path, device)
        assert estimate is not None
        return sum(stage.seconds or 0.0 for stage in estimate.stages.values() if stage.kind == "evaluate hf")

    assert seconds("true", "h200") < seconds("false", "h200") / 1.5
    assert seconds("null", "h200") == seconds("true", "h200")
    assert seconds("null", None) == seconds("false", None)
    # What comes after the first benchmark of an arm takes rows that are free, and waits for no last answer.
    estimate = expected(plans["true"], tmp_path, "h200")
    assert estimate is not None
    first, second, *_ = (estimate.stages[score.key].seconds or 0.0 for score in plans["true"].arms[0].scores)
    assert second < first / 1.2


def test_too_little_memory_is_said_before_anything_is_loaded(
    quickstart: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = expected(quickstart, tmp_path)
    assert not any("free on this machine" in line for line in cost_lines(estimate))
    monkeypatch.setattr(showing, "free_on_machine", lambda: 2**28)
    (line,) = [line for line in cost_lines(estimate) if "free on this machine" in line]
    assert line == (
        "Only 0.2 GiB are free on this machine: the run may be killed for memory. In bfloat16 half is held "
        "of embedded/expert, embedded/amateur."
    )
    assert estimate is not None
    halved = "\n".join(cost_lines(replace(estimate, float32=())))
    assert "killed for memory." in halved
    assert "bfloat16" not in halved


def test_a_device_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no device is known as 'h20'; did you mean `h200`\?; known: h200,"):
        named_device("h20", Runtime())
    assert named_device("H200", Runtime()).memory == 141_000_000_000
    assert set(device_names()) >= {"h200", "h100", "a100-80gb", "rtx-4090", "l4", "cpu"}


# Costs


def test_the_time_of_writing_is_overhead_computing_and_moving() -> None:
    device = named_device("h200", Runtime())
    model = Loaded(SHAPE, "bfloat16", device)
    cost = writing(model, rows=10, shards=1, batches=2, prompt=7, written=20, longest=50, engine="hf")
    forwards = 50 + 20
    overhead = forwards * (2 * 0.8e-3 + 2e-3)
    computing = 2 * 10 * (7 * 600 + 20 * 1000) / (989e12 * 0.3)
    cache = 10 * 20 / forwards * (7 + 10) * 2 * 2 * 4 * 2
    moving = forwards * (2000 + 3 * cache) / (4.8e12 * 0.5)
    assert cost.seconds == pytest.approx(overhead + computing + moving)
    assert cost.bytes > model.weights == 2000


@given(
    rows=st.integers(1, 500),
    written=st.floats(1, 500),
    more=st.floats(1, 4),
    engine=st.sampled_from(["hf", "vllm"]),
)
def test_more_work_never_costs_less(rows: int, written: float, more: float, engine: str) -> None:
    model = Loaded(SHAPE, "bfloat16", named_device("l4", Runtime()))
    fixed = {"shards": 2, "batches": 3, "prompt": 10.0, "longest": 2000.0, "engine": engine}
    small = writing(model, rows=rows, written=written, **fixed)  # type: ignore[arg-type]
    longer = writing(model, rows=rows, written=written * more, **fixed)  # type: ignore[arg-type]
    wider = writing(model, rows=rows * 2, written=written, **fixed)  # type: ignore[arg-type]
    assert small.seconds <= longer.seconds
    assert small.seconds <= wider.seconds
    assert small.bytes <= min(longer.bytes, wider.bytes)


def test_checkpointing_trades_time_for_memory() -> None:
    model = Loaded(published_shapes()["Qwen/Qwen2.5-Math-7B"], "bfloat16", named_device("h200", Runtime()))
    sizes = {"updates": 10, "tokens": 8000.0, "kept": 500.0, "at_once": 16384, "positions": 110, "rank": 8}
    plain = training(model, checkpointing=False, **sizes)  # type: ignore[arg-type]
    kept = training(model, checkpointing=True, **sizes)  # type: ignore[arg-type]
    assert kept.bytes < plain.bytes
    assert kept.seconds > plain.seconds


@given(rows=st.integers(0, 400), per_shard=st.integers(1, 130), size=st.integers(1, 70))
def test_batches_are_those_of_shards_cut_one_by_one(rows: int, per_shard: int, size: int) -> None:
    shards = [min(per_shard, rows - start) for start in range(0, rows, per_shard)]
    assert batches(rows, per_shard, size) == sum(len(range(0, shard, size)) for shard in shards)


# Plans


def expected(plan: Plan, runs: Path, device: str | None = None) -> PlanEstimate:
    found = device_here(ONE_CORE, runs) if device is None else named_device(device, ONE_CORE)
    assert found is not None
    return estimate_plan(plan, runs, found)


def test_without_earlier_runs_a_plan_says_that_it_is_unchecked(quickstart: Plan, tmp_path: Path) -> None:
    estimate = expected(quickstart, tmp_path)
    text = "\n".join(cost_lines(estimate))
    assert "Expected with 2 workers, each on 1 CPU core" in text
    assert "More workers would not make it shorter than" in text
    alone = expected(plan_of(RECIPES / "quickstart.yaml", tmp_path, "runtime.workers=1"), tmp_path)
    assert "Expected on 1 CPU core" in "\n".join(cost_lines(alone))
    assert alone.seconds / 2 < estimate.seconds < alone.seconds
    assert "This follows from a generic x86-64 core" in text
    assert "unchecked" in text
    assert estimate.bytes is not None
    assert estimate.bytes > BASE_BYTES["cpu"]


def test_a_machine_that_others_keep_busy_is_said_to_be(
    quickstart: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = expected(quickstart, tmp_path)
    for cores, said in ((4, True), (16, False)):
        monkeypatch.setattr(os, "getloadavg", lambda: (12.0, 0.0, 0.0))
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert ("Now about 3 processes want each of its cores" in "\n".join(cost_lines(estimate))) == said


def test_tuned_tokens_are_exact_once_samples_are_there(quickstart: Plan, tmp_path: Path) -> None:
    train, samples = stage_called(quickstart, "train", "lightr"), stage_called(quickstart, "samples", "kl")
    before = expected(quickstart, tmp_path).stages[train.key]
    assert (before.tokens, before.exact) == (256 * 128, False)
    finish(stage_called(quickstart, "rollouts"), tmp_path, rollouts=256, tokens=4112)
    finish(samples, tmp_path, kept_steps=878)
    after = expected(quickstart, tmp_path).stages
    assert (after[train.key].tokens, after[train.key].exact) == (878, True)
    assert cost_cells([after[train.key]])[0] == "878"
    written = after[stage_called(quickstart, "rollouts").key]
    assert (written.tokens, written.exact, written.seconds) == (4112, True, 0.0)


def test_a_short_training_tunes_part_of_its_samples(tmp_path: Path) -> None:
    plan = plan_of(RECIPES / "quickstart.yaml", tmp_path, "training.updates=2")
    train, samples = stage_called(plan, "train", "lightr"), stage_called(plan, "samples", "kl")
    finish(stage_called(plan, "rollouts"), tmp_path, rollouts=256, tokens=4112)
    finish(samples, tmp_path, kept_steps=878)
    found = expected(plan, tmp_path).stages[train.key]
    assert (found.tokens, found.exact) == (878, False)
    steps = plan_of(
        RECIPES / "quickstart.yaml",
        tmp_path,
        "training.updates=2",
        "training.rollouts_per_update=null",
        "training.steps_per_update=16",
    )
    found = expected(steps, tmp_path).stages[stage_called(steps, "train", "lightr").key]
    assert (found.tokens, found.exact) == (32, True)


@pytest.mark.parametrize("name", sorted(path.stem for path in (RECIPES / "paper").glob("*.yaml")))
def test_every_recipe_of_the_paper_has_a_prediction(name: str, tmp_path: Path) -> None:
    estimate = expected(plan_of(RECIPES / "paper" / f"{name}.yaml", tmp_path), tmp_path, "h200")
    assert estimate.unknown == ()
    assert estimate.seconds is not None
    assert 1800 < estimate.seconds < 7 * 86400


def test_a_model_nobody_knows_is_said_to_be_unknown(tmp_path: Path) -> None:
    override = "pair.expert.model=nobody/expert-3B"
    plan = plan_of(RECIPES / "paper" / "qwen2.5-math-1.5b.yaml", tmp_path, override)
    estimate = expected(plan, tmp_path, "h200")
    assert (estimate.seconds, estimate.bytes) == (None, None)
    lines = list(cost_lines(estimate))
    assert lines[1] == "Time and memory are unknown until the config is here of nobody/expert-3B."
    rollouts = estimate.stages[stage_called(plan, "rollouts").key]
    assert cost_cells([rollouts]) == ("<= 128,000", "unknown", "unknown")


def test_a_derived_amateur_is_as_large_as_the_layers_it_keeps(tmp_path: Path) -> None:
    amateur = {"model": None, "derive": {"from": "expert", "layers": 2, "distill_updates": 10}}
    plan = plan_of(RECIPES / "quickstart.yaml", tmp_path, f"pair.amateur={json.dumps(amateur)}")
    estimate = expected(plan, tmp_path)
    assert estimate.unknown == ()
    assert (estimate.stages[stage_called(plan, "derive").key].seconds or 0) > 0


def test_too_little_memory_is_said(tmp_path: Path) -> None:
    plan = plan_of(RECIPES / "paper" / "qwen2.5-math-7b.yaml", tmp_path, "runtime.batch_size=256")
    assert any("more than it has" in line for line in cost_lines(expected(plan, tmp_path, "l4")))
    assert not any("more than it has" in line for line in cost_lines(expected(plan, tmp_path, "h200")))


def test_auto_takes_as_many_rows_as_the_device_has_room_for(tmp_path: Path) -> None:
    def writing_of(size: str, device: str) -> StageEstimate:
        plan = plan_of(RECIPES / "paper" / "qwen2.5-math-7b.yaml", tmp_path, f"runtime.batch_size={size}")
        return expected(plan, tmp_path, device).stages[stage_called(plan, "evaluate").key]

    for device in ("l4", "h200"):
        few, fitting, many = (writing_of(size, device) for size in ("1", "auto", "256"))
        assert (few.bytes or 0) <= (fitting.bytes or 0) <= (named_device(device, ONE_CORE).memory or 0)
        assert (few.seconds or 0) >= (fitting.seconds or 0) >= (many.seconds or 0) > 0
    assert (writing_of("auto", "l4").bytes or 0) < (writing_of("256", "l4").bytes or 0)
    assert (writing_of("auto", "h200").seconds or 0) < (writing_of("1", "h200").seconds or 0)


# History


def test_the_median_run_corrects_and_its_lengths_are_expected(quickstart: Plan, tmp_path: Path) -> None:
    rollouts = stage_called(quickstart, "rollouts").key
    unchecked = expected(quickstart, tmp_path)
    for factor in (2.0, 3.0, 100.0):
        record(tmp_path, run_estimate(work={"rollouts hf": Work(factor, 1.0, 10, 360)}))
    corrected = expected(quickstart, tmp_path)
    assert corrected.stages[rollouts].seconds == pytest.approx(3 * (unchecked.stages[rollouts].seconds or 0))
    assert corrected.bytes == pytest.approx(2 * (unchecked.bytes or 0))
    assert "corrected by 3 earlier runs here on this device; unchecked for evaluate hf" in "\n".join(
        cost_lines(corrected)
    )


def test_a_machine_that_others_use_too_does_not_count_as_slow(tmp_path: Path) -> None:
    record(tmp_path, run_estimate(busy=0.2, work={"train": Work(10.0, 1.0)}))
    assert read_history(tmp_path, "cpu-1", 870528).speed("train").factor == pytest.approx(2.0)


def test_other_devices_and_sizes_teach_nothing(tmp_path: Path) -> None:
    for change in ({"device": "h200"}, {"parameters": 870528 * 5}, {"parameters": 870528 // 5}):
        record(tmp_path, run_estimate(**change))
    assert read_history(tmp_path, "cpu-1", 870528).runs == ()


def test_torn_foreign_and_outdated_lines_are_left_out(tmp_path: Path) -> None:
    record(tmp_path, run_estimate())
    record(tmp_path, run_estimate(model=1))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'\xff\n[]\n{"work": 3}\n{"work": {}, "unknown": 1}\n\n{"rec')
    assert len(read_history(tmp_path, "cpu-1", 870528).runs) == 1


def test_a_run_is_recorded_beside_its_prediction(quickstart: Plan, tmp_path: Path) -> None:
    measuring = Measuring(quickstart, tmp_path)
    rollouts = stage_called(quickstart, "rollouts")
    finish(rollouts, tmp_path, rollouts=256, tokens=4112)
    measuring.record({rollouts.key: artifact(rollouts, 5.0, tmp_path)}, pytest.fail)
    device = device_here(ONE_CORE, tmp_path)
    assert device is not None
    assert processors.kept(tmp_path, 1) is not None, "the first run measures the processor"
    (run,) = read_history(tmp_path, device.name, 870528).runs
    work = run.work["rollouts hf"]
    assert (work.seconds, work.rows, work.tokens) == (5.0, 256, 4112)
    assert run.predicted_seconds > 0
    elsewhere = replace(artifact(rollouts, 5.0, tmp_path), environment={"device": "NVIDIA L4"})
    measuring.record({rollouts.key: elsewhere}, pytest.fail)
    nothing_made = Measuring(quickstart, tmp_path)
    nothing_made.record({rollouts.key: artifact(rollouts, 5.0, tmp_path)}, pytest.fail)
    assert len((tmp_path / FILE).read_text().splitlines()) == 1


def test_a_history_that_cannot_be_written_costs_a_warning(quickstart: Plan, tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    measuring = Measuring(quickstart, tmp_path)
    rollouts = stage_called(quickstart, "rollouts")
    finish(rollouts, tmp_path, rollouts=256, tokens=4112)
    told: list[str] = []
    measuring.record({rollouts.key: artifact(rollouts, 5.0, tmp_path)}, told.append)
    assert "cannot be recorded" in told[0]


def artifact(stage: Stage, seconds: float, runs: Path) -> Artifact:
    return Artifact(
        stage.name, stage.version, stage.key, runs, {}, {}, {}, (), "", seconds, datetime.now(UTC), {}
    )
