"""`lrbench judge`: suites for judges from graded answers, held to judges whose worth is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from lrbench.errors import UserError
from lrbench.evaluation.graded_items import read_items
from lrbench.evaluation.harness import BenchmarkTask
from lrbench.evaluation.items import choose_items
from lrbench.evaluation.language_model import RenderedModel
from lrbench.models.loading import load_tokenizer
from lrbench.models.source import locate
from lrbench.pipeline.exporting.judge_suite import write_judge_suite
from lrbench.pipeline.planning import plan_recipe
from lrbench.pipeline.run import run_recipe
from lrbench.recipe.schema import ModelReference, Recipe
from lrbench.results.board import build_boards
from lrbench.results.bundle.contents import write_bundle
from lrbench.results.bundle.verifying import verify_bundle
from lrbench.results.judge_items import Pool, Shown, paired_items, pool_of, single_items
from lrbench.results.judged import JudgedPairs, judged_in
from lrbench.results.ledger import Ledger
from lrbench.results.rendering.documents import boards_to_csv, boards_to_markdown
from lrbench.results.rows import Cell
from lrbench.sampling.engines.answered import Answered
from lrbench.store.keys import FileHashes
from lrbench.suites.suite import Benchmark, suite_of
from tests.pipeline.running import artifact_of
from tests.results.conftest import make_arm, make_score

CAREFUL = {"name": "careful", "like": "base", "answer": {"mix": {"teacher": 1.0}}}
LIMIT = 24


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., Recipe]) -> Recipe:
    return make_recipe(
        pair={"expert": {"model": "embedded/expert"}},
        models={"teacher": {"model": "embedded/careful"}},
        arms=["base", CAREFUL],
        evaluation={"suite": "embedded7", "benchmarks": ["multi_step"], "limit": LIMIT},
    )


@pytest.fixture(scope="module")
def both(recipe: Recipe) -> list[str]:
    return [f"{recipe.name}/{arm}" for arm in ("base", "careful")]


@pytest.fixture(scope="module")
def suites(runs: Path, both: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a suite of answers and of one of pairs."""
    folder = tmp_path_factory.mktemp("suites")
    made = {"judge": folder / "judge", "pairs": folder / "pairs"}
    for name, to in made.items():
        write_judge_suite(both, runs, to, pairs=name == "pairs")
    return made


def of_suite(make_recipe: Callable[..., Recipe], folder: Path, **changes: Any) -> Recipe:
    declared = yaml.safe_load((folder / "suite.yaml").read_text()) | {"max_new_tokens": 8}
    for benchmark in declared["benchmarks"].values():
        benchmark["file"] = str(folder / benchmark["file"])
    return make_recipe(
        name="judging",
        pair={"expert": {"model": "embedded/expert"}},
        arms=["base"],
        evaluation={"suite": declared},
        **changes,
    )


def items_in(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def judged_by(benchmark: Benchmark, judge: Callable[[dict[str, Any]], str]) -> list[bool]:
    """What a judge gets right that says what `judge` says of each item."""
    tokenizer = load_tokenizer(locate(ModelReference(model="embedded/expert"), FileHashes()))
    rows = list(choose_items(benchmark, None))
    said = [judge(dict(row)) + "<|im_end|>" for row in rows]

    def write(prompts: Sequence[Sequence[int]], _limit: int) -> list[Answered]:
        texts, said[:] = said[: len(prompts)], said[len(prompts) :]
        return [Answered.alone("own", tuple(tokenizer.encode(text))) for text in texts]

    items = BenchmarkTask(benchmark).measure(RenderedModel(write, tokenizer, None, (0, 2)), rows)
    return [item.paper for item in items]


def test_every_gold_answer_is_the_verdict_on_what_is_shown(
    runs: Path, recipe: Recipe, suites: dict[str, Path]
) -> None:
    verdicts = {
        (item["problem"], item["completion"].strip()): item["paper"]
        for arm in plan_recipe(recipe, runs).arms
        for item in read_items(artifact_of(runs, arm.scores[0]))
    }
    for item in items_in(suites["judge"]):
        asked, answer = item["problem"].removeprefix("Question:\n").split("\n\nAnswer:\n")
        assert verdicts[asked, answer] == (item["answer"] == "right")
    for item in items_in(suites["pairs"]):
        asked, first, second = (
            item["problem"]
            .removeprefix("Question:\n")
            .replace("\n\nAnswer B:\n", "\n\nAnswer A:\n")
            .split("\n\nAnswer A:\n")
        )
        assert [verdicts[asked, each] for each in (first, second)] == [
            item["answer"] == name for name in ("A", "B")
        ]


def test_items_are_balanced_and_say_where_they_come_from(suites: dict[str, Path]) -> None:
    for items in map(items_in, suites.values()):
        half = len(items) // 2
        assert sorted(Counter(item["answer"] for item in items).values()) == [half, half]
        assert len({item["id"] for item in items}) == len(items) > 8
    made = json.loads((suites["pairs"] / "provenance.json").read_text())
    known = {source["arm_id"]: source["evaluation"] for source in made["made_from"]}
    assert {source["arm"] for source in made["made_from"]} == {"base", "careful"}
    assert all(of["arm_id"] in known for item in items_in(suites["pairs"]) for of in item["of"])


def test_the_same_answers_and_seed_give_the_same_bytes(
    runs: Path, both: list[str], suites: dict[str, Path], tmp_path: Path
) -> None:
    write_judge_suite(both, runs, tmp_path / "judge", pairs=False)
    write_judge_suite(both, runs, tmp_path / "other", pairs=False, seed=1, count=3)
    for file in sorted(suites["judge"].iterdir()):
        assert (tmp_path / "judge" / file.name).read_bytes() == file.read_bytes()
    assert len(items_in(tmp_path / "other")) == 6


@pytest.mark.parametrize("said", ["right", "wrong"])
def test_a_judge_that_always_says_the_same_is_right_half_of_the_time_and_one_that_knows_always(
    make_recipe: Callable[..., Recipe], suites: dict[str, Path], said: str
) -> None:
    (benchmark,) = suite_of(of_suite(make_recipe, suites["judge"]).evaluation).benchmarks
    right = judged_by(benchmark, lambda _: f"I think it is {said}.")
    assert 2 * sum(right) == len(right)
    assert all(judged_by(benchmark, lambda row: f"So it is {row['answer']}."))
    assert not any(judged_by(benchmark, lambda _: "Hm."))


def test_a_judge_that_always_takes_the_first_is_found_out(
    make_recipe: Callable[..., Recipe], suites: dict[str, Path]
) -> None:
    (benchmark,) = suite_of(of_suite(make_recipe, suites["pairs"]).evaluation).benchmarks
    rows = list(choose_items(benchmark, None))
    groups = [list(dict.fromkeys(row["group"] for row in rows)).index(row["group"]) for row in rows]

    def worth(judge: Callable[[dict[str, Any]], str]) -> JudgedPairs:
        outcomes = "".join("01"[right] for right in judged_by(benchmark, judge))
        protocol = {"grader": {"use": "judgement", "of": "pair"}}
        score = make_score("pairs", outcomes, benchmarks=("pairs",), groups=tuple(groups), protocol=protocol)
        found = judged_in([Cell(score)])
        assert found is not None
        return found

    first = worth(lambda _: "A")
    assert (first.n, first.both.value, first.first.value, first.second.value) == (len(rows) // 2, 0, 1, 0)
    assert first.bias.value == 1
    second, knows = worth(lambda _: "the answer is B"), worth(lambda row: row["answer"])
    assert (second.bias.value, second.both.value) == (-1, 0)
    assert (knows.bias.value, knows.both.value) == (0, 1)
    assert judged_in([Cell(make_score("chain", "1100", groups=(0, 0, 1, 1)))]) is None


def test_a_recipe_names_the_suite_and_a_bundle_of_it_is_verified_without_the_folder(
    make_recipe: Callable[..., Recipe], suites: dict[str, Path], tmp_path: Path
) -> None:
    judging = of_suite(make_recipe, suites["pairs"])
    (score,) = plan_recipe(judging, tmp_path / "runs").arms[0].scores
    assert (score.benchmark, score.size) == ("pairs", len(items_in(suites["pairs"])))
    run_recipe(judging, tmp_path / "runs")
    contents = Ledger(tmp_path / "runs/ledger").read()
    boards = build_boards(contents.arms, contents.scores)
    assert "| arm | pairs | right in both orders |" in boards_to_markdown(boards)
    assert "judged_position_bias" in boards_to_csv(boards)
    write_bundle([judging.name], tmp_path / "runs", tmp_path / "bundle.tar.gz")
    found = verify_bundle(tmp_path / "bundle.tar.gz")
    assert not found.findings
    # The shapes of models are not in a bundle, so what records say of memory is taken on trust.
    assert str(found).endswith("that the models wrote these completions, and what memory they answer in.")


def test_what_cannot_be_made_is_told(runs: Path, recipe: Recipe, both: list[str], tmp_path: Path) -> None:
    name = recipe.name
    with pytest.raises(UserError, match=r"there are \d+ right answers and 0 wrong ones: none is wrong"):
        write_judge_suite([both[1]], runs, tmp_path / "a", pairs=False)
    with pytest.raises(UserError, match="no question has both, so there are no pairs; name a second result"):
        write_judge_suite([both[0]], runs, tmp_path / "a", pairs=True)
    with pytest.raises(UserError, match=r"base has no scores on multistep; did you mean `multi_step`\?"):
        write_judge_suite([both[0]], runs, tmp_path / "a", pairs=True, benchmarks=["multistep"])
    with pytest.raises(UserError, match="is the name of no result"):
        write_judge_suite([f"{name}/nobody"], runs, tmp_path / "a", pairs=True)
    for wrong in ("my judges", "math7"):
        with pytest.raises(
            UserError, match=f'the suite is called as its folder, and the text "{wrong}" is no'
        ):
            write_judge_suite(both, runs, tmp_path / wrong, pairs=True)
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    with pytest.raises(UserError, match="is not empty"):
        write_judge_suite(both, runs, tmp_path / "b", pairs=True)


def test_an_answer_that_evaluations_judge_differently_is_shown_to_no_judge() -> None:
    """As by two versions of a grader, or of two items with one text."""
    once, again = make_score(), make_score(limit=50)
    row = {"id": "a", "problem": "1+1?", "truncated": False}
    rows = {
        id(once): [row | {"completion": text, "paper": text == "2", "exact": text == "2"} for text in "23"],
        id(again): [
            row | {"completion": "2 ", "paper": False, "exact": False},
            row | {"completion": "3", "paper": False, "exact": False, "truncated": True},
        ],
    }
    inspector: Any = SimpleNamespace(answers=lambda score: rows[id(score)])
    for order in ([once, again], [again, once]):
        pool = pool_of([(make_arm("base"), order)], inspector)
        assert (dict(pool.right), [shown.completion for shown in pool.wrong["1+1?"]]) == ({}, ["3"])
        assert pool.left_out == {"judged in two ways": 1}


def test_without_any_right_answer_there_are_no_items() -> None:
    pool = Pool()
    pool.wrong["1+1?"].append(Shown("3", make_score(), "a", 0))
    pool.left_out["cut short"] = 2
    told = "there are 0 right answers and 1 wrong ones, 2 cut short left out: none is right"
    with pytest.raises(UserError, match=told):
        single_items(pool, None, 0)
    with pytest.raises(UserError, match="no question has both"):
        paired_items(pool, None, 0)
