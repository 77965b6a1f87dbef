"""Law 1: a field changes a key exactly when it can change the output (every field, one by one)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lrbench.errors import DataError
from lrbench.methods.component import Component
from lrbench.methods.fidelity import HAZARDS
from lrbench.pipeline.data import check_data
from lrbench.pipeline.plan import Plan
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.stages.base import Stage
from lrbench.recipe.arms import resolve_arms
from lrbench.recipe.kinds import Kind, fields_of_kind
from lrbench.recipe.schema import Recipe
from lrbench.results.identity import arm_settings, as_recorded

ARMS: list[Any] = [
    "base",
    "sft",
    "lightr",
    "ground_truth",
    # Its own settings, every one, so that the fields of an override are walked too.
    {
        "name": "varied",
        "like": "lightr",
        "source": "greedy",
        "selector": "all",
        "target": "contrast",
        "divergence": {"alpha": 0.3, "beta": 0.5},
        "training": {
            "updates": 4,
            "rollouts_per_update": 5,
            "steps_per_update": None,
            "learning_rate": 2e-3,
            "weight_decay": 0.1,
            "max_gradient_norm": 0.5,
            "lora": {"r": 4, "alpha": 8.0, "dropout": 0.1, "target_modules": ["q_proj"]},
        },
    },
]
# A value of another kind than +1 / + 0.01 / another name would give; by path.
OTHERS: dict[str, Any] = {
    "pair.expert.model": None,
    "pair.amateur.model": None,
    "pair.expert.revision": None,
    "pair.amateur.revision": None,
    "pair.expert.dtype": "bfloat16",
    "pair.amateur.dtype": "bfloat16",
    "pair.align": "tokens",
    "data.train": "embedded/formal",
    "data.selection": "sample",
    "sampling.system_prompt": "Think.",
    "sampling.engine.name": "vllm",
    "sampling.engine.url": "http://127.0.0.1:8000",
    "sampling.engine.served_as": "other",
    "evaluation.engine.name": "vllm",
    "evaluation.engine.url": "http://127.0.0.1:8000",
    "evaluation.engine.served_as": "other",
    "evaluation.suite": None,
    "runtime.queue": True,
    "runtime.device": "cpu",
    "arms.4.name": "other",
    "arms.4.like": "no_contrast",
    "arms.4.source": "solutions",
    "arms.4.selector": "kl",
    "arms.4.target": "own_token",
    "arms.4.objective": {"divergence": "js"},
    "arms.4.answer": {"prefill": "First"},
    "measure": {"samples": 2},
    "fidelity": "last_column",
    "arms.4.fidelity": "last_column",
    "arms.4.start": "lightr",
    "compare.subject": "lightr",
    "compare.against": ["base"],
}
# Fields that no other single value can be tried for here; each with the test that covers it.
ELSEWHERE = {
    "pair.expert.model": "test_other_weights_change_every_key_of_the_pair",
    "pair.amateur.model": "test_other_weights_change_every_key_of_the_pair",
    "pair.amateur.derive": "tests/pipeline/test_deriving.py",
    "pair.least_mass": "test_how_a_pair_is_aligned_decides_its_scores_alone",
    "pair.expert.revision": "a revision is part of the weight identity of hub models only",
    "pair.amateur.revision": "a revision is part of the weight identity of hub models only",
    "evaluation.suite": "test_the_choice_of_benchmarks_and_items_decides_what_is_measured",
    "evaluation.lm_eval": "tests/evaluation/named_tasks",
    "evaluation.benchmarks": "test_the_choice_of_benchmarks_and_items_decides_what_is_measured",
    "evaluation.items": "test_the_choice_of_benchmarks_and_items_decides_what_is_measured",
    "evaluation.select_on": "tests/pipeline/test_selecting.py",
    "seeds": "what seeds and sweeps share is tested in test_sharing.py",
    "sweep": "what seeds and sweeps share is tested in test_sharing.py",
    "data.seed": "test_a_seed_decides_a_sample_alone",
    "runtime.data_root": "test_where_data_lies_changes_no_key",
    "training.budget.match": "tests/pipeline/test_training.py",
    "arms.4.training.budget.match": "tests/pipeline/test_training.py",
    "training.budget.on": "decides nothing without `match`; tests/pipeline/test_training.py",
    "arms.4.training.budget.on": "decides nothing without `match`; tests/pipeline/test_training.py",
    "training.steps_per_update": "test_the_unit_of_an_update_changes_the_training_key",
    "arms.4.training.steps_per_update": "test_the_unit_of_an_update_changes_the_training_key",
    # The ingredients of `varied` are all its own, so which arm it is like decides nothing more.
    "arms.4.like": "all ingredients are given",
    "arms.4.change": "there is one so far",
    "controls": "are arms that are added; tests/recipe/test_controlling.py",
    "models": "decide something where an arm reads them; tests/pipeline/test_answering.py",
    "arms.4.divergence.beta": "`varied` keeps all steps, so beta decides nothing",
}


def leaves(value: Any, path: str = "", kind: Kind = Kind.OUTPUT) -> Iterator[tuple[str, Any, Kind]]:
    """Every scalar field of a recipe with its dotted path and its kind."""
    if isinstance(value, BaseModel) and not isinstance(value, Component):
        for name in type(value).model_fields:
            own = next((k for k in Kind if name in fields_of_kind(type(value), k)), Kind.OUTPUT)
            inner = kind if kind is not Kind.OUTPUT else own
            yield from leaves(getattr(value, name), f"{path}.{name}" if path else name, inner)
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}", kind)
    else:
        yield path, value, kind


def changed(value: Any, path: str) -> Any:
    if path in OTHERS:
        return OTHERS[path]
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 0.8 + 0.03
        case str():
            return value + "x"
        case tuple():
            return [*value[:-1], "o_proj"]
        case None:
            return 3
    raise AssertionError(f"no other value known for {path} ({value!r})")


def with_change(recipe: Recipe, path: str, value: Any) -> Recipe:
    fields = recipe.model_dump(mode="json")
    *parents, last = path.split(".")
    place: Any = fields
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return Recipe.model_validate(fields)


def keys(plan: Plan) -> set[str]:
    return {stage.key for stage in plan.stages}


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(arms=ARMS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def test_every_field_changes_keys_exactly_when_it_can_change_the_output(recipe: Recipe, runs: Path) -> None:
    before = keys(plan_recipe(recipe, runs))
    walked = 0
    for path, value, kind in leaves(recipe):
        if path in ELSEWHERE or (path.startswith("arms.") and not path.startswith("arms.4.")):
            continue
        after = keys(plan_recipe(with_change(recipe, path, changed(value, path)), runs))
        is_name = path == "arms.4.name"
        if kind is Kind.OUTPUT and not is_name:
            assert after != before, f"{path} can change the output but changes no key"
        else:
            assert after == before, f"{path} cannot change the output but changes a key"
        walked += 1
    assert walked > 35


def test_an_objective_decides_adapters_and_of_samples_alone_what_is_left_out(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    def adapter(target: Any, objective: Any) -> Any:
        arm = {"name": "lightr", "target": target, "objective": objective}
        return plan_recipe(make_recipe(arms=[arm]), runs).arms[0].adapter

    soft = {"use": "soft", "of": "expert"}
    plain, same, js, tempered = (
        [adapter(target, objective) for target in ("contrast", soft)]
        for objective in (None, {"divergence": "forward"}, {"divergence": "js"}, {"temperature": 2.0})
    )
    assert [each.key for each in same] == [each.key for each in plain]
    for place in (0, 1):
        assert len({each[place].key for each in (plain, js, tempered)}) == 3
    usual = adapter({"use": "contrast", "leave_out_odd": True}, None)
    assert usual.samples.key != plain[0].samples.key
    # A contrast leaves nothing out.
    assert js[0].samples.key == plain[0].samples.key
    assert plain[1].samples.key != js[1].samples.key == tempered[1].samples.key


def test_what_an_arm_is_called_and_what_the_recipe_is_called_change_nothing(
    recipe: Recipe, runs: Path
) -> None:
    renamed = with_change(with_change(recipe, "name", "other"), "arms.4.name", "other")
    assert keys(plan_recipe(renamed, runs)) == keys(plan_recipe(recipe, runs))


def test_the_unit_of_an_update_changes_the_training_key(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    rollouts, steps = (
        plan_recipe(make_recipe(training={"updates": 6, unit: 8}), runs)
        for unit in ("rollouts_per_update", "steps_per_update")
    )
    assert rollouts.arms[1].adapter is not None
    assert steps.arms[1].adapter is not None
    assert rollouts.arms[1].adapter.key != steps.arms[1].adapter.key
    assert rollouts.arms[1].adapter.samples.key == steps.arms[1].adapter.samples.key


def test_other_weights_change_every_key_of_the_pair(
    make_recipe: Callable[..., Recipe], local_pair: tuple[Path, Path], runs: Path
) -> None:
    expert, amateur = (str(folder) for folder in local_pair)
    before = plan_recipe(make_recipe(), runs)
    swapped = plan_recipe(
        make_recipe(pair={"expert": {"model": amateur}, "amateur": {"model": expert}}), runs
    )
    assert not keys(before) & keys(swapped)
    other_amateur = plan_recipe(
        make_recipe(pair={"expert": {"model": expert}, "amateur": {"model": expert}}), runs
    )
    lightr, other = before.arms[1].adapter, other_amateur.arms[1].adapter
    assert lightr is not None
    assert other is not None
    assert lightr.samples.rollouts.key == other.samples.rollouts.key
    assert lightr.samples.key != other.samples.key


def test_the_choice_of_benchmarks_and_items_decides_what_is_measured(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    def measured(**evaluation: Any) -> dict[str, str]:
        recipe = make_recipe(arms=["base"], evaluation={"suite": "embedded7", **evaluation})
        return {score.benchmark: score.key for score in plan_recipe(recipe, runs).arms[0].scores}

    everything = measured()
    assert measured(benchmarks=["choice", "formal"]) == {
        name: everything[name] for name in ("formal", "choice")
    }
    listed = measured(benchmarks=["hard"], items=["hard-test-0", "hard-test-1"])
    limited = measured(benchmarks=["hard"], limit=2)
    assert len({listed["hard"], limited["hard"], everything["hard"]}) == 3


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"items": ["hard-test-0"]}, "lists no item of multi_step"),
        (
            {"items": ["hard-test-0", "hard-test-x"], "benchmarks": ["hard"]},
            "`hard-test-x` is no item of hard",
        ),
    ],
)
def test_listed_items_that_cannot_be_measured_are_told(
    make_recipe: Callable[..., Recipe], runs: Path, evaluation: dict[str, Any], message: str
) -> None:
    recipe = make_recipe(evaluation={"suite": "embedded7", **evaluation})
    with pytest.raises(DataError, match=message):
        plan_recipe(recipe, runs)


def test_a_seed_decides_a_sample_alone(make_recipe: Callable[..., Recipe], runs: Path) -> None:
    def planned(selection: str, seed: int) -> set[str]:
        data = {"train": "embedded/multi_step", "problems": 70, "selection": selection, "seed": seed}
        return keys(plan_recipe(make_recipe(data=data), runs))

    assert planned("first", 0) == planned("first", 1) != planned("sample", 0)
    assert planned("sample", 0) != planned("sample", 1)


def test_where_data_lies_changes_no_key(
    make_recipe: Callable[..., Recipe], runs: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(root: Path | None) -> set[str]:
        recipe = make_recipe(
            data={"train": "gsm8k/train", "problems": 5},
            evaluation={"suite": "mmlu_stem_5shot", "limit": 2},
            runtime={"data_root": root and str(root)},
        )
        return keys(plan_recipe(recipe, runs))

    given = planned(shared / "data")
    monkeypatch.setenv("LRBENCH_DATA", str(shared / "data"))
    assert planned(None) == given


def test_missing_data_stops_the_plan(
    make_recipe: Callable[..., Recipe], runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_DATA", str(tmp_path))
    recipe = make_recipe(evaluation={"suite": "math7", "benchmarks": ["svamp"]})
    for look in (check_data, lambda recipe: plan_recipe(recipe, runs)):
        with pytest.raises(
            DataError, match=r"\(LRBENCH_DATA\) has no svamp_test.jsonl or svamp_test.jsonl.gz"
        ):
            look(recipe)


def test_a_sweep_over_alpha_and_beta_scores_once(make_recipe: Callable[..., Recipe], runs: Path) -> None:
    plans = [
        plan_recipe(make_recipe(divergence={"alpha": alpha, "beta": beta}), runs)
        for alpha in (0.1, 0.2)
        for beta in (0.2, 0.4)
    ]
    by_stage = [{stage.name: stage.key for stage in plan.stages} for plan in plans]
    assert len({stages["scores"] for stages in by_stage}) == 1
    assert len({stages["samples"] for stages in by_stage}) >= 1
    lightr = {plan.arms[1].adapter.samples.key for plan in plans if plan.arms[1].adapter}
    assert len(lightr) == 4


def test_arms_with_one_source_share_its_rollouts_and_base_is_measured_once(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    plan = plan_recipe(make_recipe(arms=["base", "lightr", "no_contrast", "no_selection", "neither"]), runs)
    names = [stage.name for stage in plan.stages]
    assert names.count("rollouts") == 1
    assert names.count("scores") == 1
    assert names.count("train") == 4
    assert names.count("evaluate") == 5 * 2


def test_how_a_pair_is_aligned_decides_its_scores_alone(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    by_ids = make_recipe()

    def planned(**align: Any) -> dict[str, str]:
        recipe = by_ids.model_copy(update={"pair": by_ids.pair.model_copy(update=align)})
        return {stage.name: stage.key for stage in plan_recipe(recipe, runs).arms[1].stages()}

    before, default = planned(), planned(align="tokens")
    assert planned(align="tokens", least_mass=0.9) == default
    lower = planned(align="tokens", least_mass=0.8)
    assert before["rollouts"] == default["rollouts"] == lower["rollouts"]
    for stage in ("scores", "samples", "train"):
        assert len({before[stage], default[stage], lower[stage]}) == 3


def test_scores_of_a_pair_that_is_not_aligned_have_the_identity_they_always_had(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    stages = {stage.name: stage for stage in plan_recipe(make_recipe(), runs).stages}
    assert stages["scores"].identity.keys() == {"expert", "amateur", "alpha_min"}


# What the four stages behind an adapter and its evaluation had as keys before there was `fidelity`.
BEFORE_FIDELITY = {
    "rollouts": {"expert", "texts", "system_prompt", "max_new_tokens", "engine"},
    "scores": {"expert", "amateur", "alpha_min"},
    "samples": {"selector", "target", "alpha", "beta"},
    "train": {"expert", "training", "seed"},
    "evaluate": {"expert", "protocol", "items"},
}


def by_name(recipe: Recipe, runs: Path) -> dict[str, Stage]:
    arm = next(arm for arm in plan_recipe(recipe, runs).arms if arm.arm.name == "lightr")
    return {stage.name: stage for stage in arm.stages()}


ROWS = {"updates": 6, "steps_per_update": 16, "learning_rate": 1e-3}


@pytest.mark.parametrize("written", [None, "corrected", {}, {"last_column": False}])
def test_a_corrected_arm_has_the_identities_that_it_had_before_there_was_fidelity(
    make_recipe: Callable[..., Recipe], runs: Path, written: Any
) -> None:
    said = {} if written is None else {"fidelity": written}
    recipe = make_recipe(training=ROWS, arms=["base", {"name": "lightr", **said}], **said)
    stages = by_name(recipe, runs)
    assert {name: set(stage.identity) for name, stage in stages.items()} == BEFORE_FIDELITY
    assert "fidelity" not in arm_settings(recipe, resolve_arms(recipe)[1], "")


@pytest.mark.parametrize(
    "target", [{"use": "contrast", "alpha": 0.3}, {"use": "plausible", "alpha": 0.3}, "contrast"]
)
def test_settings_say_which_target_it_is_and_are_known_without(
    make_recipe: Callable[..., Recipe], target: Any
) -> None:
    recipe = make_recipe(training=ROWS, arms=["base", {"name": "mine", "like": "lightr", "target": target}])
    settings = arm_settings(recipe, resolve_arms(recipe)[1], "")
    assert settings["target"] == target
    earlier = {**settings, "target": {"alpha": 0.3} if isinstance(target, dict) else target}
    assert as_recorded(settings, earlier) == earlier
    assert as_recorded(settings, settings) == settings


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_hazard_is_read_by_one_stage_and_changes_the_keys_of_it_and_of_what_reads_that(
    make_recipe: Callable[..., Recipe], runs: Path, hazard: str
) -> None:
    order = list(BEFORE_FIDELITY)
    before = by_name(make_recipe(training=ROWS), runs)
    after = by_name(make_recipe(training=ROWS, arms=["base", {"name": "lightr", "fidelity": [hazard]}]), runs)
    reads = [name for name in order if "fidelity" in after[name].identity]
    assert reads == [HAZARDS[hazard].stage]
    assert after[reads[0]].identity["fidelity"] == [hazard]
    changed = [name for name in order if after[name].key != before[name].key]
    assert changed == order[order.index(reads[0]) :]


def test_an_arm_that_is_only_merged_otherwise_is_another_model_with_the_same_adapter(
    make_recipe: Callable[..., Recipe], runs: Path
) -> None:
    sweep = {"grid": {"fidelity": ["corrected", "merged_in_bfloat16"]}}
    planned = plan_recipe(make_recipe(training=ROWS, sweep=sweep), runs).arms
    exact, merged = (arm for arm in planned if arm.arm.name == "lightr")
    assert exact.adapter is not None
    assert merged.adapter is not None
    assert exact.adapter.key == merged.adapter.key
    assert exact.model != merged.model
    assert [dict(arm.point) for arm in planned if arm.arm.name == "base"] == [{}]
