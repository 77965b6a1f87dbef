"""Seeds, sweeps and claims that are wrong, each with its whole message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.embedded.assets import available_models
from lrbench.errors import RecipeError
from lrbench.pipeline.planning import plan_recipe
from lrbench.recipe import sweeping
from lrbench.recipe.loading import load_recipe, load_with_warnings, telling_where
from tests.commands import QUICKSTART

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]

MODELS = ", ".join(f"embedded/{name}" for name in available_models())
FIELDS = "a mapping that gives fields, such as `divergence.alpha`, "


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ("[]", "2:8: seeds: found an empty list, allowed is a list that is not empty or null"),
        ("3", "2:8: seeds: found 3, allowed is a list that is not empty or null"),
        ("[0, -1]", "2:12: seeds.1: found -1, allowed is a whole number in [0, 2147483648)"),
        ("[a]", '2:9: seeds.0: found the text "a", allowed is a whole number in [0, 2147483648)'),
        ("[2, 1, 2]", "2:15: seeds.2: `2` stands twice in the list"),
        (
            "[0]\nseed: 1",
            "2:8: seeds: given beside `seed`, allowed is one of the two",
        ),
    ],
)
def test_wrong_seeds_are_told(refusal: Refusal, changed: Changed, seeds: str, told: str) -> None:
    assert refusal(changed(("seed: 0", f"seeds: {seeds}"))) == [f"r.yaml:{told}"]


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("{}", "19:1: sweep: needs one of `grid` and `points`"),
        ("5", "19:8: sweep: found 5, allowed is a mapping with the fields grid, points or null"),
        (
            "{grid: {}}",
            f"19:15: sweep.grid: found an empty mapping, allowed is {FIELDS}a list of its values or null",
        ),
        (
            "{points: []}",
            "19:17: sweep.points: found an empty list, allowed is a list that is not empty or null",
        ),
        ("{points: [{}]}", f"19:18: sweep.points.0: found an empty mapping, allowed is {FIELDS}its value"),
        ("{points: [3]}", f"19:18: sweep.points.0: found 3, allowed is {FIELDS}its value"),
        (
            "{grid: {divergence.alpha: [0.1]}, points: [{divergence.alpha: 0.2}]}",
            "19:50: sweep.points: given beside `grid`, allowed is one of the two "
            "(null switches the other off)",
        ),
        (
            "{grid: {divergence.alpha: []}}",
            "19:34: sweep.grid.divergence.alpha: found an empty list, allowed is a list that is not empty",
        ),
        (
            "{grid: {divergence.alpha: 0.1}}",
            "19:34: sweep.grid.divergence.alpha: found 0.1, allowed is a list that is not empty",
        ),
        (
            "{grid: {divergence.alpha: [0.1, 1, 0.1]}}",
            "19:43: sweep.grid.divergence.alpha.2: `0.1` stands twice in the list",
        ),
        (
            "{grid: {divergence.beta: [1, 1.0]}}",
            "19:37: sweep.grid.divergence.beta.1: `1.0` stands twice in the list",
        ),
        (
            "{points: [{divergence.alpha: 0.1}, {data.problems: 8}, {divergence.alpha: 0.2}]}",
            "19:63: sweep.points.2: gives the same recipe as sweep.points.1",
        ),
        (
            "{grid: {divergence.Bta: [1]}}",
            "19:16: sweep.grid.divergence.Bta: unknown field; did you mean `divergence.beta`?",
        ),
        (
            "{grid: {epochs: [1]}}",
            "19:16: sweep.grid.epochs: unknown field; swept is any field that can change a result, "
            "such as `divergence.alpha` or `arms.lightr.training.updates`",
        ),
        (
            "{grid: {arms.lihgtr.training.updates: [1]}}",
            "19:16: sweep.grid.arms.lihgtr.training.updates: unknown field; "
            "did you mean `arms.lightr.training.updates`?",
        ),
        (
            "{grid: {divergence: [1]}}",
            "19:16: sweep.grid.divergence: not one field but several; name one, such as `divergence.alpha`",
        ),
        (
            "{grid: {runtime.threads: [1, 2]}}",
            "19:16: sweep.grid.runtime.threads: cannot be swept, since it cannot change a result",
        ),
        (
            "{points: [{seed: 1}, {seed: 2}]}",
            "19:19: sweep.points.0.seed: seeds have a list of their own: `seeds: [0, 1, 2]`\n"
            "r.yaml:19:30: sweep.points.1.seed: seeds have a list of their own: `seeds: [0, 1, 2]`",
        ),
        (
            "{grid: {divergence.alpha: [0.1, 0.01, 2]}}",
            "19:40: divergence.alpha: alpha is 0.01 and divergence.alpha_min is 0.05, allowed is an alpha of "
            "at least alpha_min, since scores are stored only down to there\n"
            "r.yaml:19:46: divergence.alpha: found 2, allowed is a number in (0, 1]",
        ),
        (
            "{grid: {training.updates: [4, many]}}",
            '19:38: training.updates: found the text "many", allowed is a whole number of at least 1',
        ),
        (
            "{points: [{arms.lightr.training.lora.r: 4}, {arms.lightr.training.lora.r: 0}]}",
            "19:82: arms.2.training.lora.r: found 0, allowed is a whole number of at least 1 or null",
        ),
        (
            "{grid: {pair.amateur.model: [embedded/amateur, embedded/amatuer]}}",
            '19:55: pair.amateur.model: found the text "embedded/amatuer", embedded models are '
            f"{MODELS}; did you mean `embedded/amateur`?",
        ),
        (
            "{grid: {training.steps_per_update: [8, 16]}}",
            "19:44: training.steps_per_update: given beside `rollouts_per_update`, allowed is one of the two "
            "(null switches the other off)\n"
            "r.yaml:19:47: training.steps_per_update: given beside `rollouts_per_update`, allowed is one of "
            "the two (null switches the other off)",
        ),
        (
            "{grid: {data.problems: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],"
            " data.seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],"
            " training.updates: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],"
            " evaluation.limit: [1, 2, 3, 4, 5, 6, 7, 8, 9],"
            " data.held_out: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}}",
            "19:1: sweep: with its seeds it stands for 108,000 recipes, allowed are at most 100,000",
        ),
    ],
)
def test_a_wrong_sweep_is_told(refusal: Refusal, small: str, sweep: str, told: str) -> None:
    assert "\n".join(refusal(f"{small}sweep: {sweep}\n")) == f"r.yaml:{told}"


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        (
            "lightr beats sft",
            'claims.0: found the text "lightr beats sft", allowed is `FIRST > SECOND on WHERE`, the same '
            "with `<` or with `by POINTS` behind it, or `FIRST == SECOND on WHERE within POINTS`",
        ),
        (
            "lihgtr > sft on average",
            "claims.0: `lihgtr` is no arm of this recipe; its arms are base, sft, lightr; "
            "did you mean `lightr`?",
        ),
        (
            "lightr > sft on fromal",
            "claims.0: `fromal` is not measured; measured are average, multi_step, formal, distractor, "
            "one_step, formula, hard, choice; did you mean `formal`?",
        ),
    ],
)
def test_a_wrong_claim_is_told(refusal: Refusal, small: str, claim: str, told: str) -> None:
    assert refusal(f"{small}claims: ['{claim}']\n") == [f"r.yaml:19:10: {told}"]


def test_a_claim_is_about_benchmarks_that_are_measured(refusal: Refusal, small: str) -> None:
    text = small + "  benchmarks: [hard]\nclaims: [sft > base on formal]\n"
    assert refusal(text) == ["r.yaml:20:10: claims.0: `formal` is not measured; measured are average, hard"]


def test_a_wrong_name_in_an_override_of_a_sweep_is_told_at_its_column(refusal: Refusal, small: str) -> None:
    assert refusal(small, "sweep.grid.divergence.alhpa=[0.1]") == [
        "override 'sweep.grid.divergence.alhpa=[0.1]':12: sweep.grid.divergence.alhpa: unknown field; "
        "did you mean `divergence.alpha`?"
    ]


SWEPT = ["pair.amateur.model=[embedded/amateur]", "training.lora.r=[1,2]", "arms.lightr.training.updates=[3]"]


@pytest.mark.parametrize("wrong", ["[1]", "[{}]", "text", "3", "true", "[[a]]"])
@pytest.mark.parametrize("section", ["pair", "pair.amateur", "training", "training.lora", "arms", "data"])
def test_a_section_of_the_wrong_type_is_told_though_the_sweep_leads_through_it(
    tmp_path: Path, section: str, wrong: str
) -> None:
    top, _, inner = section.partition(".")
    text = f"{top}: {{{inner}: {wrong}}}" if inner else f"{top}: {wrong}"
    (tmp_path / "wrong.yaml").write_text(f"extends: {QUICKSTART}\nseeds: [0, 1]\n{text}\n")
    with pytest.raises(RecipeError) as refused:
        load_recipe(tmp_path / "wrong.yaml", [f"sweep.grid.{field}" for field in SWEPT])
    assert section in str(refused.value)
    assert "`arms.." not in str(refused.value)


def test_a_sweep_of_very_many_recipes_is_a_warning(
    small: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeping, "MANY_VARIANTS", 3)
    sweep = "{grid: {divergence.beta: [0.1, 0.2, 0.3], training.learning_rate: [0.001, 0.002]}}"
    Path("r.yaml").write_text(f"{small}sweep: {sweep}\n")
    recipe, (warning,) = load_with_warnings("r.yaml")
    assert recipe.sweep is not None
    assert warning.startswith("r.yaml:19:1: sweep: with its seeds it stands for 6 recipes; planning them")


COMMON = (
    "cannot be swept where points are chosen (`evaluation.select_on`): all are measured on the same "
    "problems, in the same way and with one expert"
)
SELECTING = ("suite: embedded7", "suite: embedded7\n  select_on: {on}\nsweep: {sweep}")


@pytest.mark.parametrize(
    ("on", "sweep", "told"),
    [
        (
            "validation",
            "null",
            "19:14: evaluation.select_on: chooses among the points of a sweep, and this recipe has no "
            "`sweep`; add one, or leave it out",
        ),
        (
            "tests",
            "{grid: {divergence.beta: [0.2, 0.4]}}",
            '19:14: evaluation.select_on: found the text "tests", allowed is `validation`, or a mapping with '
            "the field validation or null",
        ),
        (
            "{validation: 0}",
            "{grid: {divergence.beta: [0.2, 0.4]}}",
            "19:27: evaluation.select_on.validation: found 0, allowed is a whole number of at least 1",
        ),
        (
            "{validaton: 5}",
            "{grid: {divergence.beta: [0.2, 0.4]}}",
            "19:15: evaluation.select_on.validaton: unknown field; did you mean `validation`?",
        ),
        (
            "validation",
            "{points: [{data.train: embedded/hard}, {evaluation.limit: 3}]}",
            f"20:19: sweep.points.0.data.train: {COMMON}\n"
            f"r.yaml:20:48: sweep.points.1.evaluation.limit: {COMMON}",
        ),
        (
            "validation",
            "{grid: {evaluation.select_on: [validation]}}",
            "20:16: sweep.grid.evaluation.select_on: cannot be swept, since all points are chosen from "
            "together",
        ),
    ],
)
def test_a_choice_of_points_that_cannot_be_is_told(
    refusal: Refusal, changed: Changed, on: str, sweep: str, told: str
) -> None:
    before, after = SELECTING
    text = changed((before, after.format(on=on, sweep=sweep)))
    assert refusal(text) == [f"r.yaml:{line}" for line in told.removeprefix("r.yaml:").split("\nr.yaml:")]


def test_what_does_not_go_with_a_choice_of_points_is_told(refusal: Refusal, changed: Changed) -> None:
    sweep = "sweep: {grid: {divergence.beta: [0.2, 0.4]}}"
    suite = "{name: validation, benchmarks: {sums: {data: embedded/hard, grader: integer}}}"
    own = changed(("suite: embedded7", f"suite: {suite}\n  select_on: validation\n{sweep}"))
    assert refusal(own) == [
        "r.yaml:18:17: evaluation.suite.name: `validation` is the board of what points are chosen on; give "
        "yours another name"
    ]
    written = f"lm_eval: {{tasks: [arc_easy]}}\n  select_on: validation\n{sweep}"
    tasks = changed(("suite: embedded7", written))
    assert refusal(tasks) == [
        "r.yaml:19:14: evaluation.select_on: does not go with `evaluation.lm_eval`, whose tasks say "
        "themselves how they are asked"
    ]


def test_too_few_problems_to_choose_on_are_told_where_that_is_written(
    folder: Path, changed: Changed, tmp_path: Path
) -> None:
    text = changed(
        (
            SELECTING[0],
            SELECTING[1].format(on="{validation: 9999}", sweep="{grid: {divergence.beta: [1, 2]}}"),
        )
    )
    (folder / "r.yaml").write_text(text)
    place = r"r\.yaml:19:27: evaluation\.select_on\.validation: "
    with pytest.raises(RecipeError, match=f"{place}.* has 1016 problems"), telling_where("r.yaml"):
        plan_recipe(load_recipe("r.yaml"), tmp_path / "runs", fetch=False)
