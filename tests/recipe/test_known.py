"""Models, problem sets, arms and suites that do not exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.embedded.assets import FAMILIES, available_models, available_problem_sets
from lrbench.methods.presets import BY_NAME
from lrbench.recipe.loading import load_recipe
from lrbench.suites.shipped import SHIPPED
from lrbench.suites.suite import shipped_suite

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]

EXPERT = "embedded/expert"
TRAIN = "embedded/multi_step"
SETS = ", ".join(f"embedded/{name}" for name in available_problem_sets())
MODELS = ", ".join(f"embedded/{name}" for name in available_models())
ARMS = f"known arms are {', '.join(BY_NAME)}"


def test_a_bare_name_that_no_arm_can_have_is_one_message(refusal: Refusal, changed: Changed) -> None:
    (told,) = refusal(changed(("arms: [base", "arms: [kd/mentor")))
    assert f'found the text "kd/mentor", {ARMS}; an arm of your own says by `like`' in told
    (told,) = refusal(changed(("arms: [base", "arms: [random")))
    assert told.endswith("as in `{name: random, like: lightr, selector: {signal: random, match: lightr}}`")
    (told,) = refusal(changed(("arms: [base", 'arms: [""')))
    assert "an arm's name or a mapping" in told


@pytest.fixture
def with_folders(folder: Path) -> Path:
    (folder / "models" / "mine" / "deep").mkdir(parents=True)
    (folder / "models" / "mine" / "config.json").write_text("{}")
    (folder / "models" / "empty").mkdir()
    for model in ("my_expert", "owner/some-model-0.5B"):
        (folder / model).mkdir(parents=True)
        (folder / model / "config.json").write_text("{}")
    (folder / "problems.jsonl").write_text("{}\n")
    return folder


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("embedded/exprt", f"{MODELS}; did you mean `embedded/expert`?"),
        ("embedded/nothing-of-the-kind", MODELS),
    ],
)
def test_an_unknown_embedded_model_is_told(refusal: Refusal, changed: Changed, model: str, told: str) -> None:
    assert refusal(changed((EXPERT, model))) == [
        f'r.yaml:4:19: pair.expert.model: found the text "{model}", embedded models are {told}'
    ]


def test_an_unknown_model_beside_the_pair_is_told_at_its_place(refusal: Refusal, changed: Changed) -> None:
    beside = "name: small\nmodels: {teacher: {model: embedded/exprt}}"
    (told,) = refusal(changed(("name: small", beside)))
    assert told.startswith(
        'r.yaml:2:27: models.teacher.model: found the text "embedded/exprt", embedded models'
    )


@pytest.mark.parametrize("model", ["embeded/expert", "embedded-expert", "expert", "Expert"])
def test_a_hub_id_that_resembles_an_embedded_model_is_told(
    refusal: Refusal, changed: Changed, model: str
) -> None:
    assert refusal(changed((EXPERT, model))) == [
        f'r.yaml:4:19: pair.expert.model: found the text "{model}"; did you mean `embedded/expert`?'
    ]


@pytest.mark.usefixtures("with_folders")
@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            "./models/mien",
            'found the text "./models/mien", which is no folder here and no id of the hub; '
            "did you mean `mine`?",
        ),
        # A word that is no folder could be an id of the hub.
        ("my_exprt", 'found the text "my_exprt"; did you mean `my_expert`?'),
        ("/nowhere/at/all", 'found the text "/nowhere/at/all", which is no folder here and no id of the hub'),
        (
            "models/empty",
            "the folder `models/empty` has no `config.json`; a model folder is what `save_pretrained` writes",
        ),
        (
            "problems.jsonl",
            "the folder `problems.jsonl` has no `config.json`; "
            "a model folder is what `save_pretrained` writes",
        ),
    ],
)
def test_a_local_folder_without_a_model_is_told(
    refusal: Refusal, changed: Changed, model: str, told: str
) -> None:
    assert refusal(changed((EXPERT, model))) == [f"r.yaml:4:19: pair.expert.model: {told}"]


@pytest.mark.parametrize(
    "model", ["models/mine", "./models/mine", "owner/some-model-1.5B", "gpt2", "embodied/export"]
)
def test_a_local_model_and_a_hub_id_are_accepted(with_folders: Path, changed: Changed, model: str) -> None:
    (with_folders / "r.yaml").write_text(changed((EXPERT, model)))
    assert load_recipe("r.yaml").pair.expert.model == model


@pytest.mark.usefixtures("with_folders")
@pytest.mark.parametrize(
    ("train", "told"),
    [
        (
            "embedded/multistep",
            f'found the text "embedded/multistep", embedded problem sets are {SETS}; '
            "did you mean `embedded/multi_step`?",
        ),
        (
            "multi_step",
            'found the text "multi_step", but there is no such file; did you mean `embedded/multi_step`?',
        ),
        (
            "problem.jsonl",
            'found the text "problem.jsonl", but there is no such file; did you mean `problems.jsonl`?',
        ),
        (
            "gsm8k/trian",
            'found the text "gsm8k/trian", but there is no such file; did you mean `gsm8k/train`?',
        ),
        ("nowhere/x.jsonl", 'found the text "nowhere/x.jsonl", but there is no such file'),
        ("models", "`models` is a directory, allowed is a JSONL file"),
    ],
)
def test_missing_problems_are_told(refusal: Refusal, changed: Changed, train: str, told: str) -> None:
    assert refusal(changed((TRAIN, train))) == [f"r.yaml:7:10: data.train: {told}"]


def test_a_problem_file_that_is_there_is_accepted(with_folders: Path, changed: Changed) -> None:
    (with_folders / "r.yaml").write_text(changed((TRAIN, "problems.jsonl")))
    assert load_recipe("r.yaml").data.train == "problems.jsonl"


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            "lihgtr",
            f'16:14: arms.1: found the text "lihgtr", {ARMS}; did you mean `lightr`?',
        ),
        (
            "lihgtr, {name: same, like: lightr, selector: {signal: random, match: lightr}}]\n"
            "claims: [lightr > base on average, lightr > same on average, same > lightr on average",
            f'16:14: arms.1: found the text "lihgtr", {ARMS}; did you mean `lightr`?',
        ),
        (
            "mine",
            f'16:14: arms.1: found the text "mine", {ARMS}; '
            "an arm of your own says by `like` which known arm it varies",
        ),
        (
            "{name: mine, like: nether}",
            f'16:33: arms.1.like: found the text "nether", {ARMS}; did you mean `neither`?',
        ),
        (
            "{name: no-contrast, like: null}",
            f'16:21: arms.1.name: found the text "no-contrast", {ARMS}; did you mean `no_contrast`?',
        ),
    ],
)
def test_an_unknown_arm_is_told(refusal: Refusal, changed: Changed, arm: str, told: str) -> None:
    assert refusal(changed(("[base, sft, lightr]", f"[base, {arm}]"))) == [f"r.yaml:{told}"]


def test_an_unknown_suite_is_told(refusal: Refusal, changed: Changed) -> None:
    assert refusal(changed(("suite: embedded7", "suite: embedded8"))) == [
        'r.yaml:18:10: evaluation.suite: found the text "embedded8", known suites are '
        f"{', '.join(SHIPPED)}; did you mean `embedded7`?"
    ]


def test_benchmarks_are_those_of_the_suite(refusal: Refusal, changed: Changed) -> None:
    chosen = "suite: math7\n  benchmarks: [gsm8k, swamp, formal]"
    known = "the benchmarks of math7 are gsm8k, math, svamp, asdiv, minerva_math, olympiadbench, mmlu_stem"
    assert refusal(changed(("suite: embedded7", chosen))) == [
        f'r.yaml:19:23: evaluation.benchmarks.1: found the text "swamp", {known}; did you mean `svamp`?',
        f'r.yaml:19:30: evaluation.benchmarks.2: found the text "formal", {known}',
    ]


def test_a_data_root_that_is_no_folder_is_told(refusal: Refusal, changed: Changed, folder: Path) -> None:
    (folder / "benchmarks").mkdir()
    root = "suite: math7\nruntime: {data_root: benchmark}"
    assert refusal(changed(("suite: embedded7", root))) == [
        'r.yaml:19:22: runtime.data_root: found the text "benchmark", but there is no such folder; '
        "did you mean `benchmarks`?"
    ]


@pytest.mark.parametrize("name", ["gsm8k/train", "math/train"])
def test_public_training_sets_are_known_by_name(folder: Path, changed: Changed, name: str) -> None:
    (folder / "r.yaml").write_text(changed((TRAIN, name)))
    assert load_recipe("r.yaml").data.train == name


def test_the_embedded_suite_is_the_seven_embedded_families_in_their_order() -> None:
    assert shipped_suite("embedded7").names == FAMILIES
