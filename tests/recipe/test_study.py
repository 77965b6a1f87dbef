"""Study files: what they may say, and one clear message for each thing they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrbench.errors import RecipeError
from lrbench.recipe.study import EDITIONS, find_study, load_study, study_files

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: small
pair:
  expert: {model: embedded/expert}
  amateur: {model: embedded/amateur}
data: {train: embedded/multi_step, problems: 8}
training: {updates: 2, rollouts_per_update: 4}
arms: [base, sft, lightr]
evaluation: {suite: embedded7, limit: 4}
"""
STUDY = """\
title: Small
table: main_results
editions:
  paper:
    recipes: [small.yaml]
  embedded:
    recipes:
      - recipe: small.yaml
        overrides: [seed=1]
    columns: [formal, multi_step]
    claims: [lightr > base on average by 2]
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the study with one text replaced by another; returns its path, relative to where tests run."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)

    def write(old: str = "", new: str = "") -> Path:
        assert old in STUDY
        Path("study.yaml").write_text(STUDY.replace(old, new, 1))
        return Path("study.yaml")

    return write


def refusal(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        load_study(path)
    return str(caught.value)


def test_a_study_comes_with_its_recipes_and_what_they_leave_to_be_known(written):
    loaded = load_study(written())
    paper, embedded = loaded["paper"], loaded["embedded"]
    assert (paper.study, paper.title, paper.table) == ("study", "Small", "main_results")
    assert paper.columns[0] == "multi_step"
    assert len(paper.columns) == 7
    assert paper.arms == ("base", "sft", "lightr")
    assert embedded.columns == ("formal", "multi_step")
    (source,) = embedded.recipes
    assert (source.path, source.overrides, source.recipe.seed) == ("small.yaml", ("seed=1",), 1)


def test_paths_of_recipes_start_from_the_studys_folder(written, tmp_path):
    written()
    (tmp_path / "studies").mkdir()
    Path("studies/study.yaml").write_text(STUDY.replace("small.yaml", "../small.yaml"))
    assert load_study("studies/study.yaml")["paper"].recipes[0].path == "small.yaml"


def test_a_recipe_shows_its_own_arms_in_the_editions_order(written):
    loaded = load_study(
        written("[seed=1]\n", "[seed=1]\n        arms: [lightr, base]\n    arms: [sft, base, lightr]\n")
    )
    assert loaded["embedded"].recipes[0].arms == ("base", "lightr")
    assert loaded["paper"].recipes[0].arms == ("base", "sft", "lightr")


def test_one_edition_can_be_loaded_alone(written):
    path = written("paper:\n    recipes: [small.yaml]", "paper:\n    recipes: [absent.yaml]")
    assert list(load_study(path, ("embedded",))) == ["embedded"]
    assert "absent.yaml: no such file" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Small", "titel: Small", "study.yaml:1:1: titel: unknown field; did you mean `title`?"),
        ("title: Small\n", "", "study.yaml:1:1: title: missing; needed is text that is not empty"),
        ("title: Small", "title: 3", "1:8: title: found 3, allowed is text that is not empty"),
        (
            "main_results",
            "main_result",
            'study.yaml:2:8: table: found the text "main_result", allowed is `main_results`, `efficiency`, '
            "`expertise_gap`, `ablations`, `controls`, `hazards`, `divergence_statistics`, "
            "`convergence`, `case_study`, `neighbours`; did you mean `main_results`?",
        ),
        ("  paper:\n    recipes: [small.yaml]\n", "", "3:1: editions.paper: missing; needed is a mapping"),
        ("  paper:", "  papr:", "study.yaml:4:3: editions.papr: unknown field; did you mean `paper`?"),
        ("[small.yaml]", "[]", "5:14: editions.paper.recipes: found an empty list, allowed is a list"),
        ("[small.yaml]", "[3]", "5:15: editions.paper.recipes.0: found 3, allowed is a recipe's path or a"),
        ("[small.yaml]", "[smal.yaml]", "5:15: editions.paper.recipes.0: this recipe cannot be used:\nsmal."),
        ("[small.yaml]", "[smal.yaml]", "no such file; did you mean `small.yaml`?"),
        ("[seed=1]", "[sed=1]", "override 'sed=1':1: sed: unknown field; did you mean `seed`?"),
        ("[seed=1]", "[1]", "9:21: editions.embedded.recipes.0.overrides.0: found 1, allowed is text"),
        ("recipe: small", "recpe: small", "recipes.0.recpe: unknown field; did you mean `recipe`?"),
        (
            "[formal, multi_step]",
            "[formal, multistep]",
            "study.yaml:10:23: editions.embedded.columns.1: `multistep` is no benchmark of these recipes; "
            "known are multi_step, formal, distractor, one_step, formula, hard, choice; did you mean "
            "`multi_step`?",
        ),
        ("[formal, multi_step]", "[formal, formal]", "columns.1: `formal` stands twice in the list"),
        ("    columns:", "    arms: [sft, lighter]\n    columns:", "`lighter` is no arm of these recipes"),
        (
            "[seed=1]\n",
            "[seed=1]\n        arms: [lighter]\n",
            "embedded.recipes.0.arms.0: `lighter` is no arm",
        ),
        ("lightr > base", "lightr => base", "11:14: editions.embedded.claims.0: found the text"),
        ("lightr > base", "lighter > base", "claims.0: `lighter` is no arm of these recipes; did you mean"),
        ("on average", "on gsm8k", "claims.0: `gsm8k` is no benchmark of these recipes, nor `average`"),
        (
            "[seed=1]\n",
            "[seed=1]\n      - {recipe: small.yaml, overrides: [evaluation.limit=5]}\n",
            "10:9: editions.embedded.recipes.1: measures something else than the edition's first recipe",
        ),
        (
            "[seed=1]\n",
            '["sweep={grid: {evaluation.limit: [4, 5]}}"]\n',
            "8:9: editions.embedded.recipes.0: sweeps `evaluation.limit`; a table needs one `evaluation`",
        ),
        (
            "[small.yaml]",
            "[small.yaml, {recipe: ./small.yaml, overrides: [description=again], arms: [lightr]}]",
            "5:27: editions.paper.recipes.1: this recipe and its arm `lightr` stand twice in the list",
        ),
        (
            "main_results\neditions:\n  paper:\n    recipes: [small.yaml]",
            "expertise_gap\neditions:\n  paper:\n    recipes: [small.yaml]\n    arms: [base, sft]",
            "5:14: editions.paper.recipes: no arm shown learns from an amateur",
        ),
    ],
)
def test_every_mistake_is_told_with_its_place(written, old, new, message):
    text = refusal(written(old, new))
    assert message in text
    assert "nothing was run." in text


def test_one_recipe_may_show_its_arms_in_two_places(written):
    parts = "[{recipe: small.yaml, arms: [base]}, {recipe: small.yaml, arms: [sft, lightr]}]"
    loaded = load_study(written("[small.yaml]", parts))
    assert [source.arms for source in loaded["paper"].recipes] == [("base",), ("sft", "lightr")]


def test_all_mistakes_are_told_at_once(written):
    text = refusal(written("title: Small\ntable: main_results", "title: 1\ntable: 2"))
    assert "1:8: title:" in text
    assert "2:8: table:" in text
    assert text.endswith("2 problems; nothing was run.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "study.yaml:1:1: the file is empty; a study is a mapping that begins with `title:`"),
        ("- 1", "study.yaml:1:1: found a list, allowed is a mapping of a study's fields"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_file_that_holds_no_study_is_told(written, content, message):
    written().write_text(content)
    assert message in refusal(Path("study.yaml"))


def test_a_study_is_found_by_its_name_or_its_file(written, tmp_path):
    written()
    assert find_study("study", tmp_path) == tmp_path / "study.yaml"
    assert find_study("elsewhere/x.yaml", tmp_path) == Path("elsewhere/x.yaml")
    with pytest.raises(RecipeError, match=r"no study `studdy` in .*did you mean `study`"):
        find_study("studdy", tmp_path)
    with pytest.raises(RecipeError, match=r"nowhere/, and none that ships; known are ablations, "):
        find_study("study", tmp_path / "nowhere")
    with pytest.raises(RecipeError, match="no such file"):
        load_study(find_study("absent.yaml", tmp_path))


def test_a_study_that_ships_is_found_from_anywhere_and_its_recipes_are_named_shortly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load_study(find_study("ablations", Path("experiments")))
    assert [source.path for source in loaded["embedded"].recipes] == ["embedded_ablations"]
    own = tmp_path / "experiments" / "ablations.yaml"
    own.parent.mkdir()
    own.write_text("")
    assert find_study("ablations", Path("experiments")) == Path("experiments/ablations.yaml")


def test_every_study_that_is_shipped_loads_with_its_recipes(monkeypatch):
    monkeypatch.chdir(ROOT)
    files = study_files(Path("experiments"))
    for file in files:
        loaded = load_study(file)
        assert list(loaded) == list(EDITIONS)
        for edition in loaded.values():
            assert edition.table == file.stem
            assert all(source.path.startswith("recipes/") for source in edition.recipes)
