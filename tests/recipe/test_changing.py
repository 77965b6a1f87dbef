"""What does not go with what an arm changes is told with its place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lrbench.recipe.checks import misfits
from lrbench.recipe.schema import Recipe

COMPLETE: dict[str, Any] = {
    "name": "changes",
    "pair": {"expert": {"model": "embedded/expert"}, "amateur": {"model": "embedded/amateur"}},
    "data": {"train": "embedded/multi_step", "problems": 8},
    "training": {"updates": 5, "rollouts_per_update": 2},
    "evaluation": {"suite": "embedded7"},
}


def found(*arms: Any, **sections: Any) -> list[tuple[Any, str]]:
    recipe = Recipe.model_validate(COMPLETE | {"arms": list(arms)} | sections)
    return list(misfits({name: getattr(recipe, name) for name in Recipe.model_fields}))


VLLM = {"name": "vllm"}
ROUTE = {"route": {"to": "amateur", "router": "learnt"}}


@pytest.mark.parametrize(
    ("arms", "sections", "path", "told"),
    [
        (
            [{"name": "lightr", "change": "vectors"}],
            {"evaluation": {"suite": "embedded7", "engine": VLLM}},
            ("arms", 0, "change"),
            "is no LoRA adapter, and the engine vllm takes no others; use `hf` (evaluation.engine.name)",
        ),
        (
            ["lightr", {"name": "vectors", "start": "lightr"}],
            {},
            ("arms", 1, "start"),
            "is of `change: lora`, and this arm's of `vectors`",
        ),
        (
            [{"name": "vectors", "fidelity": "merged_in_bfloat16"}],
            {},
            ("arms", 0),
            "adds vectors that no weight of the model can hold, so it has no hazard `merged_in_bfloat16`",
        ),
        (
            ["vectors", {"name": "kd", "like": "sft", "source": {"writer": "arm:vectors"}}],
            {"sampling": {"engine": VLLM}},
            ("arms", 1, "source"),
            "takes no others; use `hf` (sampling.engine.name), as `arm:vectors` writes it",
        ),
        (
            [{"name": "learnt", "like": "neuro", "answer": ROUTE}],
            {},
            ("arms", 0, "answer"),
            "`change: scale_weights` makes the arm's own model another one; route by `when`",
        ),
        (
            [{"name": "learnt", "like": "base", "answer": ROUTE}],
            {"sampling": {"engine": VLLM}},
            ("arms", 0, "answer"),
            "or write with the expert or an `arm:NAME` (sampling.engine.name), as `amateur` writes what a",
        ),
        (
            ["vectors", {"name": "r2r", "answer": {"route": {"to": "arm:vectors", "router": "learnt"}}}],
            {"sampling": {"engine": VLLM}},
            ("arms", 1, "answer"),
            "takes no others; use `hf` (sampling.engine.name), as `arm:vectors` writes what a learnt route",
        ),
        (
            [{"name": "learnt", "like": "base", "answer": ROUTE}],
            {"evaluation": {"suite": "embedded7", "engine": VLLM}},
            ("arms", 0, "answer"),
            "an answer by `route` has a say in every token, which the engine vllm leaves to the one model",
        ),
    ],
)
def test_what_does_not_fit_is_told(
    arms: list[Any], sections: dict[str, Any], path: tuple[Any, ...], told: str
) -> None:
    assert any(place == path and told in message for place, message in found(*arms, **sections))


SCALE = {"scale_weights": {"by": 1.1}}


def test_a_change_without_training_is_one_of_the_expert() -> None:
    assert found("base", "neuro", {"name": "stronger", "like": "base", "change": SCALE}) == []
    ((path, told),) = found({"name": "lightr", "change": SCALE})
    assert path == ("arms", 0)
    assert told == (
        "`change: scale_weights` is made without training, and the arm `lightr` is trained; say `like: base`"
    )
    ((path, told),) = found("neuro", evaluation={"suite": "embedded7", "engine": VLLM})
    assert path == ("arms", 0)
    assert "makes a model that the engine vllm does not have; use `hf`" in told


def test_an_answer_that_does_not_read_the_changed_model_is_told() -> None:
    ((path, told),) = found({"name": "cd", "change": SCALE})
    assert path == ("arms", 0, "change")
    assert told == (
        "`change: scale_weights` changes the arm's own model, and its answer by `mix` does not read that; "
        "name `own` there in the place of `expert`"
    )
    mix = {"mix": {"own": 1.0, "amateur": -1.0}, "alpha": 0.2}
    assert found({"name": "cd", "change": SCALE, "answer": mix}) == []


def test_bounds_of_short_and_long_texts_leave_none_in_both() -> None:
    heads = {"project_heads": {"short": 30, "long": 20, "heads": 1}}
    with pytest.raises(ValidationError, match="less than 30 tokens would be among those of more than 20"):
        found({"name": "thinkedit", "change": heads})


def test_vectors_by_themselves_are_fine() -> None:
    assert found("base", "lightr", "vectors") == []
