"""Suites of one's own in recipes: written out or as a folder, and what is wrong with them with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.recipe.expanding import expand
from lrbench.recipe.identity import recipe_hash, resolved_yaml
from lrbench.recipe.loading import load_recipe
from lrbench.recipe.recorded import recorded_recipe
from lrbench.suites.suite import suite_of

Refusal = Callable[..., list[str]]
Changed = Callable[..., str]
WRITTEN = "suite: embedded7"
INLINE = "suite: {benchmarks: {mine: {file: a.jsonl, grader: maths}}}"
AT = "r.yaml:18:"
MINE = "evaluation.suite.benchmarks.mine"


@pytest.fixture
def with_file(folder: Path) -> Path:
    (folder / "a.jsonl").write_text(json.dumps({"problem": "1+1?", "answer": 2}) + "\n")
    return folder


def own_folder(
    folder: Path, name: str, text: str = "benchmarks: {mine: {file: b.jsonl, grader: maths}}"
) -> Path:
    suite = folder / name
    suite.mkdir(parents=True)
    (suite / "suite.yaml").write_text(f"name: {suite.name}\n{text}\n")
    (suite / "b.jsonl").write_text(json.dumps({"problem": "1+1?", "answer": 2}) + "\n")
    return suite


def loaded(folder: Path, text: str, *overrides: str, name: str = "r.yaml"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return load_recipe(str(file.relative_to(folder)), overrides)


def test_a_suite_is_written_out(with_file: Path, changed: Changed) -> None:
    recipe = loaded(with_file, changed((WRITTEN, INLINE)))
    suite = suite_of(recipe.evaluation)
    assert (suite.name, suite.names) == ("own", ("mine",))
    mine = suite["mine"]
    assert (mine.file, mine.prompt, mine.max_new_tokens, mine.shipped) == ("a.jsonl", "{problem}", 512, False)


def test_what_a_benchmark_leaves_out_is_the_suite_s(with_file: Path, changed: Changed) -> None:
    said = (
        "suite: {prompt: 'Q {problem}', system_prompt: Think., max_new_tokens: 9, stop: [x], benchmarks: {"
        "mine: {file: a.jsonl, grader: text}, "
        "other: {file: a.jsonl, grader: text, prompt: 'P {problem}', max_new_tokens: 8, stop: []}}}"
    )
    suite = suite_of(loaded(with_file, changed((WRITTEN, said))).evaluation)
    found = [(each.prompt, each.system_prompt, each.max_new_tokens, each.stop) for each in suite.benchmarks]
    assert found == [("Q {problem}", "Think.", 9, ("x",)), ("P {problem}", "Think.", 8, ())]


@pytest.mark.parametrize("where", ["r.yaml", "deep/er/r.yaml"])
def test_a_folder_and_its_files_are_relative_to_the_files_that_write_them(
    folder: Path, changed: Changed, where: str
) -> None:
    own_folder(folder, "suites/mine")
    up = "../" * where.count("/")
    recipe = loaded(folder, changed((WRITTEN, f"suite: {up}suites/mine")), name=where)
    assert suite_of(recipe.evaluation)["mine"].file == "suites/mine/b.jsonl"
    assert suite_of(recipe.evaluation).name == "mine"


def test_a_folder_in_an_override_is_relative_to_the_working_one(folder: Path, changed: Changed) -> None:
    own_folder(folder, "mine")
    recipe = loaded(folder, changed(), "evaluation.suite=mine", name="deep/r.yaml")
    assert suite_of(recipe.evaluation)["mine"].file == "mine/b.jsonl"


def test_suites_are_swept(folder: Path, changed: Changed) -> None:
    own_folder(folder, "mine")
    sweep = "suite: embedded7\nsweep: {grid: {evaluation.suite: [embedded7, mine]}}"
    recipes = [variant.recipe for variant in expand(loaded(folder, changed((WRITTEN, sweep))))]
    assert [suite_of(recipe.evaluation).name for recipe in recipes] == ["embedded7", "mine"]
    assert suite_of(recipes[1].evaluation)["mine"].file == "mine/b.jsonl"


def test_a_recipe_is_written_and_read_back_with_its_suite(with_file: Path, changed: Changed) -> None:
    recipe = loaded(with_file, changed((WRITTEN, INLINE)))
    again = recorded_recipe(resolved_yaml(recipe), "record")
    assert again == recipe
    assert recipe_hash(again) == recipe_hash(recipe)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("grader: maths", "grader: integer"),
        ("grader: maths", "grader: {use: maths, like: gsm8k}"),
        ("grader: maths", "grader: maths, prompt: 'Q {problem}'"),
        ("grader: maths", "grader: maths, fields: {group: g}"),
        ("grader: maths", "grader: maths, max_new_tokens: 5"),
        ("mine:", "other:"),
    ],
)
def test_everything_that_is_said_of_a_suite_is_in_the_hash(
    with_file: Path, changed: Changed, before: str, after: str
) -> None:
    first = loaded(with_file, changed((WRITTEN, INLINE)))
    second = loaded(with_file, changed((WRITTEN, INLINE.replace(before, after))))
    assert recipe_hash(first) != recipe_hash(second)


@pytest.mark.usefixtures("with_file")
def test_claims_and_benchmarks_are_those_of_the_suite(refusal: Refusal, changed: Changed) -> None:
    text = changed((WRITTEN, f"{INLINE}\n  benchmarks: [mien]\nclaims: [lightr > sft on hard]"))
    assert refusal(text) == [
        'r.yaml:19:16: evaluation.benchmarks.0: found the text "mien", the benchmarks of the suite are mine; '
        "did you mean `mine`?",
        "r.yaml:20:10: claims.0: `hard` is not measured; measured are average, mien",
    ]


# What a benchmark says, the text in it that is pointed at, and what is said of which field.
WRONG = [
    (
        "{file: b.jsonl, grader: maths}",
        "b.jsonl",
        '.file: found the text "b.jsonl", but there is no such file',
    ),
    ("{file: ., grader: maths}", "., ", ".file: `.` is a directory, allowed is a file of items"),
    ("{grader: maths}", "{grader", ": needs one of `file` and `data`"),
    ("{file: a.jsonl, data: gsm8k/test, grader: maths}", "{file", ": takes one of `file` and `data`"),
    ("{data: gsm8k/tset, grader: maths}", "{data", ": there is no set `gsm8k/tset`, known are "),
    (
        "{file: a.jsonl}",
        "mine",
        ".grader: missing; needed is `maths`, `integer`, `choice`, `text`, `judgement` or a mapping",
    ),
    ("{file: a.jsonl, grader: math}", "math}", '.grader: found the text "math", allowed is `maths`'),
    (
        "{file: a.jsonl, grader: {use: regex, pattern: '('}}",
        "{use",
        ".grader: the pattern of `regex` is none",
    ),
    ("{file: a.jsonl, grader: {use: regex}}", "grader", ".grader.pattern: missing"),
    ("{file: a.jsonl, grader: maths, prompt: Hi}", "{file", ": the prompt has no `{problem}`"),
    ("{file: a.jsonl, grader: maths, promt: x}", "promt", ".promt: unknown field; did you mean `prompt`?"),
    (
        "{file: a.jsonl, grader: maths, examples: {count: 2}}",
        "{count",
        ".examples: needs one of `file` and `data`",
    ),
    (
        "{file: a.jsonl, grader: maths, examples: {file: c.csv, count: 2}}",
        "c.csv",
        '.examples.file: found the text "c.csv", but there is no such file',
    ),
    (
        "{file: a.jsonl, grader: maths, max_new_tokens: 0}",
        "0}",
        ".max_new_tokens: found 0, allowed is a whole",
    ),
]


@pytest.mark.usefixtures("with_file")
@pytest.mark.parametrize(("said", "at", "told"), WRONG)
def test_what_is_wrong_with_a_benchmark_is_told(
    refusal: Refusal, changed: Changed, said: str, at: str, told: str
) -> None:
    line = f"  suite: {{benchmarks: {{mine: {said}}}}}"
    problems = refusal(changed((f"  {WRITTEN}", line)))
    expected = f"{AT}{line.index(at) + 1}: {MINE}{told}"
    assert any(problem.startswith(expected) for problem in problems), problems


@pytest.mark.usefixtures("with_file")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "{benchmarks: {}}",
            "evaluation.suite.benchmarks: found an empty mapping, allowed is a mapping of names to",
        ),
        (
            "{benchmarks: {../x: {file: a.jsonl, grader: maths}}}",
            "`../x` is no name that can be given; allowed is a name of",
        ),
        (
            "{name: math7, benchmarks: {m: {file: a.jsonl, grader: maths}}}",
            "`math7` is a name that lrbench has a suite for",
        ),
        (
            "{benchmarks: {m: {file: a.jsonl, grader: maths}, m: {file: a.jsonl, grader: maths}}}",
            "m: given twice; first at",
        ),
        ("{name: x}", "evaluation.suite.benchmarks: missing; needed is a mapping of names"),
        (
            "3",
            "evaluation.suite: found 3, allowed is `embedded7`, `math7`, `mmlu_stem_5shot`, "
            "`embedded_twins`, `embedded_talk`, `embedded_registers`, `embedded_glance`, `embedded_easy`, "
            "the folder of",
        ),
        ("[a]", "evaluation.suite: found a list, allowed is"),
        ("nowhere/at/all", 'evaluation.suite: found the text "nowhere/at/all", but there is no such folder'),
    ],
)
def test_what_is_wrong_with_a_suite_is_told(refusal: Refusal, changed: Changed, said: str, told: str) -> None:
    (first,) = refusal(changed((WRITTEN, f"suite: {said}")))
    assert first.startswith(AT)
    assert told in first


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 300 + "/b", "~nobody/x", '"a\\0b"', "' '", "/", "."])
def test_names_that_no_folder_can_have_are_told(refusal: Refusal, changed: Changed, name: str) -> None:
    (told,) = refusal(changed((WRITTEN, f"suite: {name}")))
    assert told.startswith(f"{AT}10: evaluation.suite: ")


def test_a_folder_without_a_suite_is_told(folder: Path, refusal: Refusal, changed: Changed) -> None:
    (folder / "mine").mkdir()
    (told,) = refusal(changed((WRITTEN, "suite: mine")))
    assert told == (
        "r.yaml:18:10: evaluation.suite: `mine` has no `suite.yaml`; the folder of a suite is one that holds "
        "a `suite.yaml`"
    )
    assert "did you mean `mine`?" in refusal(changed((WRITTEN, "suite: mien")))[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "benchmarks: {m: {file: c.jsonl, grader: maths}}",
            '2:24: evaluation.suite.benchmarks.m.file: found the text "mine/c.jsonl"',
        ),
        ("benchmarks: [", "2:14: not valid YAML"),
        (
            "benchmark: {m: {file: b.jsonl, grader: maths}}",
            "2:1: evaluation.suite.benchmark: unknown field; did you mean",
        ),
        ("- a", "2:1: not valid YAML"),
    ],
)
def test_what_is_wrong_in_a_folder_is_told_in_its_file(
    folder: Path, changed: Changed, text: str, told: str
) -> None:
    own_folder(folder, "mine", text)
    with pytest.raises(RecipeError) as caught:
        loaded(folder, changed((WRITTEN, "suite: mine")))
    assert f"mine/suite.yaml:{told}" in str(caught.value)
    assert str(caught.value).endswith("\n1 problem; nothing was run.")
