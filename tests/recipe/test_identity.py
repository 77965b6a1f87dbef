from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lrbench.methods.component import Component
from lrbench.recipe.fields import leaf_paths, schema_at
from lrbench.recipe.identity import _without_nulls, output_fields, recipe_hash, resolved_yaml
from lrbench.recipe.kinds import Kind, fields_of_kind
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.messages import Path as FieldPath
from lrbench.recipe.schema import Recipe, Section
from lrbench.store.keys import stable_hash

COMPLETE: dict[str, Any] = {
    "name": "all",
    "description": "every section is here",
    "seed": 0,
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "embedded/multi_step", "problems": 8},
    "training": {"updates": 5, "rollouts_per_update": 2},
    "arms": [{"name": "lightr"}],
    "evaluation": {"suite": "embedded7"},
}

# The kind of every field that is not OUTPUT; whatever else the schema has must change the hash.
LABELS = {
    ("name",),
    ("description",),
    ("controls", "of"),
    ("controls", "prefill"),
    ("controls", "forced", "force"),
    ("controls", "forced", "first"),
    ("measure", "confidence"),
    ("compare", "subject"),
    ("compare", "against"),
    ("claims",),
}
RUNTIME = {
    ("sampling", "engine", "url"),
    ("sampling", "engine", "served_as"),
    ("evaluation", "engine", "url"),
    ("evaluation", "engine", "served_as"),
    ("runtime", "data_root"),
    ("runtime", "device"),
    ("runtime", "threads"),
    ("runtime", "batch_size"),
    ("runtime", "updates_between_saves"),
    ("runtime", "tokens_per_forward"),
    ("runtime", "gradient_checkpointing"),
    ("runtime", "compile"),
    ("runtime", "processes"),
    ("runtime", "workers"),
    ("runtime", "queue"),
    ("runtime", "cuda_graphs"),
    ("runtime", "tensor_parallel"),
}

# Another valid value for the fields where none follows from the type alone.
OTHER_WORDS = {
    ("pair", "expert", "model"): "embedded/amateur",
    ("pair", "amateur", "model"): "embedded/expert",
    ("data", "train"): "embedded/formal",
    ("arms", 0, "name"): "sft",
    ("arms", 0, "like"): "neither",
    ("arms", 0, "source"): "solutions",
    ("arms", 0, "selector"): "all",
    ("arms", 0, "target"): "own_token",
    ("arms", 0, "objective"): {"divergence": "js"},
    ("arms", 0, "change"): "vectors",
    ("arms", 0, "answer"): {"prefill": "First"},
    ("fidelity",): "reference",
    ("measure", "confidence"): "([0-9]+)%",
    ("measure", "repeats"): 2,
    ("arms", 0, "fidelity"): "last_column",
    ("arms", 0, "start"): "sft",
    ("models",): {"teacher": {"model": "embedded/careful"}},
    ("evaluation", "lm_eval"): {"tasks": ["arc_easy"]},
    ("seeds",): [0, 1],
    ("sweep", "grid"): {"divergence.alpha": [0.2, 0.3]},
    ("sweep", "points"): [{"divergence.alpha": 0.2}],
}


def with_value(values: dict[str, Any], path: FieldPath, value: object) -> Recipe:
    """The recipe of `values` with one field changed, whatever else the change would ask for."""

    def placed(inner: Any, rest: FieldPath) -> Any:
        if not rest:
            return value
        if isinstance(inner, list):
            return [placed(inner[0], rest[1:])]
        return (inner or {}) | {rest[0]: placed((inner or {}).get(rest[0]), rest[1:])}

    return Recipe.model_validate(placed(values, path))


def current(recipe: Recipe, path: FieldPath) -> Any:
    value: Any = recipe
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part, None)
    return value


def another_value(path: FieldPath, now: Any) -> object:
    """A valid value that differs from `now`."""
    if path in OTHER_WORDS:
        return OTHER_WORDS[path]
    node = schema_at(path)
    assert node is not None
    node = next((option for option in node.get("anyOf", []) if option.get("type") != "null"), node)
    if "enum" in node:
        return next(choice for choice in node["enum"] if choice != now)
    match node["type"]:
        case "integer":
            return (now or 6) + 1
        case "boolean":
            return not now
        case "number":
            return 0.5 if now is None else now / 2 + 0.25
        case "array":
            return ["o_proj"]
        case _:
            return "another"


DERIVE = ("pair", "amateur", "derive")
DERIVATION = {"from": "expert", "layers": 6, "distill_updates": 6}
# The words of an arm are components, whose parts make sense together alone.
WORDS = ("source", "selector", "target", "objective", "change", "answer")
# Where an amateur is derived from has one possible value.
SINGLE = {(*DERIVE, "from")}
# Controls are arms that are added; tests/recipe/test_controlling.py says what they are to the hash.
ADDING = "controls"
CHANGEABLE = [
    path
    for path in leaf_paths()
    if path[0] != ADDING
    and path not in SINGLE
    and not (path[0] == "arms" and path[2] in WORDS and len(path) > 3)
]


@pytest.mark.parametrize("path", CHANGEABLE, ids=lambda path: ".".join(map(str, path)))
def test_the_hash_changes_with_every_field_that_can_change_a_result_and_no_other(path: FieldPath) -> None:
    derived = COMPLETE | {"pair": COMPLETE["pair"] | {"amateur": {"derive": DERIVATION}}}
    drawn = COMPLETE | {"measure": {"samples": 4}}
    values = derived if path[:3] == DERIVE else drawn if path[0] == "measure" else COMPLETE
    before = Recipe.model_validate(values)
    after = with_value(values, path, another_value(path, current(before, path)))
    assert after != before
    assert (recipe_hash(after) == recipe_hash(before)) == (path in LABELS | RUNTIME)


def test_how_answers_would_be_sampled_is_nothing_to_those_that_are_not() -> None:
    stated = Recipe.model_validate(COMPLETE | {"measure": {"confidence": "([0-9]+)%"}})
    assert recipe_hash(stated) == recipe_hash(Recipe.model_validate(COMPLETE | {"measure": None}))


COMPONENTS = [
    ("target", "contrast"),
    ("target", {"use": "contrast", "alpha": 0.3}),
    ("target", {"use": "contrast", "alpha": 0.4}),
    ("target", {"use": "contrast", "minus": "expert"}),
    ("target", {"use": "contrast", "leave_out_odd": True}),
    ("target", {"use": "soft", "of": "expert", "temperature": 0.5}),
    ("target", {"use": "soft", "of": "expert", "top_k": 2}),
    ("target", {"use": "soft", "of": "expert", "truncate": True}),
    ("objective", {"divergence": "js"}),
    ("objective", {"divergence": "js", "temperature": 2.0}),
    ("objective", {"temperature": 2.0}),
    ("target", [{"use": "own_token", "weight": 0.5}, {"use": "contrast", "weight": 0.5}]),
    ("target", [{"use": "own_token", "weight": 0.25}, {"use": "contrast", "weight": 0.75}]),
    ("answer", {"mix": {"expert": 1.0, "amateur": -1.0}}),
    ("answer", {"mix": {"expert": 1.5, "amateur": -1.0}}),
    ("answer", {"mix": {"expert": 1.0, "amateur": -1.0}, "alpha": 0.1}),
    ("answer", {"mix": {"expert": 1.0, "amateur": -1.0}, "when": {"signal": "kl", "above": 0.4}}),
    ("answer", {"mix": {"expert": 1.0, "amateur": -1.0}, "when": {"signal": "kl", "below": 0.4}}),
    ("answer", {"route": {"to": "amateur", "when": {"signal": "entropy", "above": 0.4}}}),
    ("answer", {"route": {"to": "amateur", "nearest": {"own": ["2?"], "other": ["3?"]}}}),
    ("answer", {"route": {"to": "amateur", "nearest": {"own": ["3?"], "other": ["2?"]}}}),
    ("answer", {"route": {"to": "amateur", "nearest": {"own": ["2?"], "other": ["3?"], "k": 1}}}),
    ("answer", {"route": {"to": "amateur", "first": {"signal": "log_p", "below": -0.4}}}),
    ("answer", {"route": {"to": "amateur", "first": {"signal": "log_p", "below": -0.5}}}),
    ("answer", {"route": {"to": "amateur", "first": {"signal": "entropy", "below": 0.4}}}),
    ("answer", {"route": {"to": "amateur", "router": "learnt"}}),
    ("answer", {"route": {"to": "amateur", "router": {"share": 0.1}}}),
    ("answer", {"route": {"to": "amateur", "router": {"recall": 0.9}}}),
    ("answer", {"route": {"to": "amateur", "router": {"above": 0.1}}}),
    ("answer", {"route": {"to": "amateur", "router": {"tokens": 8}}}),
    ("answer", {"route": {"to": "amateur", "router": {"epochs": 2}}}),
    ("answer", {"lead": {"by": "amateur", "tokens": 4}}),
    ("answer", {"lead": {"by": "amateur", "tokens": 4, "share": 0.5}}),
    ("answer", {"vote": 4}),
    ("change", "vectors"),
    ("selector", {"signal": "critical"}),
    ("selector", {"signal": "critical", "ranks": [2]}),
    ("selector", {"signal": "critical", "all": False}),
    ("selector", {"signal": "critical", "tokens": 8}),
    ("selector", {"signal": "critical", "stride": 2}),
    ("selector", {"signal": "critical", "cap": 8}),
    ("selector", {"signal": "attempt"}),
    ("selector", {"signal": "attempt", "failed": True}),
    ("selector", {"signal": "attempt", "after": "No."}),
    ("source", {"writer": "expert", "check": "right"}),
    ("source", {"writer": "expert", "check": "right", "top_p": 0.9}),
    ("source", {"writer": "expert", "shape": "prune"}),
    ("source", {"writer": "expert", "shape": "attempts"}),
    *(
        ("source", {"writer": "expert", "shape": {"prune": "lines", **setting}})
        for setting in ({}, {"prune": "end"}, {"tokens": 8}, {"stride": 2}, {"cap": 8})
    ),
    ("selector", {"signal": "divergent"}),
    ("selector", {"signal": "divergent", "over": "arm:sft"}),
    ("answer", {"again": "1/2"}),
    ("answer", {"again": 16}),
    ("answer", {"vote": 4, "temperature": 0.5}),
    ("answer", {"vote": 4, "seed": 1}),
    ("answer", {"stop_bias": 1.0}),
    ("answer", {"budget": {"at_least": 4}}),
    ("answer", {"budget": {"at_most": 4}}),
    ("answer", {"force": {"It": "We"}}),
    ("answer", {"force": {"It": "We"}, "first": 1}),
    ("answer", {"force": {"It": "So"}}),
    ("answer", {"take_over": {"by": "expert"}}),
    ("answer", {"take_over": {"by": "amateur"}}),
    ("answer", {"take_over": {"by": "expert", "after": "."}}),
    ("answer", {"take_over": {"by": "expert", "cues": {"affirm": []}}}),
    ("answer", {"take_over": {"by": "expert", "cues": {"reflect": []}}}),
    ("answer", {"take_over": {"by": "expert", "cues": {"verify": []}}}),
    ("answer", {"take_over": {"by": "expert", "draft": 8}}),
    ("answer", {"take_over": {"by": "expert", "verify": 8}}),
    ("answer", {"take_over": {"by": "expert", "recap": None}}),
    *(
        ("answer", {"take_over": {"by": "expert", "recap": {word: 40}}})
        for word in ("after", "later", "latest", "tokens", "more", "most")
    ),
    ("answer", {"take_over": {"by": "expert", "recap": {"text": ""}}}),
    ("answer", {"cache_shift": {"towards": "{question}", "questions": ["2?"]}}),
    ("answer", {"cache_shift": {"towards": "{question}", "questions": ["3?"]}}),
    ("answer", {"cache_shift": {"towards": "So. {question}", "questions": ["2?"]}}),
    ("answer", {"cache_shift": {"towards": "{question}", "questions": ["2?"], "away": "So. {question}"}}),
    ("answer", {"cache_shift": {"towards": "{question}", "questions": ["2?"], "keys": 1.0}}),
    ("answer", {"cache_shift": {"towards": "{question}", "questions": ["2?"], "values": 2.0}}),
    ("answer", {"rewrite": {"by": "expert", "below": -1.0}}),
    ("answer", {"rewrite": {"by": "amateur", "below": -1.0}}),
    ("answer", {"rewrite": {"by": "expert", "below": -0.5}}),
    ("answer", {"rewrite": {"by": "expert", "below": -1.0, "after": "."}}),
    ("answer", {"chain": ["expert", "own"]}),
    ("answer", {"chain": ["own", "expert"]}),
    ("answer", {"chain": ["expert", "own"], "place": "answer"}),
    ("answer", {"chain": ["expert", "own"], "tokens": 4}),
    ("answer", {"chain": ["expert", "own"], "ask": " Plan it."}),
    ("answer", {"chain": ["expert", "own"], "tell": " So: {plan}"}),
    ("answer", {"chain": ["expert", "own"], "agree": {"by": "own"}}),
    ("answer", {"chain": ["expert", "own"], "agree": {"by": "own", "rounds": 2}}),
    ("answer", {"chain": ["expert", "own"], "agree": {"by": "own", "temperature": 0.5}}),
    ("answer", {"chain": ["expert", "own"], "agree": {"by": "own", "seed": 1}}),
]


def with_word(word: str, value: object) -> str:
    return recipe_hash(Recipe.model_validate(COMPLETE | {"arms": [{"name": "lightr", word: value}]}))


def test_every_setting_of_a_component_changes_the_hash() -> None:
    hashes = {with_word(word, value) for word, value in COMPONENTS}
    assert len(hashes) == len(COMPONENTS)


def test_a_component_has_one_hash_however_it_is_written() -> None:
    written = ["contrast", {"use": "contrast"}, {"use": "contrast", "minus": "amateur"}]
    assert len({with_word("target", value) for value in written}) == 1
    plain = ["forward", {"divergence": "forward"}, {"temperature": 1.0}]
    assert len({with_word("objective", value) for value in plain}) == 1
    tempered = [{"temperature": 2.0}, {"temperature": 2.0, "divergence": "forward"}]
    assert len({with_word("objective", value) for value in tempered}) == 1


def test_a_field_that_is_not_used_is_no_part_of_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.model_validate(COMPLETE)
    before = recipe_hash(recipe)
    found = output_fields(recipe)
    later = found | {"later": None, "section": {"later": None}}
    monkeypatch.setattr("lrbench.recipe.identity.output_fields", lambda _recipe: later)
    assert recipe_hash(recipe) == before
    monkeypatch.setattr("lrbench.recipe.identity.output_fields", lambda _recipe: found | {"later": [None]})
    assert recipe_hash(recipe) != before


def test_a_pair_that_is_not_aligned_has_the_hash_it_had_before_it_could_be() -> None:
    recipe = Recipe.model_validate(COMPLETE)
    found = output_fields(recipe)
    del found["fidelity"]
    earlier = {name: found["pair"][name] for name in ("expert", "amateur")}
    assert recipe_hash(recipe) == stable_hash(_without_nulls(found | {"pair": earlier}))


def test_the_least_mass_that_null_means_has_its_hash() -> None:
    def of(**mass: float) -> str:
        pair = COMPLETE["pair"] | {"align": "tokens", "least_mass": None} | mass
        return recipe_hash(Recipe.model_validate(COMPLETE | {"pair": pair}))

    assert of() == of(least_mass=0.9) != of(least_mass=0.8)


def test_the_declared_kinds_are_the_labels_and_runtime_fields_named_here() -> None:
    assert set(leaf_paths()) >= LABELS | RUNTIME
    assert fields_of_kind(Recipe, Kind.LABEL) == {
        "name",
        "description",
        "claims",
        "compare",
        "controls",
    }
    assert fields_of_kind(Recipe, Kind.RUNTIME) == {"runtime"}


class Cache(Section):
    size: int = 1
    folder: Annotated[str, Kind.RUNTIME] = "here"


class Nested(Section):
    title: Annotated[str, Kind.LABEL] = "a title"
    caches: tuple[Cache, ...] = (Cache(),)


def test_labels_and_runtime_fields_are_left_out_at_every_depth() -> None:
    assert output_fields(Nested()) == {"caches": [{"size": 1}]}


def test_equal_recipes_written_differently_have_one_hash() -> None:
    bare = Recipe.model_validate(COMPLETE | {"arms": ["lightr"]})
    whole = Recipe.model_validate(COMPLETE | {"arms": [{"name": "lightr", "training": {"updates": None}}]})
    assert recipe_hash(bare) == recipe_hash(whole)


def plain_numbers(smallest: float, largest: float) -> st.SearchStrategy[float]:
    return st.floats(smallest, largest, allow_nan=False)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
counts = st.integers(1, 10**15)
# Everything that YAML can hold: no surrogates, since UTF-8 has none.
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    st.text("\\\\${}'\":#-? \n\t.e0_", max_size=12),
    st.text("\n\r\x85\u2028\u2029\ufeff\x7f a", max_size=4),
    st.sampled_from(["???", "yes", "null", "~", "5e-5", "1_000", "010", "1:30", "<<", "${seed}", "\\${"]),
)
modules = st.lists(texts, min_size=1, max_size=3)
own_training = st.fixed_dictionaries(
    {},
    optional={
        "updates": counts,
        "steps_per_update": counts | st.none(),
        "learning_rate": plain_numbers(1e-12, 1),
        "lora": st.fixed_dictionaries({}, optional={"r": counts, "target_modules": modules}),
    },
)
varied_arms = st.fixed_dictionaries(
    {"name": names, "like": st.sampled_from(["sft", "lightr", "neither", "ground_truth"])},
    optional={
        "source": st.sampled_from(["greedy", "solutions", "ground_truth", None]),
        "selector": st.sampled_from(["kl", "all"]),
        "target": st.sampled_from(["contrast", "own_token"]),
        "divergence": st.fixed_dictionaries({}, optional={"alpha": plain_numbers(0.5, 1)}),
        "training": own_training,
    },
)
arms = st.lists(
    st.sampled_from(["base", "sft", "lightr", "neither"]) | varied_arms,
    min_size=1,
    max_size=4,
    unique_by=lambda arm: arm if isinstance(arm, str) else arm["name"],
)
sweeps = st.sampled_from(
    [
        {"grid": {"training.weight_decay": [0.5, 1], "sampling.system_prompt": [None, "${seed}", "\\${x"]}},
        {
            "points": [
                {"training.lora.target_modules": ["yes"]},
                {"training.lora.target_modules": ["no", "1"]},
            ]
        },
    ]
)
recipes = st.fixed_dictionaries(
    {
        "name": names,
        "pair": st.just(COMPLETE["pair"]),
        "data": st.fixed_dictionaries({"train": st.just("embedded/formal"), "problems": counts}),
        "training": st.fixed_dictionaries(
            {"steps_per_update": counts},
            optional={
                "learning_rate": plain_numbers(1e-12, 1),
                "weight_decay": plain_numbers(0, 1),
                "lora": st.fixed_dictionaries({}, optional={"target_modules": modules}),
            },
        ),
        "arms": arms,
        "evaluation": st.fixed_dictionaries(
            {"suite": st.just("embedded7")}, optional={"limit": counts | st.none()}
        ),
    },
    optional={
        "description": texts,
        "seed": st.integers(0, 2**31 - 1),
        "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3, unique=True) | st.none(),
        "sweep": sweeps | st.none(),
        "divergence": st.fixed_dictionaries({}, optional={"alpha": plain_numbers(0.5, 1)}),
        "sampling": st.fixed_dictionaries({}, optional={"system_prompt": texts | st.none()}),
        "runtime": st.fixed_dictionaries({}, optional={"threads": counts}),
    },
)


@given(recipes)
def test_a_resolved_recipe_loads_back_to_an_equal_one(values: dict[str, Any]) -> None:
    if values.get("seeds"):
        values.pop("seed", None)
    recipe = Recipe.model_validate(values)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resolved.yaml"
        file.write_text(resolved_yaml(recipe), encoding="utf-8")
        loaded = load_recipe(file)
    assert loaded == recipe
    assert recipe_hash(loaded) == recipe_hash(recipe)
    assert resolved_yaml(loaded) == resolved_yaml(recipe)


def test_a_resolved_recipe_says_every_field_in_the_order_of_the_schema() -> None:
    recipe = Recipe.model_validate(COMPLETE)
    written = yaml.safe_load(resolved_yaml(recipe))
    assert list(written) == list(Recipe.model_fields)
    assert written["arms"] == [{"name": "lightr"}]
    for path in leaf_paths():
        if path[0] != "arms":
            value: Any = written
            for part in path:
                value = None if value is None else value[part]
            now = current(recipe, path)
            now = now.model_dump() if isinstance(now, Component) else now
            assert value == (list(now) if isinstance(now, tuple) else now)


def test_a_resolved_recipe_stays_as_it_is_when_yaml_1_1_reads_it() -> None:
    for text in ("yes", "010", "5e-5", "1:30", "null", "2026-01-01", "0x10", "=", "1_0"):
        recipe = Recipe.model_validate(COMPLETE | {"description": text})
        assert yaml.safe_load(resolved_yaml(recipe))["description"] == text
